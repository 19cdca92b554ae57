"""Metrics: one JSON line for each thing that happened."""

import json

from curation.engine.events import ItemStart, Listeners
from curation.engine.metrics import MetricsStream
from curation.storage.store import Store
from schemas.records import UnitReport


def test_each_item_has_a_file_of_its_own_when_a_run_goes_on(tmp_path):
    stream = Listeners(MetricsStream(Store(str(tmp_path)), "r1"))
    for name in ("fetch", "select"):
        stream.item_started(ItemStart("phase", name, 2, 1))
        stream.unit_done(UnitReport(unit=1, rows_in=5, kept=3, rejected={"a.b": 2}, seconds={"fetch": 0.5}))
        stream.item_ended(1.23456)
    assert sorted(path.name for path in (tmp_path / "metrics").iterdir()) == [
        "r1-01-fetch.jsonl",
        "r1-02-select.jsonl",
    ]
    lines = [json.loads(line) for line in (tmp_path / "metrics" / "r1-01-fetch.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "unit", "end"]
    assert all((line["run"], line["item"], line["kind"]) == ("r1", "fetch", "phase") for line in lines)
    assert (lines[0]["units"], lines[0]["done"]) == (2, 1)
    assert lines[1]["rejected"] == {"a.b": 2}
    assert lines[1]["seconds"] == {"fetch": 0.5}
    assert lines[2]["seconds"] == 1.235
