"""What asking for other settings costs: `curation whatif`, `diff` and `remove` over a generated pool and ledger.

`make bench-whatif`. Nothing is fetched: the pool has made-up figures in place of those of the demo's phases.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from curation.engine.foresight import Foreseen, Foresight
from curation.engine.lineage import Lineage
from curation.engine.phase_work import PhaseWork
from curation.engine.same_rows import present_slice
from curation.engine.stage_chain import END_COLUMNS
from curation.engine.whatif import what_if
from curation.ledger.diff import diff_ledgers
from curation.ledger.open_run import open_run, scan_ledger
from curation.plan.fingerprints import layout_of
from curation.plan.phases import Phase, make_plan
from curation.recipe.load import parse_recipe
from curation.recipe.model import Recipe
from curation.removals.lists import read_list
from curation.removals.remove import Takedown, carry_out, note_removal
from curation.storage.column_groups import write_columns
from curation.storage.layout import RECIPE, RUN_RECORD, SOURCE_WORKSPACE, PhaseLayout, UnitsLayout
from curation.storage.store import Store
from jobs.exit_codes import ExitCode, exit_code_of
from schemas.columns import COLUMNS
from schemas.records import PartCommit, PoolFile, RunItem, RunRecord, UnitCommit
from stages.catalogue import CATALOGUE

_RECIPE = """
source: {kind: url_table, path: PATH}
steps:
  - {kind: text_rules, min_words: 3}
  - {kind: fetch_images, allow_public: false}
  - {kind: decode_images}
  - {kind: fingerprint}
  - {kind: deduplicate, perceptual: null}
  - {kind: score_alignment, model: "embedded:clip"}
  - {kind: select, rules: [{name: clip_score, column: clip_score, min: 0.5}]}
  - {kind: recaption, model: "embedded:captioner"}
  - {kind: write_shards, shard_rows: 10000}
