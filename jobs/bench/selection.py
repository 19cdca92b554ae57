"""Selecting from a hundred million rows of ten columns, against DuckDB doing the same.

`make bench-select`. The pool of a run is generated as a phase would have committed it: one Parquet file for each
million rows. Its columns have few distinct values each (sizes in steps, scores to four digits, lengths of texts), as
real ones do, all but the key. `decide` is the engine's way from committed parts to committed verdicts, checks included;
`exchange` is the query of `select` alone, its verdicts written to one file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from curation.contracts.source import Source, SourceIndex
from curation.engine.decisions import decide
from curation.engine.lineage import Lineage, MeasuredItem
from curation.engine.live_rows import live_frame
from curation.storage.column_groups import write_columns
from curation.storage.layout import DecisionLayout, PhaseLayout
from curation.storage.store import Store
from jobs.bench.memory import peak_rss_bytes
from jobs.exit_codes import ExitCode, exit_code_of
from schemas.columns import schema_of
from schemas.records import PartCommit, PoolFile
from stages.select.select import Select, SelectConfig

_PART_ROWS = 1_000_000
_SCALARS = (
    "width",
    "height",
    "image_bytes",
    "clip_score",
    "text_chars",
    "text_words",
    "text_language",
    "pdq_quality",
)
_COLUMNS = ("row", "key", *_SCALARS)
_PHASE = PhaseLayout("measured", "bench", "bench")
_LANGUAGES = ["en", "en", "en", "de", "fr", "ja", None]
_QUANTILE, _FRACTION = 0.05, 0.3
RULES: list[dict[str, Any]] = [
    {"column": "width", "min": 200},
    {"name": "shape", "where": "width <= 3 * height AND height <= 3 * width"},
    {"name": "english", "where": "text_language = 'en' AND text_words > 2 AND text_chars > 5"},
    {"column": "pdq_quality", "min": 10},
    {"name": "bytes", "column": "image_bytes", "min_quantile": _QUANTILE},
    {"name": "best", "column": "clip_score", "top_fraction": _FRACTION},
]


def main(argv: Sequence[str] | None = None) -> int:
    """Generates what is missing, measures each way in a process of its own, and prints one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.selection", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-select"))
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--duckdb", type=Path, help="a Python that has duckdb; without one it is left out")
    parser.add_argument("--timeout-s", type=float, default=3600.0, help="for each of the three")
    parser.add_argument("--measure", choices=("decide", "exchange"), help="only this, on what was generated")
    args = parser.parse_args(argv)
    return exit_code_of(lambda: _measure(args) if args.measure else _bench(args))


def _bench(args: argparse.Namespace) -> int:
    _generate(Store(str(args.out)), args.rows)
    result: dict[str, Any] = {"bench": "select", "rows": args.rows, "columns": len(_COLUMNS), "rules": len(RULES)}
    own = [sys.executable, "-m", "jobs.bench.selection", "--out", str(args.out), "--rows", str(args.rows), "--measure"]
    commands = {"decide": [*own, "decide"], "exchange": [*own, "exchange"]}
    if args.duckdb:
        script = Path(__file__).with_name("selection_duckdb.py")
        # Without -P the folder of the script comes first, and its `select` in place of the standard one.
        commands["duckdb"] = [str(args.duckdb), "-P", str(script), str(args.out), str(_QUANTILE), str(_FRACTION)]
    for name, command in commands.items():
        # What waits for no input cannot hang on it, and what hangs all the same is ended.
        done = subprocess.run(  # noqa: S603 - see above
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, timeout=args.timeout_s
        )
        measured = json.loads(done.stdout.splitlines()[-1])
        result |= {f"{name}_{figure}": value for figure, value in measured.items()}
        result[f"{name}_rows_per_s"] = round(args.rows / measured["seconds"])
    kept = {result.pop(f"{name}_kept_sha256") for name in commands}
    if args.duckdb:
        result["decide_to_duckdb"] = round(result["decide_rows_per_s"] / result["duckdb_rows_per_s"], 2)
    sys.stdout.write(json.dumps({**result, "same_kept": len(kept) == 1}) + "\n")
    return ExitCode.DONE


