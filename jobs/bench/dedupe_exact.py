"""What finding exact copies among many rows takes: each measure in a process of its own, which begins small."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from curation.contracts.exchange import GroupingExchange
from curation.contracts.source import Source, SourceIndex
from curation.engine.decisions import decide
from curation.engine.grouping import decide_on_groups
from curation.engine.lineage import Lineage, MeasuredItem
from curation.engine.live_rows import live_frame
from curation.runtime.partitions import LocalPartitions
from curation.similarity.equals import first_of_equals, hashed
from curation.storage.column_groups import write_columns
from curation.storage.column_scan import collect_columns
from curation.storage.layout import DecisionLayout, PhaseLayout
from curation.storage.store import Store
from jobs.bench.memory import peak_rss_bytes
from schemas.columns import schema_of
from schemas.records import PartCommit, PoolFile
from stages.catalogue import CATALOGUE

_COPIES = 0.1
_ROUNDS = 3
"""Of what takes seconds, and by the machine's mood a third more or less: the median is reported."""
_PART_ROWS = 1_000_000
_PHASE = PhaseLayout("measured", "bench", "bench")
_SCHEMA = pa.schema([field.with_nullable(True) for field in schema_of("row", "key", "sha256", "outcome")])


def measure_exact(folder: Path, rows: int, partitions: int) -> dict[str, Any]:
    """Seconds, memory and whether all agree: equal hashes alone, whole decisions at once, by groups and partitioned.

    `decision_committed` is the engine's way from committed parts to committed verdicts, checks included; the others
    collect the verdicts of the exchange.
    """
    pool = folder / f"parts-{rows}"
    alone(_generate, str(pool), rows)
    rounds = sorted((alone(_equal_hashes, str(pool), rows) for _ in range(_ROUNDS)), key=lambda one: one["s"])
    equal = {**rounds[_ROUNDS // 2], "rounds_s": [one["s"] for one in rounds]}
    at_once = alone(_decide, str(pool), rows, 0)
    in_groups = alone(_decide, str(pool), rows, 1)
    on_ray = alone(_decide, str(pool), rows, partitions)
    committed = alone(_decide_committed, str(pool), rows)
    every = (at_once, in_groups, on_ray, committed)
    return {
        "rows": rows,
        "equal_hashes": equal,
        "decision_at_once": at_once,
        "decision_in_groups": in_groups,
        "decision_partitioned": {**on_ray, "partitions": partitions, "limit_per_worker_gib": 1},
        "decision_committed": committed,
        "identical": len({one["verdicts"] for one in every}) == 1,
    }


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, arguments)


def _generate(folder: str, rows: int) -> None:
    """Committed parts: keys of 32 and SHA-256 of 64 digits; a tenth of the rows have those of an earlier one."""
    store = Store(folder)
    draws = np.random.default_rng(rows)
    pictures = np.arange(rows, dtype=np.uint64)
    copies = draws.choice(rows, int(rows * _COPIES), replace=False)
    pictures[copies] = draws.integers(0, rows, len(copies), dtype=np.uint64)
    for part, start in enumerate(range(0, rows, _PART_ROWS)):
        if store.exists(_PHASE.commit(part)):
            continue
        own = pl.DataFrame({"picture": pictures[start : start + _PART_ROWS]}).with_row_index("row", start)
        columns = {
            "row": own["row"].cast(pl.Int64).to_arrow(),
            "key": _digits(own["row"], 2),
            "sha256": _digits(own["picture"], 4),
            "outcome": pa.nulls(len(own), pa.string()),
        }
        file = write_columns(store.child(_PHASE.folder), _PHASE.data(part, "bench"), pa.table(columns, _SCHEMA))
        record = PoolFile(**file.model_dump())
        commit = PartCommit(part=part, rows_in=len(own), rows_measured=len(own), files=(record,))
        store.put_if_absent(_PHASE.commit(part), commit.to_bytes())


def _digits(values: pl.Series, words: int) -> pa.StringArray:
    """So many times 16 hexadecimal digits that hang on a value alone."""
    hashes = np.stack([values.cast(pl.Int64).hash(seed).to_numpy() for seed in range(words)], axis=1)
    digits = hashes.astype(">u8").tobytes().hex().encode()
    places = np.arange(len(values) + 1, dtype=np.int32) * (16 * words)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(places), pa.py_buffer(digits))


