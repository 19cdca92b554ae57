"""What the engine costs: no-op stages by the part, fetching and encoding against a bare loop, and the start.

`make bench-engine`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

from jobs.bench.downloaders import QUALITY, SIDE_PX, write_url_list
from jobs.bench.engine_child import FORMS
from jobs.bench.file_server import serve_files
from jobs.bench.photos import PhotoSet, make_photos
from jobs.bench.process_tree import Cost, cost_of
from jobs.exit_codes import ExitCode, exit_code_of

_PROCESSES = 2
_RESOURCES = json.dumps({"CPU": _PROCESSES, "GPU": 1})
"""What Ray is told that this machine has: the GPU is promised to no-op stages and never used."""
_START_PARTS = 2
_START_PART_ROWS = 20
_ROOT = Path(__file__).resolve().parents[2]
TARGETS = {"ms_per_part": 15.0, "driver_peak_mb": 2000.0, "slower": 0.10, "first_row_s": 15.0}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs all three and prints one JSON line for each run, and one for all."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.engine", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-engine"))
    parser.add_argument("--parts", type=int, nargs="*", default=[2500, 5000, 10_000], help="of no-op stages; ascending")
    parser.add_argument("--images", type=int, default=8000, help="for the pipeline; 0: leave it out")
    parser.add_argument("--part-rows", type=int, default=200, help="of the pipeline")
    parser.add_argument("--rounds", type=int, default=3, help="of the pipeline and of the start")
    return exit_code_of(lambda: _bench(parser.parse_args(argv)))


def _bench(args: argparse.Namespace) -> int:
    out = args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    summary: dict[str, Any] = {"bench": "engine", "targets": TARGETS}
    no_op = {form: [_no_op(form, parts, out) for parts in args.parts] for form in FORMS} if args.parts else {}
    for form, figures in no_op.items():
        summary[form] = figures[-1] | growth(figures)
    if args.images:
        photos = out / "photos"
        make_photos(photos, args.images)
        with serve_files(photos, out / "nginx") as port:
            urls = [f"http://127.0.0.1:{port}/{PhotoSet.path_of(index)}" for index in range(args.images)]
            summary["start"] = _start(urls, out, args.rounds)
            summary["pipeline"] = _pipeline(urls, args.part_rows, out, args.rounds)
    _say(summary)
    return ExitCode.DONE


def _say(figures: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def _no_op(form: str, parts: int, out: Path) -> dict[str, Any]:
    run, figures = out / "no-op", out / "figures.json"
    shutil.rmtree(run, ignore_errors=True)
    figures.unlink(missing_ok=True)
    module = ["-m", "jobs.bench.engine_child", form, str(parts), "--out", str(run), "--figures", str(figures)]
    cost = _cost([sys.executable, *module], out, "no-op.log", {"RAY_OVERRIDE_RESOURCES": _RESOURCES})
    told = {"form": form, **json.loads(figures.read_text(encoding="utf-8")), "all_cpu_s": round(cost.cpu_s, 1)}
    _say(told)
    shutil.rmtree(run)
    return told


def growth(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How time and memory grow with the parts: 1 is linear time, and each part's share of memory is told.

    Args:
        figures: Of one form, ascending by `parts`.
    """
    if len(figures) < 2:
        return {}
    parts, took, peak = (np.array([run[name] for run in figures]) for name in ("parts", "steady_s", "driver_peak_mb"))
    return {
        "growth_exponent": round(float(np.polyfit(np.log(parts), np.log(took), 1)[0]), 3),
        "driver_kb_per_part": round(float(np.polyfit(parts, peak, 1)[0]) * 1e3, 2),
    }


def _recipe(urls: Sequence[str], part_rows: int, path: Path, *, encode: bool) -> Path:
    steps: list[dict[str, Any]] = [
        {
            "kind": "fetch_images",
            "concurrency": 32,
            "per_host_concurrency": 64,
            "allow_networks": ["127.0.0.0/8"],
            "allow_ports": None,
            "allow_public": False,
        },
        {"kind": "decode_images", "side_px": SIDE_PX, "resize": "shortest", "quality": QUALITY},
    ]
    if encode:
        scored = {"model": "embedded:clip", "text_column": "caption", "device": "cpu"}
        steps.append({"kind": "score_alignment", **scored})
    recipe = {
        "name": "bench-engine",
        "source": {"kind": "url_table", "path": str(write_url_list(path.with_suffix(".parquet"), urls))},
        "steps": steps,
        "run": {"part_rows": part_rows, "max_workers": _PROCESSES},
    }
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def _start(urls: Sequence[str], out: Path, rounds: int) -> dict[str, Any]:
    """From the command to the first commit of a part of twenty images."""
    recipe = _recipe(urls[: _START_PARTS * _START_PART_ROWS], _START_PART_ROWS, out / "start.yaml", encode=False)
    firsts, costs = [], []
    for _ in range(rounds):
        began = time.time()
        costs.append(_curate(recipe, out))
        firsts.append(min(_ends(out / "run", "pool/*/commits-*/*.json")) - began)
    return {
        "first_row_s": round(median(firsts), 2),
        "wall_s": round(median(cost.wall_s for cost in costs), 2),
        "cpu_s": round(median(cost.cpu_s for cost in costs), 2),
    }


