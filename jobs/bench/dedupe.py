"""`make bench-dedupe`: how fast copies are found, exact and near, beside faiss and imagededup.

The hashes are random with planted near-copies, 0 to 31 bits from another hash. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.engine.remembered import Remembered
from curation.similarity.bands import choose_bands, join_cost_ns
from curation.similarity.hashes import Hashes, distances
from curation.similarity.near_pairs import NearPairs, near_pairs
from curation.similarity.variants import near_pairs_of_variants
from curation.storage.store import Store
from jobs.bench.dedupe_exact import alone, measure_exact
from jobs.exit_codes import ExitCode
from stages.select.remembered_pairs import remembered_pairs

_MAX_DISTANCE = 31
_PLANTED = 0.02
_WEB = 1_000_000_000
_PEER_DISTANCE = 10
"""imagededup's own bound, for its hashes of 64 bits."""
_CHILD = Path(__file__).with_name("imagededup_child.py")


def main(arguments: list[str] | None = None) -> int:
    """Measures, and writes the result as the last line."""
    parser = argparse.ArgumentParser(prog="bench-dedupe", description=__doc__)
    parser.add_argument("--imagededup", default=None, help="python of an environment that has imagededup")
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows with exact copies")
    parser.add_argument("--partitions", type=int, default=16, help="hash partitions of these rows")
    parser.add_argument("--hashes", type=int, nargs="+", default=[100_000, 300_000, 1_000_000], help="PDQ hashes")
    parser.add_argument("--known", type=int, default=1_000_000, help="hashes whose pairs an earlier decision found")
    parser.add_argument("--new", type=int, default=10_000, help="hashes that have come since")
    parser.add_argument("--flat", type=int, default=50_000, help="hashes that faiss compares one with all")
    parser.add_argument("--multi", type=int, default=100_000, help="hashes that faiss looks up in tables")
    parser.add_argument("--peer", type=int, default=20_000, help="hashes for imagededup")
    parser.add_argument("--work", type=Path, default=Path("runs/bench-dedupe"), help="where generated rows are kept")
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"processors": len(os.sched_getaffinity(0))}
    result["exact"] = _told("exact", measure_exact(options.work, options.rows, options.partitions))
    near = [_told("near", alone(measure_near, count)) for count in sorted(options.hashes)]
    result["near"] = near
    result["growth_exponent"] = _exponent(near)
    result["incremental"] = _told("incremental", alone(measure_incremental, options.known, options.new))
    result["projection"] = project(near[-1])
    result["faiss_flat"] = _told("faiss flat", alone(measure_flat, options.flat))
    result["faiss_multi_hash"] = _told("faiss multi-hash", alone(measure_multi_hash, options.multi))
    if options.imagededup:
        result["imagededup"] = _told("imagededup", measure_imagededup(options.imagededup, options.peer))
    sys.stdout.write(json.dumps(result) + "\n")
    return ExitCode.DONE


def _told(name: str, measured: dict[str, Any]) -> dict[str, Any]:
    sys.stderr.write(f"{name}: {json.dumps(measured)}\n")
    return measured


