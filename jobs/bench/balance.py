"""Balancing a million captions by half a million entries, against the plain loop of the paper.

`make bench-balance`. Captions and entries are generated: words of 3 to 10 letters whose ranks follow a Zipf law,
entries half of one word and half of two or three, as frequent as chance makes them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from curation.balancing.matching import EntryList
from curation.row_keys import row_keys
from jobs.bench.memory import peak_rss_bytes
from jobs.exit_codes import ExitCode, exit_code_of
from stages.select.balance_metadata import BalanceMetadata, BalanceMetadataConfig

_VOCABULARY = 400_000
_ZIPF = 1.2
_BATCH_ROWS = 250_000
_T = 20
"""Keeps 88 % of these captions: most name some rare word. The time does not depend on it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Generates what is missing, measures in a process of its own, and compares a part with the plain loop."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.balance", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-balance"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--reference-rows", type=int, default=200)
    parser.add_argument("--measure", action="store_true", help="only balance what was generated, and print the cost")
    args = parser.parse_args(argv)
    return exit_code_of(lambda: _measure(args.out) if args.measure else _bench(args))


def _bench(args: argparse.Namespace) -> int:
    _generate(args.out, args.rows, args.entries)
    command = [sys.executable, "-m", "jobs.bench.balance", "--measure", "--out", str(args.out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this module
    measured = json.loads(done.stdout.splitlines()[-1])
    reference = _reference(args.out, args.reference_rows)
    result = {
        "bench": "balance",
        "rows": args.rows,
        "entries": args.entries,
        "max_per_entry": _T,
        **measured,
        **reference,
        "times_faster": round(measured["rows_per_s"] / reference["reference_rows_per_s"]),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    if not result["equal_matches"]:
        raise RuntimeError("the entries found are not those that the plain loop finds")
    return ExitCode.DONE


def _measure(folder: Path) -> int:
    config = BalanceMetadataConfig(metadata=str(folder / "entries.txt"), max_per_entry=_T)
    frame = pl.scan_parquet(sorted(folder.glob("captions-*.parquet")), glob=False)
    started, cpu = time.perf_counter(), time.process_time()
    verdicts = BalanceMetadata(config).decide(frame).collect(engine="streaming")
    seconds = time.perf_counter() - started
    result = {
        "seconds": round(seconds, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "rows_per_s": round(len(verdicts) / seconds),
        "peak_rss_bytes": peak_rss_bytes(),
        "matches": int(verdicts["balance_entries"].sum()),
        "kept": verdicts["reason"].null_count(),
        "no_entry": int((verdicts["reason"] == "no_entry").sum()),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return ExitCode.DONE


def _reference(folder: Path, rows: int) -> dict[str, object]:
    """Looks for every entry in every text, one after the other, as Algorithm 1 of the paper is written down."""
    entries = (folder / "entries.txt").read_text(encoding="utf-8").splitlines()
    texts = pl.read_parquet(folder / "captions-000.parquet", columns=["text"], n_rows=rows)
    spaced = [f" {entry} " for entry in entries]
    found = []
    started = time.perf_counter()
    for text in texts["text"]:
        padded = f" {text} "
        found.append([number for number, entry in enumerate(spaced) if entry in padded])
    seconds = time.perf_counter() - started
    own = EntryList(pl.Series(entries)).named_in(texts)["entries"].to_list()
    return {
        "reference_rows": len(texts),
        "reference_rows_per_s": round(len(texts) / seconds, 1),
        "equal_matches": own == found,
    }


def _generate(folder: Path, rows: int, entries: int) -> None:
    marker = folder / "generated.json"
    wanted = json.dumps({"rows": rows, "entries": entries})
    if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("captions-*.parquet"):
        path.unlink()
    draws = np.random.default_rng(0)
    letters = draws.integers(97, 123, (_VOCABULARY, 10), dtype=np.uint8).view("S10").ravel().astype(str)
    lengths = draws.integers(3, 11, _VOCABULARY)
    words = pl.Series([word[:length] for word, length in zip(letters, lengths, strict=True)]).unique(
        maintain_order=True
    )
    (folder / "entries.txt").write_text("\n".join(_entries(words, entries, draws)) + "\n", encoding="utf-8")
    for number, start in enumerate(range(0, rows, _BATCH_ROWS)):
        count = min(_BATCH_ROWS, rows - start)
        texts = _phrases(words, draws.integers(4, 21, count), draws)
        keys = row_keys("bench", [str(row) for row in range(start, start + count)], texts)
        frame = pl.DataFrame({"row": np.arange(start, start + count), "key": keys, "text": texts})
        frame.write_parquet(folder / f"captions-{number:03d}.parquet")
    marker.write_text(wanted, encoding="utf-8")


def _entries(words: pl.Series, count: int, draws: np.random.Generator) -> list[str]:
    single = words.head(count // 2)
    found = single
    while len(found) < count:
        more = _phrases(words, draws.integers(2, 4, count), draws)
        found = pl.concat([found, more]).unique(maintain_order=True)
    return found.head(count).to_list()


def _phrases(words: pl.Series, lengths: np.ndarray, draws: np.random.Generator) -> pl.Series:
    """(n,) String: so many words each, frequent ones more often."""
    ranks = (draws.zipf(_ZIPF, int(lengths.sum())) - 1) % len(words)
    spoken = pl.DataFrame({"at": np.repeat(np.arange(len(lengths)), lengths), "word": words.gather(ranks)})
    return spoken.group_by("at", maintain_order=True).agg(pl.col("word").str.join(" "))["word"]


if __name__ == "__main__":
    sys.exit(main())
