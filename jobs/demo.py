"""The demo: a small internet, the whole recipe, two models, and the truth. `curation demo`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from rich.console import Console
from rich.table import Table

from curation.console.progress import PlainProgress
from curation.engine.events import ItemStart, Listeners
from curation.engine.run import RunResult
from curation.errors import RecipeError
from curation.ledger.open_run import open_ledger
from curation.plan.checks import checked_plan
from curation.recipe.load import parse_recipe
from curation.recipe.yaml_document import parse_yaml
from jobs.curate import curate, summarise
from jobs.exit_codes import ExitCode
from jobs.inspect import run_funnel
from jobs.sandbox.web_folder import SandboxWeb, open_web
from jobs.shard_folders import is_url
from schemas.records import UnitReport
from stages.catalogue import CATALOGUE

RECIPE = "sandbox.yaml"
RAW_STEPS = ("fetch_images", "decode_images", "fingerprint", "write_shards")
"""What is left of the recipe for the model that trains on all that could be downloaded."""


def add_parsers(commands: Any) -> None:
    """Adds `demo` to the command line."""
    parser = commands.add_parser("demo", help="the whole way on a generated web, checked against its truth")
    parser.add_argument("--out", default="runs/demo", type=Path, metavar="DIR")
    parser.add_argument("--pairs", type=int, default=3000, help="rows of the URL list")
    parser.add_argument("--seed", type=int, default=0, help="of the web")
    parser.add_argument("--train-steps", type=int, help="steps of each of the two models; default: the preset's")
    parser.add_argument("--train-seed", type=int, default=0, help="of the two trainings")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(command=demo_command)


def demo_command(args: argparse.Namespace) -> int:
    """`curation demo`."""
    if is_url(args.out) or ":/" in str(args.out):
        raise RecipeError(f"--out {args.out}: the demo serves a web from its folder, which must be on a local disk")
    demo = Demo(args.out, pairs=args.pairs, seed=args.seed)
    summary = demo.run(args.train_steps, args.train_seed)
    path = args.out / "summary.json"
    path.write_text(json.dumps(summary, indent=1) + "\n")
    if args.json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        _show(summary, args.out)
    return ExitCode.QUARANTINED if summary["failed"].get("quarantined") else ExitCode.DONE


class Demo:
    """One demo in a folder; what an earlier one did there is not done again."""

    def __init__(self, out: Path, *, pairs: int, seed: int) -> None:
        self._out = out
        self._pairs = pairs
        self._seed = seed
        self._seconds: dict[str, float] = {}

    def run(self, train_steps: int | None, train_seed: int) -> dict[str, Any]:
        """Everything, in order; the result is what `summary.json` holds."""
        from jobs.sandbox.server import serve

        self._out.mkdir(parents=True, exist_ok=True)
        with self._timed("build_web"):
            web = self._web()
        run_folder = str(self._out / "run")
        with serve(web.folder):
            raw, _ = self._curate(web, run_folder, raw=True)
            curated, summary = self._curate(web, run_folder, raw=False)
        shards = {"raw": f"{run_folder}/{raw.shards}", "curated": f"{run_folder}/{curated.shards}"}
        models = self._models(shards, train_steps, train_seed)
        from jobs.sandbox.truth_check import check_against_truth

        truth = check_against_truth(open_ledger(run_folder).collect(), pl.read_parquet(web.truth_path))
        return {
            "rows_in": summary["rows_in"],
            "kept": summary["kept"],
            "rejected": summary["rejected"],
            "failed": summary["failed"],
            "truth": truth,
            "models": models,
            "seconds": {name: round(seconds, 1) for name, seconds in self._seconds.items()},
            "shards": len(list(Path(shards["curated"]).glob("*.tar"))),
        }

    def _web(self) -> SandboxWeb:
        from jobs.sandbox.web import build_web, free_port

        folder = self._out / "web"
        try:
            port = open_web(folder).port
        except FileNotFoundError:
            port = free_port()
        return build_web(folder, pairs=self._pairs, seed=self._seed, port=port)

    def _curate(self, web: SandboxWeb, folder: str, *, raw: bool) -> tuple[RunResult, dict[str, Any]]:
        text = raw_recipe_text() if raw else recipe_text()
        recipe = parse_recipe(text, RECIPE, CATALOGUE, [f"source.path={json.dumps(str(web.pairs_path))}"])
        timer = _ItemSeconds("raw" if raw else "curated")
        listener = Listeners(PlainProgress(sys.stderr), timer)
        result = curate(recipe, checked_plan(recipe), folder, "ray", listener=listener)
        self._seconds.update(timer.seconds)
        return result, summarise(folder, recipe, result)

    def _models(self, shards: dict[str, str], steps: int | None, seed: int) -> dict[str, dict[str, float]]:
        with self._timed("evaluation_set"):
            data = self._evaluation_set()
        figures = {}
        for name, folder in shards.items():
            with self._timed(f"train_{name}"):
                model = train_small_model(folder, self._out / "models" / f"{name}-{seed}", steps, seed)
            with self._timed(f"evaluate_{name}"):
                figures[name] = evaluate_small_model(model, data)
        return figures

    def _evaluation_set(self) -> Path:
        from jobs.sandbox.evaluation_set import write_evaluation_set

        folder = self._out / "evaluation"
        if not (folder / "complete").exists():
            write_evaluation_set(folder)
            (folder / "complete").touch()
        return folder

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - begin


def recipe_text() -> str:
    """The demo's recipe, as it lies in the package."""
    return files("jobs").joinpath("recipes", RECIPE).read_text(encoding="utf-8")


