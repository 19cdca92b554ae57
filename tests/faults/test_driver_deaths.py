"""Drivers that are killed again and again, at other places, on one folder."""

import os
import signal

from deadly_steps import Plot
from fault_runs import assert_same_end, commits_of, ended, wait_until

PART_ROWS = 12
WORKERS = 2
FETCHED = "pool/fetch_images-*/commits-*/*.json"


def test_only_parts_in_flight_are_asked_for_again_when_the_driver_was_killed_three_times(
    web, undisturbed_web, cluster, tmp_path
):
    undisturbed, asked = undisturbed_web
    before = web.requests()
    out = tmp_path / "out"

    in_measuring = web.work.start(out, plot=Plot(tmp_path / "1"), address=cluster.address)
    wait_until(lambda: len(commits_of(out, FETCHED)) >= 4, in_measuring)
    os.kill(in_measuring.pid, signal.SIGKILL)
    assert ended(in_measuring)[0] == -signal.SIGKILL
    committed = commits_of(out, FETCHED)
    assert len(committed) < 10

    deciding = Plot(tmp_path / "2", decisions=("deduplicate",))
    in_a_decision = web.work.start(out, plot=deciding, address=cluster.address)
    assert ended(in_a_decision)[0] == -signal.SIGKILL
    assert not list(out.glob("decisions/*/commit.json"))

    in_delivery = web.work.start(out, plot=Plot(tmp_path / "3", units={"write_shards": 2}), address=cluster.address)
    assert ended(in_delivery)[0] == -signal.SIGKILL
    assert not list(out.glob("shards/*/manifest.json"))

    # Everything is measured: this one needs no cluster any more.
    last = Plot(tmp_path / "4")
    assert web.work.run(out, plot=last) == 0
    assert_same_end(out, undisturbed)
    again = {path for path, times in (web.requests() - before).items() if times > asked[path]}
    parts = {row // PART_ROWS for path in again for row in web.rows[path]}
    assert parts.isdisjoint(committed)
    assert len(parts) <= WORKERS
    # What was measured before the third death is not measured again.
    assert not any(last.work(kind) for kind in ("fetch_images", "fingerprint", "score_alignment", "recaption"))