def planted_hashes(count: int, seed: int = 0) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Random hashes of which some are near another, in random order.

    Returns:
        hashes: (n, 8) uint32.
        planted: (m, 2) int64, the places of each planted pair, the smaller first; all within 31 bits.
    """
    draws = np.random.default_rng(seed)
    hashes = draws.integers(0, 2**32, (count, 8), dtype=np.uint32)
    copies = int(count * _PLANTED)
    # The first bits of a random order are flipped, as many as drawn: 0 to 31 different ones.
    order = draws.random((copies, 256)).argsort(axis=1).argsort(axis=1)
    flips = np.packbits(order < draws.integers(0, _MAX_DISTANCE + 1, (copies, 1)), axis=1).view(np.uint32)
    hashes[copies : 2 * copies] = hashes[:copies] ^ flips
    places = draws.permutation(count)
    shuffled = np.empty_like(hashes)
    shuffled[places] = hashes
    planted = np.stack([places[:copies], places[copies : 2 * copies]], axis=1)
    return shuffled, np.sort(planted, axis=1)


def measure_near(count: int) -> dict[str, Any]:
    """Seconds, recall of the planted pairs and precision of all that are found."""
    import resource

    hashes, planted = planted_hashes(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin, cpu = time.perf_counter(), time.process_time()
    pairs = near_pairs(hashes, _MAX_DISTANCE)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    found = pairs.left.astype(np.int64) * count + pairs.right
    right = distances(hashes[pairs.left], hashes[pairs.right]) == pairs.distance
    return {
        "hashes": count,
        "s": round(seconds, 2),
        "cpu_s": round(cpu, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
        "before_gb": round(before * 1024 / 1e9, 2),
        "bands": [(band.bits, band.radius) for band in choose_bands(count, _MAX_DISTANCE)],
        "pairs": len(pairs.left),
        "planted": len(planted),
        "recall": float(np.isin(planted[:, 0] * count + planted[:, 1], found).mean()),
        "precision": float((right & (pairs.distance <= _MAX_DISTANCE)).mean()),
    }


def measure_incremental(known: int, new: int) -> dict[str, Any]:
    """Seconds to find the pairs of all hashes where those of most are remembered, beside comparing all of them.

    Reading, checking and writing what is remembered are part of it.
    """
    hashes, _ = planted_hashes(known + new)
    # As `deduplicate` gives them: rows of one hash are one picture.
    _, first = np.unique(hashes.view("V32").ravel(), return_index=True)
    hashes = hashes[np.sort(first)]
    new = len(hashes) - known
    begin = time.perf_counter()
    expected = near_pairs_of_variants(hashes, (), _MAX_DISTANCE)
    from_scratch = time.perf_counter() - begin
    with TemporaryDirectory(prefix="bench-remembered-") as folder:
        memory = Remembered(Store(folder))
        seconds = []
        pairs = expected
        # The first time nothing is remembered; the last time, nothing is new.
        for given in (hashes[:known], hashes, hashes):
            begin = time.perf_counter()
            pairs = remembered_pairs(memory, (), given, (), _MAX_DISTANCE)
            seconds.append(round(time.perf_counter() - begin, 2))
        kept = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    names = ("left", "right", "distance")
    return {
        "known": known,
        "new": new,
        "from_scratch_s": round(from_scratch, 2),
        "first_s": seconds[0],
        "incremental_s": seconds[1],
        "nothing_new_s": seconds[2],
        "kept_mb": round(kept / 1e6, 1),
        "pairs": len(pairs.left),
        "identical": all(np.array_equal(getattr(pairs, name), getattr(expected, name)) for name in names),
    }


def _exponent(near: list[dict[str, Any]]) -> float:
    """By which power of their number the seconds of processors grow, from the fewest hashes to the most."""
    few, many = near[0], near[-1]
    if few is many:
        return math.nan
    return round(math.log(many["cpu_s"] / few["cpu_s"]) / math.log(many["hashes"] / few["hashes"]), 2)


def project(measured: dict[str, Any], count: int = _WEB) -> dict[str, Any]:
    """What a billion hashes would take, in processor hours and in tasks of a gigabyte.

    The cost model (`bands.py`) gives the work for any number with the bands that are cheapest for it; the ratio of what
    was measured to what it says of the same number corrects it. The join of a band falls into tiles by its upper bits,
    a tile against each one whose upper bits are within the radius: such a pair of tiles is a task.
    """
    correction = measured["cpu_s"] * 1e9 / join_cost_ns(measured["hashes"], _MAX_DISTANCE)
    bands = choose_bands(count, _MAX_DISTANCE)
    # A hash takes 32 bytes for itself, 8 for its window, 8 for its place and bucket, in each of the two tiles.
    tiles = 2 ** math.ceil(math.log2(count * 2 * 48 / 2**30))
    return {
        "hashes": count,
        "bands": [(band.bits, band.radius) for band in bands],
        "measured_to_model": round(correction, 2),
        "processor_hours": round(join_cost_ns(count, _MAX_DISTANCE) * correction / 1e9 / 3600, 1),
        "tiles_per_band_of_1_gib": tiles,
        "formula": "sum over bands of V(w,r) * (7 ns * n / 2 + 11 ns * n^2 / 2^(w+1)) + 250 ns * n + 1.5 ns * 2^w, "
        "V(w,r) = sum of binomials(w, 0..r), times measured_to_model",
    }


def measure_flat(count: int) -> dict[str, Any]:
    """faiss' `IndexBinaryFlat`, which compares every hash with every other, on the same hashes."""
    import faiss

    return _beside_faiss(count, faiss.IndexBinaryFlat(256))


def measure_multi_hash(count: int) -> dict[str, Any]:
    """faiss' `IndexBinaryMultiHash` with 16 tables of 16 bits and one flip: exact, as the join is."""
    import faiss

    index = faiss.IndexBinaryMultiHash(256, 16, 16)
    index.nflip = 1
    return _beside_faiss(count, index)


def _beside_faiss(count: int, index: Any) -> dict[str, Any]:
    hashes, _ = planted_hashes(count)
    ours, pairs = _timed(hashes)
    data = hashes.view(np.uint8).reshape(count, 32)
    begin = time.perf_counter()
    index.add(data)
    # faiss gives what is nearer than its radius.
    limits, _, places = index.range_search(data, _MAX_DISTANCE + 1)
    seconds = time.perf_counter() - begin
    queries = np.repeat(np.arange(count), np.diff(limits.astype(np.int64)))
    once = places > queries
    same = set(zip(queries[once].tolist(), places[once].tolist(), strict=True)) == set(
        zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    )
    return {"hashes": count, "s": round(seconds, 2), "ours_s": ours, "faster": _ratio(seconds, ours), "same": same}


def measure_imagededup(python: str, count: int) -> dict[str, Any]:
    """imagededup's search as its users get it: hashes of 64 bits within 10; ours are of 256 bits within 31."""
    hashes, _ = planted_hashes(count)
    ours, _ = _timed(hashes)
    names = {str(place): value.tobytes().hex() for place, value in enumerate(hashes[:, :2])}
    given = {"hashes": names, "max_distance": _PEER_DISTANCE, "processes": len(os.sched_getaffinity(0))}
    done = subprocess.run(  # noqa: S603 - the environment that the Makefile made
        [python, "-P", str(_CHILD)], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1:], "hashes": count}
    theirs = json.loads(done.stdout.splitlines()[-1])
    seconds = theirs["s"]
    return {"hashes": count, "s": round(seconds, 2), "ours_s": ours, "faster": _ratio(seconds, ours), **_compared()}


def _compared() -> dict[str, str]:
    return {"compared": "its brute_force_cython, 64 bits within 10, with ours, 256 bits within 31; reading left out"}


def _timed(hashes: Hashes) -> tuple[float, NearPairs]:
    """Seconds of the better of two runs, and the pairs."""
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        pairs = near_pairs(hashes, _MAX_DISTANCE)
        seconds.append(time.perf_counter() - begin)
    return round(min(seconds), 3), pairs


def _ratio(theirs: float, ours: float) -> float:
    return round(theirs / ours, 1)


if __name__ == "__main__":
    sys.exit(main())
