"""Costs of steps, from the commits of a run that was really made."""

import json

import pytest
from toy_runs import execute

from curation.errors import CorruptionError
from curation.plan.costs import measured_costs, spread
from curation.storage.store import Store


def test_costs_are_seconds_a_row_when_commits_tell_time(tmp_path):
    execute(tmp_path / "out", "source.rows=64", log=tmp_path)
    store = Store(str(tmp_path / "out"))
    for path in (tmp_path / "out" / "pool").glob("measure_text-*/commits-*/*.json"):
        commit = json.loads(path.read_text())
        # Parts of 16 rows that took 2, 4, 6 and 8 s.
        commit["seconds"] = {"measure_text": 2.0 * (commit["part"] + 1)}
        path.write_text(json.dumps(commit))
    costs = measured_costs(store)
    assert costs.row_seconds["measure_text"] == pytest.approx(20 / 64)
    assert set(costs.row_seconds) == {"measure_text", "draw", "develop"}
    assert costs.begun == {"measure_text", "draw-develop"}
    size = sum(path.stat().st_size for path in (tmp_path / "out" / "pool").glob("measure_text-*/data/*"))
    assert costs.row_bytes["measure_text"] == pytest.approx(size / 64)


def test_nothing_is_known_when_there_is_no_run(tmp_path):
    costs = measured_costs(Store(str(tmp_path)))
    assert (costs.row_seconds, costs.row_bytes, costs.begun) == ({}, {}, frozenset())


def test_the_commit_is_named_when_it_is_damaged(tmp_path):
    execute(tmp_path / "out", "source.rows=32", log=tmp_path)
    (path,) = (tmp_path / "out" / "pool").glob("measure_text-*/commits-*/00000001.json")
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(CorruptionError, match=r"00000001\.json: not a record of this version"):
        measured_costs(Store(str(tmp_path / "out")))


def test_names_are_spread_over_all_when_some_are_chosen():
    names = [str(place) for place in range(10)]
    assert spread(names, 4) == ["0", "2", "5", "7"]
    assert spread(names, 10) == names
