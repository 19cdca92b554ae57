"""`curation funnel`, `explain` and `query`, over a run that was really made."""

import pytest
from json_documents import document

from jobs.cli import main


def text(capsys, *arguments):
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_the_funnel_goes_from_step_to_step_when_asked(finished_words, capsys):
    funnel = document(capsys, "funnel", finished_words)
    assert (funnel["rows_in"], funnel["kept"]) == (20, 12)
    assert [(step["step"], step["rows_in"], step["rows_out"]) for step in funnel["steps"]] == [
        ("text_rules", 20, 16),
        ("select", 16, 12),
    ]
    shown = text(capsys, "funnel", finished_words)
    assert "20 rows in" in shown
    assert "missing 4" in shown


def test_a_row_is_explained_by_key_or_url_when_asked(finished_words, capsys):
    (row,) = document(capsys, "explain", finished_words, "http://example.com/6.jpg")["rows"]
    assert (row["row"], row["outcome"], row["reason"]) == (6, "rejected", "select.min_text_words")
    assert document(capsys, "explain", finished_words, row["key"])["rows"] == [row]
    shown = text(capsys, "explain", finished_words, row["key"])
    assert f"row 6 (key {row['key']}): rejected at select: select.min_text_words" in shown


def test_the_code_is_2_when_nobody_knows_the_row(finished_words, capsys):
    assert main(["explain", finished_words, "http://example.com/nowhere"]) == 2
    assert capsys.readouterr().err == "http://example.com/nowhere: neither a key nor a URL of this run\n"


def test_sql_is_answered_when_asked(finished_words, capsys):
    answer = document(
        capsys, "query", finished_words, "SELECT outcome, count(*) AS n FROM ledger GROUP BY outcome ORDER BY n"
    )
    assert answer == {
        "columns": ["outcome", "n"],
        "rows": [{"outcome": "rejected", "n": 8}, {"outcome": "kept", "n": 12}],
    }
    assert "kept" in text(capsys, "query", finished_words, "SELECT DISTINCT outcome FROM ledger")


def test_the_document_is_json_when_a_figure_is_none_of_its_numbers(finished_words, capsys):
    answer = document(
        capsys, "query", finished_words, "SELECT LN(-1.0 - row) AS a, LN(0.0 * row) AS b, 0.5 AS c FROM ledger LIMIT 1"
    )
    assert answer["rows"] == [{"a": None, "b": None, "c": 0.5}]


def test_the_code_is_2_when_a_query_reads_a_file(finished_words, capsys):
    assert main(["query", finished_words, "SELECT * FROM read_csv('/etc/passwd')"]) == 2
    assert "read_csv is refused" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["funnel"], ["explain", "x"], ["query", "SELECT 1"]])
def test_the_remedy_is_named_when_there_is_no_run(tmp_path, capsys, command):
    assert main([command[0], str(tmp_path), *command[1:], "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"{tmp_path}: no run here; start one with `curation run RECIPE --out {tmp_path}`\n"