def _pipeline(urls: Sequence[str], part_rows: int, out: Path, rounds: int) -> dict[str, Any]:
    """Fetching, decoding and scoring by a model, on Ray and in a bare loop, in turn."""
    recipe = _recipe(urls, part_rows, out / "pipeline.yaml", encode=True)
    told = []
    for number in range(rounds):
        # Who comes first changes, since what else the machine does favours one of them.
        rates: dict[str, float] = {}
        for form in ("ray", "bare") if number % 2 == 0 else ("bare", "ray"):
            shutil.rmtree(out / "run", ignore_errors=True)
            if form == "ray":
                _together([_curate_command(recipe, out)], out, "curate.log")
                ends = _ends(out / "run", "pool/*/commits-*/*.json")
            else:
                _together([_bare_command(recipe, out, number) for number in range(_PROCESSES)], out, "bare.log")
                ends = _ends(out / "run", "*.parquet")
            rates[form] = steady_rate(ends, _PROCESSES) * part_rows
        told.append(rates)
        _say({"round": number, **{form: round(rate, 1) for form, rate in rates.items()}})
    return {
        "rows": len(urls),
        **{f"{form}_rows_per_s": round(median(rates[form] for rates in told), 1) for form in ("ray", "bare")},
        "slower": round(1 - median(rates["ray"] / rates["bare"] for rates in told), 3),
    }


def steady_rate(ends: Sequence[float], processes: int) -> float:
    """Parts a second while all processes are at work: without their first parts and the start before, or the tail.

    Args:
        ends: When each part was done, in seconds of any clock.
    """
    ordered = sorted(ends)
    counted = ordered[processes - 1 : len(ordered) - processes + 1]
    if len(counted) < 2:
        raise ValueError(f"{len(ordered)} parts are too few for {processes} processes")
    return (len(counted) - 1) / (counted[-1] - counted[0])


def _ends(folder: Path, pattern: str) -> list[float]:
    return [path.stat().st_mtime for path in folder.glob(pattern)]


def _curate(recipe: Path, out: Path) -> Cost:
    shutil.rmtree(out / "run", ignore_errors=True)
    return _cost(_curate_command(recipe, out), out, "curate.log")


def _curate_command(recipe: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "jobs.curate", str(recipe), "--out", str(out / "run")]


def _bare_command(recipe: Path, out: Path, number: int) -> list[str]:
    module = [sys.executable, "-m", "jobs.bench.bare_loop", str(recipe), str(out / "run")]
    return [*module, "--process", str(number), "--processes", str(_PROCESSES)]


def _together(commands: Sequence[Sequence[str]], out: Path, log: str) -> None:
    """Runs commands at once. Nobody looks at what they cost: that would take its share of the processors."""
    with (out / log).open("wb") as file:
        running = [
            subprocess.Popen(  # noqa: S603 - the benchmark's own commands
                command, cwd=_workplace(out), env={**os.environ, **_environment()}, stdout=file, stderr=file
            )
            for command in commands
        ]
        if any([process.wait() for process in running]):
            raise RuntimeError(f"{' '.join(commands[0][1:3])} failed: see {out / log}")


def _cost(command: Sequence[str], out: Path, log: str, environment: Mapping[str, str] | None = None) -> Cost:
    return cost_of(command, _workplace(out), {**_environment(), **(environment or {})}, out / log)


def _workplace(out: Path) -> Path:
    """An empty folder: a folder named `ray` or `stages` beside a command would be imported in place of the package."""
    folder = out / "empty"
    folder.mkdir(exist_ok=True)
    return folder


def _environment() -> dict[str, str]:
    # Each process has one processor, as Ray's workers have.
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    sys.exit(main())