def _measure(args: argparse.Namespace) -> int:
    store = Store(str(args.out))
    select = Select(SelectConfig.model_validate_json(json.dumps({"rules": RULES})))
    lineage = _lineage(store, args.rows)
    started, cpu = time.perf_counter(), time.process_time()
    if args.measure == "decide":
        layout = DecisionLayout("select", f"{time.time_ns():x}")
        commit = decide(lineage, select, layout)
        written = [store.child(layout.folder).locate(commit.file.path), store.locate(layout.commit)]
    else:
        written = [store.locate("verdicts.parquet")]
        select.decide(live_frame(lineage, select.spec.requires)).sink_parquet(written[0], engine="streaming")
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = peak_rss_bytes()
    left = (
        pl.scan_parquet(written[0], glob=False).filter(pl.col("reason").is_null()).select("row").collect()["row"].sort()
    )
    result = {
        "seconds": round(seconds, 2),
        "cpu_s": round(cpu, 2),
        "peak_rss_bytes": peak,
        "kept": len(left),
        "kept_sha256": hashlib.sha256(left.to_numpy().tobytes()).hexdigest(),
    }
    for path in written:
        Path(path).unlink()
    sys.stdout.write(json.dumps(result) + "\n")
    return ExitCode.DONE


def _lineage(store: Store, rows: int) -> Lineage:
    index = SourceIndex(rows, "bench", schema_of("row", "key"))
    # Decisions read what phases have committed, and nothing of the source.
    source = cast("Source", None)
    return Lineage(store, source, index, _PART_ROWS, (MeasuredItem(_PHASE, _SCALARS),))


def _generate(store: Store, rows: int) -> None:
    folder = store.child(_PHASE.folder)
    for part, start in enumerate(range(0, rows, _PART_ROWS)):
        if store.exists(_PHASE.commit(part)):
            continue
        count = min(_PART_ROWS, rows - start)
        file = write_columns(folder, _PHASE.data(part, "bench"), _part(part, start, count))
        record = PoolFile(**file.model_dump())
        commit = PartCommit(part=part, rows_in=count, rows_measured=count, files=(record,))
        store.put_if_absent(_PHASE.commit(part), commit.to_bytes())


def _part(part: int, start: int, count: int) -> pa.Table:
    draws = np.random.default_rng(part)
    # Sizes cluster at what sites make of their images, and scores around 0.2.
    sides = np.array([64, 100, 150, 200, 240, 300, 320, 400, 480, 512, 600, 640, 800, 1024, 1200, 1920])
    width, height = draws.choice(sides, count), draws.choice(sides, count)
    words = draws.geometric(0.12, count)
    frame = pl.DataFrame(
        {
            "row": np.arange(start, start + count),
            "width": width,
            "height": height,
            "image_bytes": (width * height // 8 // 256 + draws.integers(0, 64, count)) * 256,
            "clip_score": draws.normal(0.2, 0.06, count).round(4),
            "text_chars": words * 6 + draws.integers(0, 6, count),
            "text_words": words,
            "text_language": pl.Series(_LANGUAGES).gather(draws.integers(0, len(_LANGUAGES), count)),
            "pdq_quality": draws.integers(0, 101, count),
            "outcome": pl.Series([None], dtype=pl.String).new_from_index(0, count),
        }
    )
    digits = draws.bytes(16 * count).hex().encode()
    places = pa.py_buffer(np.arange(count + 1, dtype=np.int32) * 32)
    keys = pa.StringArray.from_buffers(count, places, pa.py_buffer(digits))
    table = frame.to_arrow().append_column("key", keys)
    return table.select([*_COLUMNS, "outcome"]).cast(_schema())


def _schema() -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema_of(*_COLUMNS, "outcome")])


if __name__ == "__main__":
    sys.exit(main())
