"""`make bench-texts`: near-copies among captions (`deduplicate_text`) and captions with rare words (`rare_tokens`).

Captions are generated: words whose ranks follow a Zipf law, some with a number of their own, as product names have it.
Planted among them are copies that differ in case and punctuation alone, and near-copies in which one word is another.
What is found is compared with plain loops on as many captions as these can do. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.contracts.exchange import Exchange
from curation.row_keys import row_keys
from jobs.bench.dedupe_exact import alone
from jobs.bench.memory import peak_rss_bytes
from jobs.bench.texts_plain import plain_groups, plain_rarest, similarity
from jobs.exit_codes import ExitCode
from stages.catalogue import CATALOGUE

_VOCABULARY = 1_000_000
_ZIPF = 1.05
_COPIES = 0.1
"""Of all captions; half of them are equal to an earlier one, half near it."""
_NUMBERS = 0.05
"""Captions that end with a number that hardly any other has."""
_BATCH_ROWS = 250_000
_SAMPLE = 20_000
_MIN_COUNT = 20
_THRESHOLD = 0.8

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "deduplicate_text": ("deduplicate_text", {"near": {"threshold": _THRESHOLD}}),
    "deduplicate_text_exact": ("deduplicate_text", {"near": None}),
    "rare_tokens_min_count": ("rare_tokens", {"min_count": _MIN_COUNT}),
    "rare_tokens_most_frequent": ("rare_tokens", {"judge": "words_and_pairs"}),
}
"""What is measured: the exchange and its settings. `most_frequent` is as many tokens as there are captions."""


def main(arguments: list[str] | None = None) -> int:
    """Generates what is missing, measures each exchange in a process of its own, and compares with plain loops."""
    parser = argparse.ArgumentParser(prog="bench-texts", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="captions")
    parser.add_argument("--plain", type=int, default=20_000, help="captions for the plain loops")
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="what is measured")
    parser.add_argument("--work", type=Path, default=Path("runs/bench-texts"), help="where generated captions are kept")
    options = parser.parse_args(arguments)
    result: dict[str, Any] = {"rows": options.rows, "processors": len(os.sched_getaffinity(0))}
    alone(generate, str(options.work), options.rows)
    for name in options.only:
        result[name] = _told(name, alone(measure, str(options.work), options.rows, name))
    alone(generate, str(options.work), options.plain)
    for name in options.only:
        result[f"{name}_plain"] = _told(
            f"{name}, plain loop", alone(beside_plain, str(options.work), options.plain, name)
        )
    sys.stdout.write(json.dumps(result) + "\n")
    same = all(result[f"{name}_plain"]["same"] for name in options.only if name != "deduplicate_text")
    return ExitCode.DONE if same else ExitCode.ERROR


def _told(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    sys.stderr.write(f"{name}: {json.dumps(measured)}\n")
    return measured


def generate(folder: str, rows: int, seed: int = 0) -> None:
    """Captions (`row`, `key`, `text`) in batches, and `planted.parquet` (`row`, `of`: a copy and what it is of)."""
    into = Path(folder) / f"captions-{rows}"
    if (into / "planted.parquet").is_file():
        return
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    draws = np.random.default_rng(seed)
    vocabulary = _vocabulary(draws)
    planted = []
    for start in range(0, rows, _BATCH_ROWS):
        count = min(_BATCH_ROWS, rows - start)
        texts, of = _captions(vocabulary, count, draws)
        numbers = range(start, start + count)
        keys = row_keys("bench", [str(number) for number in numbers], [None] * count)
        frame = pl.DataFrame({"row": np.arange(start, start + count), "key": keys, "text": texts})
        frame.write_parquet(into / f"captions-{start:010d}.parquet")
        planted.append(pl.DataFrame({"row": np.arange(start, start + count), "of": of + start}).filter(of >= 0))
    # Written last: it says that all are there.
    pl.concat(planted).write_parquet(into / "planted.parquet")


def _vocabulary(draws: np.random.Generator) -> npt.NDArray[np.object_]:
    letters = draws.integers(97, 123, (_VOCABULARY, 10), dtype=np.uint8).view("S10").ravel().astype(str)
    lengths = draws.integers(2, 11, _VOCABULARY)
    return np.array([word[:length] for word, length in zip(letters, lengths, strict=True)], object)


def _spoken(count: int, draws: np.random.Generator) -> npt.NDArray[np.int64]:
    """(n,) int64: places in the vocabulary, the first ones often."""
    weights = np.cumsum(np.arange(1, _VOCABULARY + 1, dtype=np.float64) ** -_ZIPF)
    return np.searchsorted(weights, draws.random(count) * weights[-1]).astype(np.int64)


def _captions(
    vocabulary: npt.NDArray[np.object_], count: int, draws: np.random.Generator
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Captions of a median of 9 words, and of which other one in the batch each is a copy: -1 for none."""
    lengths = np.clip(np.rint(draws.lognormal(np.log(9), 0.6, count)), 1, 80).astype(np.int64)
    spoken = vocabulary[_spoken(int(lengths.sum()), draws)]
    stops = np.cumsum(lengths)
    own = [spoken[stop - length : stop].tolist() for stop, length in zip(stops, lengths, strict=True)]
    for place in np.flatnonzero(draws.random(count) < _NUMBERS):
        own[place].append(str(draws.integers(10**9)))
    of = np.full(count, -1, np.int64)
    copies = draws.choice(np.arange(count // 2, count), int(count * _COPIES), replace=False)
    of[copies] = draws.integers(0, count // 2, len(copies))
    texts = [" ".join(words) for words in own]
    for number, place in enumerate(copies):
        words = list(own[of[place]])
        if number % 2:
            words[draws.integers(len(words))] = vocabulary[draws.integers(_VOCABULARY)]
            texts[place] = " ".join(words)
        else:
            texts[place] = ", ".join(words).capitalize() + "."
    return texts, of


def measure(folder: str, rows: int, name: str) -> dict[str, Any]:
    """Seconds, memory and how much of what was planted is found."""
    frame = _frame(folder, rows)
    exchange = _exchange(name, rows)
    begin, cpu = time.perf_counter(), time.process_time()
    verdicts = exchange.decide(frame).collect(engine="streaming")
    seconds, cpu, peak = time.perf_counter() - begin, time.process_time() - cpu, peak_rss_bytes()
    truth = _of_copies if SETTINGS[name][0] == "deduplicate_text" else _of_rarest
    return {
        "s": round(seconds, 2),
        "cpu_s": round(cpu, 2),
        "rows_per_s": round(rows / seconds),
        "peak_mb": round(peak / 1e6),
        "rejected": len(verdicts) - verdicts["reason"].null_count(),
        **truth(folder, rows, name, verdicts.sort("row")),
    }


def _of_copies(folder: str, rows: int, name: str, verdicts: pl.DataFrame) -> dict[str, Any]:
    """Recall of planted copies that reach the threshold, and precision of those rejected, of a sample of each."""
    texts = pl.read_parquet(sorted(Path(folder).glob(f"captions-{rows}/captions-*.parquet")), columns=["text"])["text"]
    planted = pl.read_parquet(Path(folder) / f"captions-{rows}" / "planted.parquet")
    planted = planted.sample(min(_SAMPLE, len(planted)), seed=0)
    least = _THRESHOLD if name == "deduplicate_text" else 1.0
    pairs = [(row, of) for row, of in planted.rows() if similarity(texts[row], texts[of]) >= least]
    groups = verdicts["text_group"]
    together = sum(groups[row] is not None and groups[row] == groups[of] for row, of in pairs)
    gone = verdicts.filter(pl.col("reason").is_not_null()).select("row", "text_group")
    gone = gone.sample(min(_SAMPLE // 10, len(gone)), seed=0)
    members = verdicts.filter(pl.col("text_group").is_in(gone["text_group"].unique().implode()))
    of_group = dict(members.group_by("text_group").agg("row").rows())
    right = sum(
        any(other != row and similarity(texts[row], texts[other]) >= least - 1e-6 for other in of_group[group])
        for row, group in gone.rows()
    )
    return {
        "planted": len(pairs),
        "recall": round(together / max(len(pairs), 1), 5),
        "looked_at": len(gone),
        "precision": round(right / max(len(gone), 1), 5),
    }


def _of_rarest(folder: str, rows: int, name: str, verdicts: pl.DataFrame) -> dict[str, Any]:
    """How often the counts of all rows say what the verdict does, of a sample: words by a plain query over all."""
    words = _frame(folder, rows).select("row", word=pl.col("text").str.to_lowercase().str.extract_all("[a-z0-9]+"))
    words = words.explode("word").drop_nulls()
    counts = words.group_by("word").agg(count=pl.len()).collect(engine="streaming")
    looked = verdicts.sample(min(_SAMPLE, rows), seed=0).select("row", "reason", "text_rarest_count")
    spoken = words.join(looked.lazy().select("row"), on="row", how="semi").collect(engine="streaming")
    least = spoken.join(counts, on="word").group_by("row").agg(least=pl.col("count").min().cast(pl.Int64))
    joined = looked.join(least, on="row", how="left")
    right = joined["text_rarest_count"].eq_missing(joined["least"])
    found: dict[str, Any] = {"looked_at": len(joined), "counts_right": round(int(right.sum()) / max(len(right), 1), 5)}
    if name == "rare_tokens_min_count":
        rare, gone = (joined["least"] < _MIN_COUNT).fill_null(False), joined["reason"].is_not_null()
        found["recall"] = round(int((rare & gone).sum()) / max(int(rare.sum()), 1), 5)
        found["precision"] = round(int((rare & gone).sum()) / max(int(gone.sum()), 1), 5)
    return found


def beside_plain(folder: str, rows: int, name: str) -> dict[str, Any]:
    """The same decision by a plain loop, which looks at all pairs of captions that share anything."""
    frame = _frame(folder, rows)
    texts = frame.select("text").collect()["text"].to_list()
    begin = time.perf_counter()
    verdicts = _exchange(name, rows).decide(frame).collect(engine="streaming").sort("row")
    ours = time.perf_counter() - begin
    gone = verdicts["reason"].is_not_null().to_list()
    plain: Callable[[], list[bool]] = {
        "deduplicate_text": lambda: plain_groups(texts, frame.collect()["key"].to_list(), _THRESHOLD),
        "deduplicate_text_exact": lambda: plain_groups(texts, frame.collect()["key"].to_list(), None),
        "rare_tokens_min_count": lambda: plain_rarest(texts, _MIN_COUNT, None),
        "rare_tokens_most_frequent": lambda: plain_rarest(texts, None, rows),
    }[name]
    begin = time.perf_counter()
    expected = plain()
    seconds = time.perf_counter() - begin
    both = sum(one and other for one, other in zip(gone, expected, strict=True))
    return {
        "rows": rows,
        "s": round(seconds, 2),
        "ours_s": round(ours, 2),
        "faster": round(seconds / ours, 1),
        "rejected": sum(expected),
        "recall": round(both / max(sum(expected), 1), 5),
        "precision": round(both / max(sum(gone), 1), 5),
        "same": gone == expected,
    }


def _frame(folder: str, rows: int) -> pl.LazyFrame:
    return pl.scan_parquet(sorted(Path(folder).glob(f"captions-{rows}/captions-*.parquet")), glob=False)


def _exchange(name: str, rows: int) -> Exchange:
    kind, settings = SETTINGS[name]
    if name == "rare_tokens_most_frequent":
        settings = {**settings, "most_frequent": rows}
    step = CATALOGUE.exchanges[kind]
    return step(step.Config.model_validate(settings, strict=False))


if __name__ == "__main__":
    sys.exit(main())
