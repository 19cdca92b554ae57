"""One run of no-op stages, in a process of its own: what it took, and what of it the driver took."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from curation.engine.events import ItemStart, Listeners
from curation.engine.metrics import MetricsStream
from curation.engine.run import Run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.on_ray.runner import RayRunner
from curation.storage.store import Store
from jobs.bench.no_op_steps import CATALOGUE
from schemas.records import UnitReport

FORMS = {"one pool": ("false", "false", "false"), "three pools": ("false", "true", "false")}
"""Three stages on the CPU share a worker; with the second one on a GPU, each has its own."""


class PhaseClock:
    """Hears when the phase began, when each part was done, and what the driver had used by then."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}
        self.first_s = 0.0
        self.done_before = 0
        self._item = ""
        self._began = (0.0, 0.0)
        self._times: list[float] = []

    def item_started(self, start: ItemStart) -> None:
        """Notes the time."""
        self._item = start.kind
        self._began = (time.monotonic(), time.process_time())
        self.done_before = start.done

    def unit_done(self, report: UnitReport) -> None:
        """Notes the time."""
        if report.error:
            raise RuntimeError(report.error)
        if self._item == "phase":
            self._times.append(time.monotonic())

    def item_ended(self, seconds: float) -> None:
        """Notes what it took."""
        self.seconds[self._item] = seconds
        self.cpu_s[self._item] = time.process_time() - self._began[1]
        if self._item == "phase" and self._times:
            self.first_s = self._times[0] - self._began[0]

    @property
    def steady_s(self) -> float:
        """Between the first part and the last one."""
        return self._times[-1] - self._times[0] if self._times else 0.0


def run(form: str, parts: int, part_rows: int, out: Path) -> PhaseClock:
    """Runs the three stages over so many parts into a folder."""
    steps = ", ".join(f"{{kind: no_op, name: step_{i}, gpu: {gpu}}}" for i, gpu in enumerate(FORMS[form]))
    source = f"{{kind: made_up_rows, rows: {parts * part_rows}}}"
    text = f"source: {source}\nsteps: [{steps}]\nrun: {{part_rows: {part_rows}}}\n"
    recipe = parse_recipe(text, "no-op.yaml", CATALOGUE)
    store = Store(str(out))
    clock = PhaseClock()
    runner = RayRunner(recipe.run.max_tries)
    try:
        Run(recipe, make_plan(recipe), store, runner, Listeners(clock, MetricsStream(store, "bench"))).execute()
    finally:
        runner.close()
    return clock


def main(argv: Sequence[str] | None = None) -> int:
    """Runs twice: to the end, and once more where everything is committed. Writes its figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.engine_child", description=__doc__)
    parser.add_argument("form", choices=list(FORMS))
    parser.add_argument("parts", type=int)
    parser.add_argument("--part-rows", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    args = parser.parse_args(argv)
    clock = run(args.form, args.parts, args.part_rows, args.out)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    begin = time.monotonic()
    again = run(args.form, args.parts, args.part_rows, args.out)
    resumed_s = time.monotonic() - begin
    if again.done_before != args.parts:
        raise RuntimeError(f"{again.done_before} of {args.parts} parts were committed")
    figures = {
        "parts": args.parts,
        "phase_s": round(clock.seconds["phase"], 2),
        "first_part_s": round(clock.first_s, 2),
        "steady_s": round(clock.steady_s, 3),
        "ms_per_part": round(1e3 * clock.steady_s / max(1, args.parts - 1), 2),
        "driver_ms_per_part": round(1e3 * clock.cpu_s["phase"] / args.parts, 2),
        "driver_peak_mb": round(peak_mb),
        "ledger_ms_per_part": round(1e3 * clock.seconds["ledger"] / args.parts, 2),
        "resumed_s": round(resumed_s, 2),
    }
    args.figures.write_text(json.dumps(figures), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
