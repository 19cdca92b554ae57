"""What finding exact copies among many rows takes: each measure in a process of its own, which begins small."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curation.contracts.exchange import GroupingExchange
from curation.engine.grouping import decide_on_groups
from curation.runtime.partitions import LocalPartitions
from curation.similarity.equals import first_of_equals
from curation.storage.store import Store
from stages.catalogue import CATALOGUE

_COPIES = 0.1
_CHUNK = 1_000_000


def measure_exact(folder: Path, rows: int, partitions: int) -> dict[str, Any]:
    """Seconds, memory and whether all agree: equal hashes alone, whole decisions at once, by groups and partitioned."""
    path = folder / f"rows-{rows}.parquet"
    if not path.is_file():
        alone(_write_rows, path, rows)
    equal = alone(_equal_hashes, path)
    at_once = alone(_decide, path, 0, "")
    in_groups = alone(_decide, path, 1, "")
    on_ray = alone(_decide, path, partitions, str(folder))
    return {
        "rows": rows,
        "equal_hashes": equal,
        "decision_at_once": at_once,
        "decision_in_groups": in_groups,
        "decision_partitioned": {**on_ray, "partitions": partitions, "limit_per_worker_gib": 1},
        "identical": at_once["verdicts"] == in_groups["verdicts"] == on_ray["verdicts"],
    }


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, arguments)


def _write_rows(path: Path, rows: int) -> None:
    """Rows with keys of 32 and SHA-256 of 64 hexadecimal digits; a tenth of them have those of an earlier row."""
    draws = np.random.default_rng(rows)
    chunks = []
    pictures = np.arange(rows, dtype=np.uint64)
    copies = draws.choice(rows, int(rows * _COPIES), replace=False)
    pictures[copies] = draws.integers(0, rows, len(copies), dtype=np.uint64)
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(0, rows, _CHUNK):
        part = pl.DataFrame({"picture": pictures[at : at + _CHUNK]}).with_row_index("row", at)
        chunks.append(folder / f"{at:012d}.parquet")
        part.select(
            pl.col("row").cast(pl.Int64),
            key=_digits("row", 2),
            sha256=_digits("picture", 4),
            hash=pl.col("picture").hash(9),
        ).write_parquet(chunks[-1])
    pl.scan_parquet(chunks, glob=False).sink_parquet(path)
    for chunk in chunks:
        chunk.unlink()
    folder.rmdir()


def _digits(column: str, words: int) -> pl.Expr:
    """So many times 16 hexadecimal digits that hang on a column alone."""
    hashes = [pl.col(column).hash(seed).reinterpret(signed=False).cast(pl.UInt64) for seed in range(words)]
    return pl.concat_str([each.map_batches(_hexadecimal, pl.String) for each in hashes])


def _hexadecimal(values: pl.Series) -> pl.Series:
    raw = values.to_numpy().astype(">u8").tobytes().hex()
    return pl.Series([raw[at : at + 16] for at in range(0, len(raw), 16)], dtype=pl.String)


def _equal_hashes(path: Path) -> dict[str, Any]:
    """The first row of each hash, read from Parquet."""
    begin = time.perf_counter()
    read = pl.scan_parquet(path).select("hash", "row").collect(engine="streaming")
    first = first_of_equals(read["hash"])
    copies = int((first != np.arange(len(first), dtype=np.int32)).sum())
    return {"s": round(time.perf_counter() - begin, 2), "peak_gb": _peak_gb(), "copies": copies}


def _decide(path: Path, partitions: int, workspace: str) -> dict[str, Any]:
    """A whole decision on keys and hashes as text: with 0 partitions at once, with more than one on Ray."""
    frame = pl.scan_parquet(path)
    exchange = _exchange()
    begin = time.perf_counter()
    if partitions == 0:
        verdicts = exchange.decide(frame).collect()
    elif partitions == 1:
        verdicts = decide_on_groups(exchange, frame, LocalPartitions(1, Store("."))).collect(engine="streaming")
    else:
        # Ray takes seconds to import, and it starts before the clock is read.
        from curation.runtime.ray_data import RayRunner

        runner = RayRunner()
        cut = runner.partitions(partitions, Store(workspace))
        begin = time.perf_counter()
        verdicts = decide_on_groups(exchange, frame, cut).collect(engine="streaming")
        runner.close()
    seconds, peak = time.perf_counter() - begin, _peak_gb()
    return {"s": round(seconds, 2), "peak_gb": peak, "verdicts": _fingerprint(verdicts)}


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
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2)
