import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dying_decoder import asking
from pictures import gradient, saved

from curation.errors import TransientError
from curation.images.decoder_pool import DecoderPool
from curation.images.decoder_process import DecoderSettings
from curation.images.delivery import Delivery, DeliverySettings, deliver

PICTURES = [saved(gradient(90 + 7 * step, 70), name) for step, name in enumerate(("jpg", "png", "webp", "gif", "jpg"))]
WANTED = DeliverySettings(side_px=48)
MEMORY_BYTES = 300_000_000


@contextlib.contextmanager
def _pool(processes: int = 1, timeout_s: float = 20.0, module: str = "dying_decoder"):
    pool = DecoderPool(DecoderSettings(WANTED, timeout_s, MEMORY_BYTES, module), processes)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture(scope="module")
def one():
    with _pool() as pool:
        yield pool


def _decoded(pool: DecoderPool, *bodies: bytes) -> list[Delivery]:
    deliveries = pool.decode([memoryview(body) for body in bodies])
    assert all(delivery.refusal is not None or delivery.seconds > 0 for delivery in deliveries)
    for delivery in deliveries:
        delivery.seconds = None
    return deliveries


def _here(body: bytes) -> Delivery:
    """What is made of a body in this process."""
    delivery = deliver(body, WANTED)
    if delivery.kept:
        delivery.image = body
    return delivery


def _failures(deliveries: list[Delivery]) -> dict[int, tuple[str, str | None]]:
    return {
        place: (str(delivery.refusal.reason), delivery.refusal.detail)
        for place, delivery in enumerate(deliveries)
        if delivery.refusal is not None
    }


def _between(bad: bytes) -> list[bytes]:
    return [*PICTURES[:2], bad, *PICTURES[2:]]


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def _wait_until(condition, timeout_s: float = 20.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_results_are_those_of_decoding_here_when_nothing_goes_wrong(one):
    kept = saved(gradient(40, 30), "jpg")
    bodies = [*PICTURES, kept, b"", b"no image", PICTURES[0][:-300]]
    assert _decoded(one, *bodies) == [_here(body) for body in bodies]
    assert _decoded(one) == []


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        ("segfault", "signal SIGSEGV"),
        ("abort", "signal SIGABRT"),
        ("killed", "signal SIGKILL"),
        ("exit", "exit code 3"),
        ("memory", "more than 300 MB"),
    ],
)
def test_one_file_is_lost_and_its_neighbours_are_kept_when_its_decoder_dies(one, wish, cause):
    before = one.restarts
    deliveries = _decoded(one, *_between(asking(PICTURES[0], wish)))
    assert _failures(deliveries) == {2: ("decoder_crash", cause)}
    assert [*deliveries[:2], *deliveries[3:]] == [_here(body) for body in PICTURES]
    # One for the death, one for the second chance.
    assert one.restarts - before == 2


def test_one_file_is_lost_when_its_decoder_never_ends():
    with _pool(timeout_s=0.6) as pool:
        deliveries = _decoded(pool, *_between(asking(PICTURES[0], "loop")))
        assert _failures(deliveries) == {2: ("decoder_crash", "more than 0.6 s")}
        assert pool.restarts == 2


@pytest.fixture
def busy_processor():
    """The number of a processor that four endless loops share already."""
    processor = min(os.sched_getaffinity(0))
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    for loop in loops:
        os.sched_setaffinity(loop.pid, {processor})
    yield processor
    for loop in loops:
        loop.kill()
        loop.wait()


def test_no_file_is_lost_when_others_keep_its_decoder_from_the_processor(busy_processor):
    with _pool(timeout_s=1.5) as pool:
        assert _failures(_decoded(pool, PICTURES[0])) == {}
        os.sched_setaffinity(pool.pids[0], {busy_processor})
        begun = time.monotonic()
        assert _failures(_decoded(pool, asking(PICTURES[0], "spin 0.7"))) == {}
        # Or it would prove nothing.
        assert time.monotonic() - begun > 1.5
        assert pool.restarts == 0


def test_one_file_is_lost_when_its_decoder_never_ends_on_a_busy_processor(busy_processor):
    with _pool(timeout_s=0.3) as pool:
        assert _failures(_decoded(pool, PICTURES[0])) == {}
        os.sched_setaffinity(pool.pids[0], {busy_processor})
        assert _failures(_decoded(pool, asking(PICTURES[0], "loop"))) == {0: ("decoder_crash", "more than 0.3 s")}


@pytest.mark.parametrize(
    ("wish", "cause"),
    [
        ("clock nan", "more than 0.3 s"),
        ("clock inf", "more than 0.3 s"),
        ("clock 1e300", "more than 0.3 s"),
        ("never begins", "more than 0.3 s"),
        ("closes its output", "signal SIGKILL"),
        ("odd signal", f"signal {signal.SIGRTMIN + 2}"),
        ("no such outcome", "no valid result"),
        ("endless image", "no valid result"),
    ],
)
def test_one_file_is_lost_when_its_decoder_is_out_of_its_mind(wish, cause):
    with _pool(timeout_s=0.3, module="evil_decoder") as pool:
        assert _failures(pool.decode([memoryview(wish.encode())])) == {0: ("decoder_crash", cause)}


def test_second_result_is_nobodys_when_a_decoder_sends_two_for_one_file():
    with _pool(module="evil_decoder") as pool:
        assert _failures(pool.decode([memoryview(b"two results")])) == {}
        assert pool.restarts == 1


