"""An object store that is smaller than what is on its way, with room on the disk behind it and without."""

import contextlib
import os
import re
import subprocess
import threading
from pathlib import Path

import pytest
from deadly_steps import Plot
from fault_runs import TOYS, Work, assert_same_end, cluster_of, commits_of, ended, ledger_of, record_of

STORE_BYTES = 80_000_000
SOMEBODY_ELSES_BYTES = 60_000_000
DISK_BYTES = 8 << 20
PART_ROWS = 16
DRAWN = "pool/draw_large-develop_on_gpu-*/commits-*/*.json"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The toys with 10 MB to a part."""
    recipe = tmp_path_factory.mktemp("recipe") / "large.yaml"
    recipe.write_text(TOYS.replace("{kind: draw}", "{kind: draw_large, body_bytes: 1000000}"))
    return Work(recipe)


@pytest.fixture(scope="module")
def undisturbed(work, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed-large")
    assert work.run(folder / "out", plot=Plot(folder / "plot")) == 0
    return folder / "out"


@contextlib.contextmanager
def nearly_full_store(spill_folder):
    """Joins a cluster whose object store is taken up by what somebody else keeps there."""
    import numpy as np
    import ray

    head = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": STORE_BYTES}
    with cluster_of({**head, "object_spilling_directory": str(spill_folder)}) as cluster:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        try:
            kept = [ray.put(np.zeros(SOMEBODY_ELSES_BYTES // 6, np.uint8)) for _ in range(6)]
            yield cluster.address
            del kept
        finally:
            ray.shutdown()


@contextlib.contextmanager
def small_disk(folder):
    """A file system of its own, which only root can mount."""
    options = f"size={DISK_BYTES}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def watched_disk(folder):
    """A list of the bytes that are free on a disk, which grows as long as the block lasts."""
    free, ended_too = [], threading.Event()

    def watch():
        while not ended_too.wait(0.01):
            status = os.statvfs(folder)
            free.append(status.f_bavail * status.f_frsize)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield free
    finally:
        ended_too.set()
        watcher.join()


def spilled_bytes(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def test_the_run_finishes_when_the_object_store_is_smaller_than_the_data(work, undisturbed, short_folder, tmp_path):
    with nearly_full_store(short_folder) as address:
        assert work.run(tmp_path / "out", plot=Plot(tmp_path / "plot"), address=address) == 0
        assert spilled_bytes(short_folder) > 0
    assert_same_end(tmp_path / "out", undisturbed)


def assert_ended_for_lack_of_room(code, out, messages):
    """Finished by other means, set parts aside, or gave up; what is set aside or given up is said, and why."""
    record = record_of(out)
    assert code in (0, 1, 3), messages
    assert "Traceback" not in messages
    if code == 1:
        assert record.state != "finished"
        assert "disk is full" in messages
        return
    ledger = ledger_of(out)
    assert ledger["row"].to_list() == list(range(record.rows))
    lost = {row // PART_ROWS for row, reason in ledger.select("row", "reason").iter_rows() if reason == "quarantined"}
    set_aside = {unit for item in record.items for unit in item.quarantined}
    assert lost == set_aside
    assert bool(set_aside) == (code == 3)
    assert set_aside.isdisjoint(commits_of(out, DRAWN))
    for unit in set_aside:
        assert re.search(rf"unit {unit} is set aside: \w+: Local disk is full", messages)


def test_nothing_is_lost_and_the_next_run_finishes_when_the_disk_for_spilling_is_full(
    work, undisturbed, short_folder, tmp_path
):
    out = tmp_path / "out"
    with small_disk(short_folder), nearly_full_store(short_folder) as address, watched_disk(short_folder) as free:
        code, messages = ended(work.start(out, plot=Plot(tmp_path / "plot"), address=address))
    assert free[0] > 0.9 * DISK_BYTES
    assert min(free) < 0.05 * DISK_BYTES, "Ray found room for everything: nothing was tried"
    assert_ended_for_lack_of_room(code, out, messages)
    committed = commits_of(out, DRAWN)
    rest = Plot(tmp_path / "rest")
    assert work.run(out, plot=rest) == 0
    assert {row // PART_ROWS for row in rest.work("draw_large")} == set(range(7)) - committed
    assert_same_end(out, undisturbed)
