"""The ledger of a part: every row of the source, with one outcome."""

import pytest
from toy_lineage import ByHand

from curation.engine.ledger_operator import LedgerOperator
from curation.errors import CorruptionError
from curation.storage.layout import UnitsLayout
from schemas.columns import COLUMNS, Role

STEPS = "{kind: measure_text, min_words: 1, decides: true}, {kind: threshold, min: 3}, {kind: draw}, {kind: develop}"
LAYOUT = UnitsLayout("ledger", "l0")


def operator_of(run):
    return LedgerOperator(run.lineage, LAYOUT)


def test_every_row_of_the_part_is_there_with_its_end_when_written(tmp_path):
    run = ByHand(tmp_path, STEPS)
    run.all()
    rows = operator_of(run).ledger_of(1).to_pylist()
    assert [row["row"] for row in rows] == list(range(16, 32))
    ends = {row["row"]: (row["outcome"], row["step"], row["reason"], row["detail"]) for row in rows}
    assert ends[21] == ("rejected", "measure_text", "measure_text.min_words", "0 < 1")
    assert ends[16] == ("rejected", "threshold", "threshold.min", None)
    assert ends[20] == ("failed", "draw", "http_not_found", "404")
    assert ends[17] == ("kept", None, None, None)


def test_columns_are_the_scalars_alone_when_written(tmp_path):
    run = ByHand(tmp_path, STEPS)
    run.all()
    table = operator_of(run).ledger_of(0)
    assert len(set(table.column_names)) == table.num_columns
    assert table.column_names[:5] == ["row", "key", "url", "caption", "page"]
    assert all(COLUMNS[name].role is Role.SCALAR for name in table.column_names if name in COLUMNS)
    assert {"http_status", "width", "text_words"} <= set(table.column_names)


def test_rows_are_failed_at_the_phase_when_it_set_their_part_aside(tmp_path):
    run = ByHand(tmp_path, STEPS)
    first, threshold, second = run.plan.items
    run.measure(first)
    run.decide(threshold)
    run.measure(second, parts=[0, 2])
    rows = operator_of(run).ledger_of(1).to_pylist()
    assert len(rows) == 16
    aside = [row["row"] for row in rows if row["reason"] == "quarantined"]
    assert aside == [row for row in range(16, 32) if row % 7 >= 3]
    assert {row["step"] for row in rows if row["reason"] == "quarantined"} == {"draw-develop"}
    assert {row["text_words"] for row in rows} == set(range(7))


def test_rows_are_not_called_set_aside_when_their_part_was_committed_without_them(tmp_path):
    run = ByHand(tmp_path, STEPS)
    first, threshold, second = run.plan.items
    run.measure(first)
    before = run.lineage
    run.decide(threshold)
    run.measure(second)
    # The verdict is made again, and lets all rows through.
    run.lineage = before.then(run.lineage.items[-1])
    with pytest.raises(
        CorruptionError, match=r"part 1 was measured without row 16, which is alive: .* delete that folder"
    ):
        operator_of(run).ledger_of(1)


def test_a_source_column_stands_once_when_a_phase_persisted_it(tmp_path):
    run = ByHand(tmp_path, "{kind: threshold, column: page, min: 1}, {kind: measure_text}")
    run.all()
    table = operator_of(run).ledger_of(0)
    assert table.column_names.count("page") == 1
    assert table["page"].to_pylist() == [row % 3 for row in range(16)]


def test_the_bytes_are_the_same_when_the_part_was_measured_in_two_goes(tmp_path):
    digests = []
    for number, scopes in enumerate([["s1"], ["s0", "s1"]]):
        run = ByHand(tmp_path / str(number), "{kind: measure_text, decides: true}, {kind: draw}", rows=16)
        words, draw = run.plan.items
        run.measure(words)
        before = run.lineage
        for scope in scopes:
            run.lineage = before
            run.measure(draw, scope, siblings=tuple(other for other in scopes if other < scope))
        operator_of(run).run(0, None)
        digests.append(run.store.read_bytes(f"{LAYOUT.folder}/part-00000000.parquet"))
    assert digests[0] == digests[1]


def test_the_report_counts_the_part_when_it_is_written(tmp_path):
    run = ByHand(tmp_path, STEPS)
    run.all()
    report = operator_of(run).run(1, None).report
    assert report.rows_in == 16 == report.kept + sum(report.rejected.values()) + sum(report.failed.values())
    assert report.rejected == {"measure_text.min_words": 2, "threshold.min": 5}
    assert report.failed == {"http_not_found": 2}
    assert run.store.list(LAYOUT.commits) == ["00000001.json"]