"""
_LEDGER = UnitsLayout("ledger", "0" * 16)
_SHARES = {"text_rules": 0.1, "recaption": 0.0}
"""Rows that end in a phase; in the others 0.2 do."""


@dataclass(frozen=True)
class GeneratedRun:
    """A folder as a run would leave it, shards apart."""

    store: Store
    recipe: Recipe
    rows: int

    def parse(self, *overrides: str) -> Recipe:
        """The recipe with settings."""
        return parse_recipe(self.store.read_bytes(RECIPE).decode(), "recipe.yaml", CATALOGUE, overrides)


def generate_run(folder: Path, rows: int) -> GeneratedRun:
    """Writes the URL list, the pool and the ledger."""
    rng = np.random.default_rng(0)
    urls = [f"https://host{row % 5000}.example.org/images/{row}.jpg" for row in range(rows)]
    captions = [f"a picture of thing number {row} in a row" for row in range(rows)]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"url": urls, "caption": captions}), folder / "pairs.parquet")
    recipe = parse_recipe(_RECIPE.replace("PATH", str(folder / "pairs.parquet")), "recipe.yaml", CATALOGUE)
    store = Store(str(folder / "run"))
    store.write_bytes(RECIPE, yaml.safe_dump(recipe.resolved()).encode())
    plan = make_plan(recipe)
    index = recipe.source.index(store.child(SOURCE_WORKSPACE))
    lineage = Lineage(store, recipe.source, index, recipe.run.part_rows)
    record = RunRecord(recipe="bench", state="running", rows=rows, parts=lineage.parts, part_rows=lineage.part_rows)
    layout = layout_of(recipe.source, index, lineage.part_rows)
    layouts = Foresight(lineage, layout, record, ()).layouts(plan)
    keys = [lineage.source_rows(part)["key"].combine_chunks() for part in range(lineage.parts)]
    alive = np.ones(rows, dtype=bool)
    items = []
    for phase in plan.phases:
        place = layouts[phase.name]
        columns = PhaseWork(lineage, phase, place).columns
        dead = alive & (rng.random(rows) < _SHARES.get(phase.name, 0.2))
        _write_phase(lineage, phase, place, keys, alive, dead, rng)
        alive &= ~dead
        items.append(
            RunItem(
                kind="phase",
                name=phase.name,
                folder=place.folder,
                commits=place.commits,
                units=lineage.parts,
                columns=columns,
            )
        )
    record = record.model_copy(update={"items": tuple(items)})
    seen = Foresight(lineage, layout, record, ()).foresee(plan)
    _write_ledger(lineage, seen)
    record = record.model_copy(update={"state": "finished", "ledger": _LEDGER.folder})
    store.write_bytes(RUN_RECORD, record.to_bytes())
    return GeneratedRun(store, recipe, rows)


def _write_phase(
    lineage: Lineage,
    phase: Phase,
    place: PhaseLayout,
    keys: list[pa.Array],
    alive: np.ndarray,
    dead: np.ndarray,
    rng: np.random.Generator,
) -> None:
    for part in range(lineage.parts):
        start, stop = lineage.bounds(part)
        chosen = start + np.flatnonzero(alive[start:stop])
        table = pa.table({"row": chosen, "key": keys[part].take(pa.array(chosen - start))})
        for name in (*phase.persists, *phase.adds):
            table = table.append_column(name, _made_up(COLUMNS[name].type, chosen, rng))
        ends = dict(zip(END_COLUMNS, ("rejected", phase.stages[0].config.step_name, "made_up", "1 < 2"), strict=True))
        for name in END_COLUMNS:
            values = np.where(dead[chosen], ends[name], None)
            table = table.append_column(name, pa.array(values.tolist(), pa.string()))
        file = write_columns(lineage.store.child(place.folder), place.data(part, "0" * 12), table)
        files = (PoolFile(**file.model_dump()),)
        commit = PartCommit(
            part=part,
            rows_in=len(chosen),
            rows_measured=len(chosen),
            files=files,
            source=present_slice(lineage, part),
        )
        lineage.store.put_if_absent(place.commit(part), commit.to_bytes())


def _made_up(kind: pa.DataType, rows: np.ndarray, rng: np.random.Generator) -> pa.Array:
    if pa.types.is_floating(kind):
        return pa.array(rng.random(len(rows)), kind)
    if pa.types.is_integer(kind):
        return pa.array(rng.integers(0, 100, len(rows)), kind)
    if pa.types.is_string(kind):
        # One in ten is another's copy.
        return pa.array([f"{row - row % 10 if row % 10 == 1 else row:064x}" for row in rows.tolist()], kind)
    return pa.nulls(len(rows), kind)


def _write_ledger(lineage: Lineage, seen: Foreseen) -> None:
    ends = seen.ends.to_arrow()
    by_row = {row: place for place, row in enumerate(ends["row"].to_pylist())}
    for part in range(lineage.parts):
        table = lineage.source_rows(part)
        places = [by_row.get(row) for row in table["row"].to_pylist()]
        for name in ("outcome", "step", "reason"):
            column = ends[name].take(pa.array(places, pa.int64())).cast(pa.string())
            table = table.append_column(name, column.fill_null("kept") if name == "outcome" else column)
        table = table.append_column("detail", pa.array(["0.1 < 0.5"] * len(table), pa.string()))
        file = write_columns(lineage.store.child(_LEDGER.folder), f"part-{part:08d}.parquet", table)
        lineage.store.put_if_absent(_LEDGER.commit(part), UnitCommit(unit=part, files=(file,)).to_bytes())


def measure(run: GeneratedRun, scratch: Path) -> dict[str, float]:
    """Seconds of each command."""
    seconds: dict[str, float] = {}
    record = open_run(run.store.url)[1]
    for name, setting in (
        ("whatif_stricter", "select.rules.clip_score.min=0.75"),
        ("whatif_looser", "select.rules.clip_score.min=0.25"),
        ("whatif_dedupe", "deduplicate.exact=false"),
    ):
        begin = time.perf_counter()
        what_if(run.store, record, run.recipe, run.parse(setting))
        seconds[name] = time.perf_counter() - begin
    begin = time.perf_counter()
    ledger = scan_ledger(run.store, _LEDGER.folder)
    diff_ledgers(ledger, ledger)
    seconds["diff"] = time.perf_counter() - begin
    listed = scratch / "urls.txt"
    listed.write_text("".join(f"http://host{row % 5000}.example.org/images/{row}.jpg\n" for row in range(1000)))
    file, entries = read_list("urls", str(listed))
    begin = time.perf_counter()
    note_removal(run.store, record, run.recipe.source, Takedown((file,), {"urls": entries}))
    seconds["remove_find"] = time.perf_counter() - begin
    begin = time.perf_counter()
    carry_out(run.store)
    seconds["remove_erase"] = time.perf_counter() - begin
    return {name: round(value, 2) for name, value in seconds.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Generates a folder, asks, and prints the seconds."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.whatif", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args(argv)
    return exit_code_of(lambda: _bench(args.rows))


def _bench(rows: int) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        run = generate_run(Path(scratch), rows)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = measure(run, Path(scratch))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {"generating_gb": round(memory / 2**20, 2), "peak_gb": round(peak / 2**20, 2)}
    sys.stdout.write(json.dumps({"bench": "whatif", "rows": rows, "seconds": seconds, **figures}) + "\n")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