def _lineage(folder: str, rows: int) -> Lineage:
    index = SourceIndex(rows, "bench", schema_of("row", "key"))
    # Decisions read what phases have committed, and nothing of the source.
    return Lineage(Store(folder), cast("Source", None), index, _PART_ROWS, (MeasuredItem(_PHASE, ("sha256",)),))


def _equal_hashes(folder: str, rows: int) -> dict[str, Any]:
    """The first row of each hash, read from Parquet."""
    frame = live_frame(_lineage(folder, rows), ["sha256"])
    begin, cpu = time.perf_counter(), time.process_time()
    read = collect_columns(frame.select(hashed(pl.col("sha256")), "row"))
    first = first_of_equals(read["sha256"])
    seconds, cpu, peak = time.perf_counter() - begin, time.process_time() - cpu, _peak_gb()
    copies = int((first != np.arange(len(first), dtype=np.int32)).sum())
    return {"s": round(seconds, 2), "cpu_s": round(cpu, 2), "peak_gb": peak, "copies": copies}


def _decide(folder: str, rows: int, partitions: int) -> dict[str, Any]:
    """The verdicts of a whole decision, collected: with 0 partitions at once, with more than one on Ray."""
    frame = live_frame(_lineage(folder, rows), ["sha256"])
    exchange = _exchange()
    begin, cpu = time.perf_counter(), time.process_time()
    if partitions == 0:
        verdicts = exchange.decide(frame).collect()
    elif partitions == 1:
        verdicts = decide_on_groups(exchange, frame, LocalPartitions(1, Store("."))).collect(engine="streaming")
    else:
        # Ray takes seconds to import, and it starts before the clock is read.
        from curation.runtime.on_ray.runner import RayRunner

        runner = RayRunner()
        cut = runner.partitions(partitions, Store(folder).child("workspace"))
        begin = time.perf_counter()
        verdicts = decide_on_groups(exchange, frame, cut).collect(engine="streaming")
        runner.close()
    # Of this process: partitions on Ray are other ones.
    seconds, cpu, peak = time.perf_counter() - begin, time.process_time() - cpu, _peak_gb()
    return {"s": round(seconds, 2), "cpu_s": round(cpu, 2), "peak_gb": peak, "verdicts": _fingerprint(verdicts)}


def _decide_committed(folder: str, rows: int) -> dict[str, Any]:
    """The engine's `decide`, in groups, as a run of so many rows does it."""
    lineage = _lineage(folder, rows)
    layout = DecisionLayout("deduplicate", f"{time.time_ns():x}")
    begin, cpu = time.perf_counter(), time.process_time()
    commit = decide(lineage, _exchange(), layout, LocalPartitions(1, lineage.store))
    seconds, cpu, peak = time.perf_counter() - begin, time.process_time() - cpu, _peak_gb()
    store = lineage.store.child(layout.folder)
    written = pl.scan_parquet(store.address(commit.file.path), glob=False).drop("key")
    unnamed = written.with_columns(pl.col("reason").str.strip_prefix("deduplicate."))
    verdicts = _fingerprint(unnamed.collect(engine="streaming"))
    lineage.store.delete_folder(layout.folder)
    return {"s": round(seconds, 2), "cpu_s": round(cpu, 2), "peak_gb": peak, "verdicts": verdicts}


def _exchange() -> GroupingExchange:
    step = CATALOGUE.exchanges["deduplicate"]
    exchange = step(step.Config.model_validate({"perceptual": None, "prefer": ["first"]}, strict=False))
    if not isinstance(exchange, GroupingExchange):
        raise TypeError("deduplicate decides on groups")
    return exchange


def _fingerprint(verdicts: pl.DataFrame) -> str:
    """The same for the same verdicts in any order."""
    columns = sorted(verdicts.columns)
    rejected = verdicts["reason"].drop_nulls().len()
    return f"{rejected}-{verdicts.select(columns).hash_rows(3).sort().hash(5).sum():x}"


def _peak_gb() -> float:
    return round(peak_rss_bytes() / 1e9, 2)
