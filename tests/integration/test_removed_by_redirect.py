"""A removed picture does not come back by a redirect: over real HTTP, from a list that grows after the removal."""

import json
import shutil

import polars as pl
import pytest
from changing_web import SCOPE, ledger_of, picture, record_of
from json_documents import document
from raw_web import RawWeb

from curation.ledger.open_run import open_run
from jobs.cli import main

RECIPE = """\
name: redirected
source: {kind: url_table, path: LIST}
steps:
  - {kind: deduplicate, name: same_pair, exact: false, perceptual: null, prefer: [first]}
  - {kind: text_rules, min_words: 1}
  - {kind: fetch_images, retries: 0, robots: false, host_failures: null, SCOPE}
  - {kind: decode_images, side_px: 64, min_side: 8}
  - {kind: fingerprint}
  - {kind: deduplicate, perceptual: null, prefer: [first]}
  - {kind: text_prose, max_special_share: 0.9}
  - {kind: select, rules: [{name: wide, column: width, min: 8}]}
  - {kind: write_shards, shard_rows: 4}
run: {part_rows: 4}
"""
FIRST = 8
REMOVED = 3
ELSEWHERE = "127.0.0.2"
"""A host that is removed as a whole."""
BACK = {4, 9, 10, 11}
"""Rows that are redirected to, or past, what was removed."""
NEW = {
    8: "a page of its own",
    9: "redirected to the removed picture",
    10: "redirected past the removed host to another picture",
    11: "redirected to a page of the removed host that is not there",
    12: "the bytes of the removed picture, from a host that nobody removed",
    13: "redirected to a picture that nobody removed",
}


class RedirectingWeb:
    def __init__(self, folder):
        self.web = RawWeb()
        self.list = folder / "list.jsonl"
        self.recipe = folder / "recipe.yaml"
        self.recipe.write_text(RECIPE.replace("LIST", json.dumps(str(self.list))).replace("SCOPE", SCOPE))
        for row in [*range(FIRST), 8]:
            self.web.on(f"/{row}.png", body=picture(row, 0), headers={"Content-Type": "image/png"})
        self.web.on("/4.png", 500)
        self._lists(FIRST)

    def _lists(self, rows):
        lines = [{"url": self.web.url(f"/{row}.png"), "caption": f"picture number {row}"} for row in range(rows)]
        # The same pair twice: a decision stands before the pictures.
        lines[1] = lines[0]
        self.list.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def grow(self):
        removed = self.web.url(f"/{REMOVED}.png")
        self.web.redirect("/4.png", removed)
        self.web.redirect("/9.png", removed)
        self.web.redirect("/10.png", self.web.url("/passing.png", ELSEWHERE))
        self.web.redirect("/passing.png", self.web.url("/0.png"))
        self.web.redirect("/11.png", self.web.url("/nothing.png", ELSEWHERE))
        self.web.on("/12.png", body=picture(REMOVED, 0), headers={"Content-Type": "image/png"})
        self.web.redirect("/13.png", self.web.url("/14.png"))
        self.web.on("/14.png", body=picture(14, 0), headers={"Content-Type": "image/png"})
        self._lists(14)

    def run(self, out, *arguments):
        assert main(["run", str(self.recipe), "--out", str(out), "--runner", "in-process", "--json", *arguments]) == 0
        return ledger_of(out)


@pytest.fixture
def web(tmp_path):
    web = RedirectingWeb(tmp_path)
    yield web
    web.web.close()


@pytest.fixture
def removed_from(web, tmp_path, capsys):
    """A folder from which a URL and a host were removed, before the list grew."""
    out = tmp_path / "out"
    web.run(out)
    (tmp_path / "urls.txt").write_text(web.web.url(f"/{REMOVED}.png") + "\n")
    (tmp_path / "hosts.txt").write_text(ELSEWHERE + "\n")
    lists = ["--urls", str(tmp_path / "urls.txt"), "--domains", str(tmp_path / "hosts.txt")]
    done = document(capsys, "remove", str(out), "--runner", "in-process", *lists)
    assert done["keys"] == 1
    web.grow()
    return out


def ends(ledger, *columns):
    return {row: values for row, *values in ledger.select("row", "outcome", "reason", *columns).iter_rows()}


def keys_held(out, keys):
    """Rows of these keys of which any table of the folder says more than that they are removed."""
    held = []
    for path in out.rglob("*.parquet"):
        table = pl.read_parquet(path)
        if "key" in table.columns:
            rows = table.filter(pl.col("key").is_in(keys))
            held += [(path.name, row) for row in rows.to_dicts() if row.get("reason") != "removed"]
    return held