def raw_recipe_text() -> str:
    """The recipe without its decisions: whatever can be downloaded and decoded becomes a sample."""
    values = parse_yaml(recipe_text(), RECIPE).values
    steps = [step for step in values["steps"] if step["kind"] in RAW_STEPS]
    return yaml.safe_dump({**values, "name": "sandbox_raw", "steps": steps}, sort_keys=False)


def train_small_model(shards: str, out: Path, steps: int | None, seed: int) -> Path:
    """Trains the demo's small dual encoder; the same settings for either kind of data, on its own captions."""
    from jobs.training.loop import train
    from jobs.training.presets import PRESETS

    config = PRESETS["demo"].model_copy(update={"seed": seed, **({"steps": steps} if steps else {})})
    return train(shards, out, config).model


def evaluate_small_model(model: Path, data: Path) -> dict[str, float]:
    """Zero-shot accuracy and image-to-text R@1 on held-out scenes."""
    from jobs.evaluation.evaluate import evaluate

    figures = evaluate(f"local-dir:{model}", data)
    return {"zero_shot": figures["zero_shot"]["top1"], "i2t_r1": figures["retrieval"]["i2t_r1"]}


class _ItemSeconds:
    """Notes how long each item of a run took."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._name = ""
        self.seconds: dict[str, float] = {}

    def item_started(self, start: ItemStart) -> None:
        self._name = f"{self._run}.{start.name}" + ("" if start.kind != "delivery" else ".write")

    def unit_done(self, report: UnitReport) -> None:
        del report

    def item_ended(self, seconds: float) -> None:
        self.seconds[self._name] = seconds


def _show(summary: dict[str, Any], out: Path) -> None:
    console = Console(highlight=False)
    funnel = Table("step", "in", "rejected", "failed", "out", title="funnel")
    for step in run_funnel(str(out / "run")).steps:
        lost = (sum(step.rejected.values()), sum(step.failed.values()))
        funnel.add_row(step.step, *(f"{rows:,}" for rows in (step.rows_in, *lost, step.rows_out)))
    console.print(funnel)
    results = Table("figure", "value", title="against the truth")
    for name, value in summary["truth"].items():
        results.add_row(name, f"{value:.3f}")
    for name, model in summary["models"].items():
        for figure, value in model.items():
            results.add_row(f"model trained on {name} data: {figure}", f"{value:.3f}")
    console.print(results)
    console.print(f"{summary['shards']} shards; ledger and shards in {out / 'run'}, figures in {out / 'summary.json'}")