def test_no_file_is_lost_when_many_take_longer_together_than_one_may():
    bodies = [asking(PICTURES[0], "sleep 0.1")] * 16
    with _pool(timeout_s=1.0) as pool:
        assert _failures(_decoded(pool, *bodies)) == {}
        assert pool.restarts == 0


def test_every_bad_file_is_found_when_there_are_many_and_several_processes():
    bodies = PICTURES * 3
    for place, wish in {1: "segfault", 5: "abort", 6: "exit"}.items():
        bodies[place] = asking(bodies[place], wish)
    with _pool(processes=2) as pool:
        failures = _failures(_decoded(pool, *bodies))
        assert {place: cause for place, (_, cause) in failures.items()} == {
            1: "signal SIGSEGV",
            5: "signal SIGABRT",
            6: "exit code 3",
        }
        assert pool.restarts == 6
        assert len(pool.pids) == 2


def test_no_file_is_lost_when_its_decoder_was_killed_from_outside(one, tmp_path):
    before = one.restarts
    bodies = _between(asking(PICTURES[0], f"killed_once {tmp_path}/flag"))
    assert _failures(_decoded(one, *bodies)) == {}
    assert one.restarts - before == 1
    assert (tmp_path / "flag").exists()


def test_no_file_is_lost_when_the_process_was_killed_while_it_had_nothing_to_do(one):
    _decoded(one, PICTURES[0])
    os.kill(one.pids[0], signal.SIGKILL)
    assert _decoded(one, *PICTURES) == [_here(body) for body in PICTURES]


def test_neighbours_are_not_blamed_when_a_file_leaves_its_decoder_broken(one):
    bodies = _between(asking(PICTURES[0], "break"))
    assert _failures(_decoded(one, *bodies)) == {}


def test_a_file_fails_and_the_process_lives_when_its_decoder_raises(one):
    _decoded(one, *PICTURES)
    before = one.restarts
    assert _failures(_decoded(one, *_between(asking(PICTURES[0], "raise")))) == {2: ("decoder_crash", "IndexError")}
    assert one.restarts == before


def test_results_are_not_disturbed_when_a_library_prints(one):
    bodies = [asking(PICTURES[0], "print"), *PICTURES]
    assert _decoded(one, *bodies) == [_here(body) for body in bodies]


def test_the_process_is_renewed_and_no_row_lost_when_it_has_grown():
    bodies = [asking(PICTURES[0], "leak 4000000")] * 150
    with _pool() as pool:
        first = pool.decode([memoryview(PICTURES[0])]) and pool.pids[0]
        assert _failures(_decoded(pool, *bodies)) == {}
        assert pool.pids[0] != first
        # 75 MB short of its limit when it was looked at, after 64 of them, and so for the other 86.
        assert pool.restarts == 2


def test_bodies_of_all_lengths_come_through_when_they_do_not_fit_at_once(one):
    ballast = [0, 1, 3_000_000, 100, 9_000_000, 2_000_000, 2_000_000, 5, 4_194_304, 1_000_000] * 2
    bodies = [PICTURES[place % 5] + bytes(length) for place, length in enumerate(ballast)]
    bodies = [body if not body.startswith(b"RIFF") else PICTURES[2] for body in bodies]
    assert _decoded(one, *bodies) == [_here(body) for body in bodies]


def test_the_limits_hold_when_the_process_has_started(one):
    _decoded(one, PICTURES[0])
    lines = Path(f"/proc/{one.pids[0]}/limits").read_text().splitlines()
    limits = {line[:26].strip(): line[26:].split()[0] for line in lines}
    assert (limits["Max core file size"], limits["Max file size"], limits["Max open files"]) == ("0", "0", "32")
    assert MEMORY_BYTES < int(limits["Max address space"]) < MEMORY_BYTES + 2_000_000_000


def test_the_process_sees_no_credentials_when_the_worker_has_some(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    with _pool() as pool:
        _decoded(pool, PICTURES[0])
        assert b"do not tell" not in Path(f"/proc/{pool.pids[0]}/environ").read_bytes()


def test_no_process_and_no_open_file_is_left_when_the_pool_was_closed():
    before = sorted(os.listdir("/proc/self/fd"))
    with _pool(processes=2) as pool:
        _decoded(pool, *PICTURES)
        pids = pool.pids
        pool.close()
        assert _decoded(pool, PICTURES[0]) == [_here(PICTURES[0])]
    assert all(map(_is_gone, pids))
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_the_call_fails_when_decoding_processes_cannot_start():
    with _pool(module="no_such_module") as pool, pytest.raises(TransientError, match="ended at its start: exit code 1"):
        pool.decode([memoryview(PICTURES[0])])


@pytest.mark.parametrize("wish", ["loop", "sleep 100"])
def test_no_process_is_left_when_the_worker_is_killed_with_a_file_in_hand(wish):
    script = (
        "import sys; from curation.images.decoder_pool import DecoderPool\n"
        "from curation.images.decoder_process import DecoderSettings\n"
        "from curation.images.delivery import DeliverySettings\n"
        "from dying_decoder import asking\n"
        "pool = DecoderPool(DecoderSettings(DeliverySettings(), 100.0, 300_000_000, 'dying_decoder'), 2)\n"
        "pool.decode([memoryview(b'warm'), memoryview(b'up')])\n"
        "print(*pool.pids, flush=True)\n"
        f"pool.decode([memoryview(asking(b'', {wish!r}))] * 2)\n"
    )
    path = os.pathsep.join(place for place in sys.path if place)
    worker = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    with worker:
        pids = [int(pid) for pid in worker.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.5)
        assert not any(map(_is_gone, pids))
        worker.kill()
    assert _wait_until(lambda: all(map(_is_gone, pids)))
