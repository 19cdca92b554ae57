"""The stages of a recipe's one phase in a plain loop: no Ray, no commits, no engine but the stages' own chain.

`python -m jobs.bench.bare_loop RECIPE OUT --process 0 --processes 2`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from curation.engine.lineage import Lineage
from curation.engine.phase_work import PhaseWork
from curation.engine.stage_chain import StageChain
from curation.plan.phases import make_plan
from curation.recipe.load import load_recipe
from curation.storage.column_groups import write_columns
from curation.storage.layout import SOURCE_WORKSPACE, PhaseLayout
from curation.storage.store import Store
from schemas.columns import schema_of
from stages.catalogue import CATALOGUE


def loop(recipe_path: Path, out: Path, process: int, processes: int) -> None:
    """Works on every so-manyeth part, and writes what a run would write of it."""
    recipe = load_recipe(str(recipe_path), CATALOGUE, [])
    (phase,) = make_plan(recipe).phases
    store = Store(str(out))
    index = recipe.source.index(store.child(SOURCE_WORKSPACE))
    lineage = Lineage(store, recipe.source, index, recipe.run.part_rows)
    columns = PhaseWork(lineage, phase, PhaseLayout(phase.name, "bare", "bare")).columns
    chain = StageChain(phase.stages)
    chain.setup()
    try:
        for part in range(process, lineage.parts, processes):
            rows = np.arange(*lineage.bounds(part), dtype=np.int64)
            done = chain.run(lineage.columns_of(part, rows, (*phase.needs, *phase.persists)), part)
            for field in schema_of(*(name for name in columns if name not in done.column_names)):
                done = done.append_column(field.with_nullable(True), pa.nulls(done.num_rows, field.type))
            write_columns(store, f"{part:08d}.parquet", done.select(["row", "key", *columns]))
    finally:
        chain.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one process's share."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.bare_loop", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--process", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args(argv)
    loop(args.recipe, args.out, args.process, args.processes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