def test_nothing_of_a_removed_picture_is_delivered_when_redirects_lead_to_it(web, removed_from, tmp_path, capsys):
    out = removed_from
    ledger = web.run(out, "--retry-failed", "http_server_error")
    told = ends(ledger, "detail", "url", "final_url", "sha256")
    assert {row for row, end in told.items() if end[1] == "removed"} == {REMOVED, *BACK}
    assert all(told[row] == ["rejected", "removed", "removal 1", None, None, None] for row in {REMOVED, *BACK})
    assert len(ledger) == 14
    # The copy that nobody removed is kept: what was removed decides about nothing.
    assert {row for row, end in told.items() if end[0] == "kept"} == {0, 2, 5, 6, 7, 8, 12, 13}
    assert told[1][1] == "same_pair.repeated_row"
    shards = pl.read_parquet(f"{out}/{record_of(out).shards}/*.parquet")
    assert set(shards["key"]) == set(ledger.filter(outcome="kept")["key"])

    web.web.requests.clear()
    before = record_of(out)
    assert web.run(out).equals(ledger)
    assert (record_of(out).ledger, record_of(out).shards) == (before.ledger, before.shards)
    assert web.web.requests == []

    capsys.readouterr()
    assert main(["whatif", str(out), "--set", "select.wide.min=9"]) == 0
    assert "8 rows are kept, 8 would be: 0 lost, 0 gained" in capsys.readouterr().out

    fresh = tmp_path / "fresh"
    shutil.copytree(out / "removals", fresh / "removals")
    assert web.run(fresh).equals(ledger)


def test_what_was_measured_of_redirected_rows_is_erased_when_asked_without_a_list(web, removed_from, capsys):
    out = removed_from
    before = web.run(out, "--retry-failed", "http_server_error")
    keys = before.filter(pl.col("row").is_in(BACK))["key"].to_list()
    assert len(keys_held(out, keys)) >= len(keys)

    done = document(capsys, "remove", str(out), "--runner", "in-process")
    assert (done["removal"], done["keys"], len(done["erased"])) == (2, 4, 1)
    assert keys_held(out, keys) == []
    after = ledger_of(out)
    assert ends(after) == ends(before)
    others = ~pl.col("row").is_in(BACK)
    assert after.filter(others).equals(before.filter(others))

    web.web.requests.clear()
    assert document(capsys, "remove", str(out), "--runner", "in-process")["removal"] is None
    assert web.run(out).equals(after)
    assert web.web.requests == []


def test_it_waits_for_a_run_that_goes_on_when_redirected_rows_are_to_be_erased(web, removed_from, capsys):
    web.run(removed_from)
    store, record = open_run(str(removed_from))
    store.write_bytes("run.json", record.model_copy(update={"state": "running"}).to_bytes())
    capsys.readouterr()
    assert main(["remove", str(removed_from), "--runner", "in-process"]) == 2
    assert "a run is going on here, by its record" in capsys.readouterr().err
    assert document(capsys, "remove", str(removed_from), "--run-has-ended", "--no-run")["keys"] == 3


def test_a_row_is_taken_out_when_its_redirect_is_known_before_the_removal(web, tmp_path, capsys):
    web.grow()
    out = tmp_path / "out"
    first = web.run(out)
    # 3, 4, 9 and 12 are one picture.
    assert ends(first)[9] == ["rejected", "deduplicate.exact"]
    (tmp_path / "urls.txt").write_text(web.web.url(f"/{REMOVED}.png") + "\n")
    done = document(capsys, "remove", str(out), "--runner", "in-process", "--urls", str(tmp_path / "urls.txt"))
    assert done["keys"] == 3
    told = ends(ledger_of(out))
    assert {row for row, end in told.items() if end[1] == "removed"} == {3, 4, 9}
    assert told[12] == ["kept", None]


def test_what_was_decided_is_decided_again_when_a_folder_learns_of_a_removal_later(web, tmp_path, capsys):
    web.grow()
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    first = web.run(out)
    assert ends(first)[10] == ["rejected", "deduplicate.exact"]
    web.run(elsewhere)
    (tmp_path / "hosts.txt").write_text(ELSEWHERE + "\n")
    document(capsys, "remove", str(elsewhere), "--no-run", "--domains", str(tmp_path / "hosts.txt"))
    # No URL of the list is of that host: that two rows lead there is known from what was measured alone.
    shutil.copytree(elsewhere / "removals", out / "removals")
    record = json.loads((out / "removals/00000001.json").read_text()) | {"keys": []}
    (out / "removals/00000001.json").write_text(json.dumps(record))
    told = ends(web.run(out))
    assert {row for row, end in told.items() if end[1] == "removed"} == {10, 11}
    assert {row: end for row, end in told.items() if row not in (10, 11)} == {
        row: end for row, end in ends(first).items() if row not in (10, 11)
    }
