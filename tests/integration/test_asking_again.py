"""`curation run --retry-failed` and `--refresh` over real HTTP, with real models, and killed half way."""

import shutil

import polars as pl
import pytest
from changing_web import PART_ROWS, ROWS, ChangingWeb, delivered, ledger_of, record_of

FAILING = {4: 500, 5: 503, 16: 500, 17: 404, 29: 500}
HEALED = {5: 503, 17: 404}


@pytest.fixture
def web(tmp_path, request):
    web = ChangingWeb(tmp_path, scored=request.param)
    yield web
    web.close()


def values(out, *columns):
    """{row: its values} of the kept rows."""
    kept = ledger_of(out).filter(pl.col("outcome") == "kept")
    return {row[0]: row[1:] for row in kept.select("row", *columns).iter_rows()}


def by_name(out):
    return {(path.parts[0], path.name): data for path, data in delivered(out).items()}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("web", [True], ids=["scored"], indirect=True)
def test_a_run_comes_up_to_the_web_when_it_is_retried_and_refreshed(web, tmp_path):
    out = tmp_path / "out"
    web.failing = FAILING
    assert web.run(out)["failed"] == {"http_server_error": 4, "http_not_found": 1}

    web.forget()
    web.failing = HEALED
    summary = web.run(out, "--retry-failed", "http_server_error,connect_timeout")
    assert web.requests() == [(4, False), (5, False), (16, False), (29, False)]
    assert summary["failed"] == {"http_server_error": 1, "http_not_found": 1}
    assert (summary["revisit"]["asked"], summary["revisit"]["healed"]) == (4, 3)
    before = values(out, "pdq", "clip_score")
    assert set(before) == set(range(ROWS)) - {5, 17}

    web.forget()
    web.failing, web.versions = {29: 410, 30: 500}, {8: 1, 9: 1, 11: 1}
    summary = web.run(out, "--refresh")
    conditional = [row for row in range(ROWS) if (row % 2 == 0 or row % 3 == 0) and row not in (5, 17)]
    assert web.requests() == [(row, row in conditional) for row in range(ROWS)]
    assert sorted(web.bodies) == sorted({8, 9, *range(ROWS)} - ({*conditional} - {8, 9}) - {29, 30})
    figures = {"asked": ROWS, "unchanged": ROWS - 7, "changed": 6, "healed": 2, "lost": 1, "unreached": 1}
    assert {name: summary["revisit"][name] for name in figures} == figures
    after = values(out, "pdq", "clip_score")
    assert set(after) == set(range(ROWS)) - {29}
    assert {row for row in before if row in after and before[row][0] != after[row][0]} == {8, 9, 11}
    assert {row for row in before if row in after and before[row][1] != after[row][1]} == {8, 9, 11}

    web.forget()
    assert web.run(out)["revisit"] is None
    assert web.requests() == []
    web.failing = {29: 410}
    web.run(tmp_path / "fresh")
    assert by_name(tmp_path / "fresh") == by_name(out)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("web", [False], ids=["not scored"], indirect=True)
def test_the_outcome_is_the_same_to_the_byte_when_a_retry_was_killed(web, tmp_path):
    web.failing = dict.fromkeys(range(0, ROWS, 2), 500)
    web.run(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    web.failing = {6: 500, 20: 404}
    retry = ("--retry-failed", "http_server_error")
    whole = web.run(tmp_path / "whole", *retry)

    web.forget()
    web.pause_s = 0.2
    pattern = "pool/fetch_images-*/commits-*/*.json"
    committed = len(list((tmp_path / "killed").glob(pattern)))
    web.kill_when(tmp_path / "killed", lambda: len(list((tmp_path / "killed").glob(pattern))) >= committed + 3, *retry)
    assert (record_of(tmp_path / "killed").state, record_of(tmp_path / "killed").revisit.number) == ("running", 1)
    summary = web.run(tmp_path / "killed", *retry)
    assert delivered(tmp_path / "killed") == delivered(tmp_path / "whole")
    assert summary == whole
    asked = web.rows()
    assert set(asked) == set(range(0, ROWS, 2))
    assert len(asked) - len(set(asked)) <= PART_ROWS
