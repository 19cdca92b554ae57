"""Curates: `curation plan` and `curation run`. As a Ray job: `python -m jobs.curate RECIPE --out DIR`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from curation.console.progress import LiveProgress, PlainProgress
from curation.contracts.stage import Stage
from curation.engine.events import Listener, Listeners
from curation.engine.meters import MeteredEvents
from curation.engine.metrics import MetricsStream
from curation.engine.revisits import REFRESH, RevisitRequest, check_request, retry_request
from curation.engine.run import Run, RunResult
from curation.errors import RecipeError
from curation.ledger.funnel import make_funnel
from curation.ledger.open_run import scan_ledger
from curation.plan.checks import checked_plan
from curation.plan.phases import Phase, Plan
from curation.plan.pools import ResourcePlan
from curation.recipe.load import load_recipe
from curation.recipe.model import Recipe
from curation.runtime.in_process import InProcessRunner
from curation.runtime.secret_names import secret_values
from curation.storage.store import Store
from curation.tracing.exporters import check_destination
from curation.tracing.traced_events import TracedEvents
from curation.tracing.traced_operator import TracedOperator
from jobs.as_job import add_secret_argument, run_as_job
from jobs.exit_codes import ExitCode
from jobs.presets import preset_names
from jobs.resources import add_cluster_arguments, asked_resources, resource_text, resource_values
from jobs.revisit_report import revisit_summary, revisit_text
from stages.catalogue import CATALOGUE

if TYPE_CHECKING:
    from curation.engine.operator import Runner

RunnerName = Literal["ray", "in-process"]
_REASONS_TOLD = 3


def add_parsers(commands: Any) -> None:
    """Adds `plan` and `run` to the command line."""
    plan = commands.add_parser("plan", help="check a recipe and show what it would do; starts nothing")
    _add_recipe(plan)
    add_cluster_arguments(plan)
    plan.set_defaults(command=plan_command)
    run = commands.add_parser("run", help="carry out a recipe, or go on where an earlier run was left")
    add_run_arguments(run)
    run.set_defaults(command=run_command)


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="YAML file, any fsspec path")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        dest="overrides",
        help="another value for a setting, as select.clip_score.min=0.3 or run.part_rows=1000; several times",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`, shared with the Ray job."""
    _add_recipe(parser)
    add_secret_argument(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the run, any fsspec path")
    parser.add_argument("--runner", choices=["ray", "in-process"], default="ray")
    parser.add_argument("--address", help="Ray cluster to join; default: RAY_ADDRESS, or one on this machine")
    parser.add_argument(
        "--trace", metavar="PLACE", help="otlp://HOST:4318 or a file; in place of the recipe's run.trace"
    )
    parser.add_argument("--metrics-port", type=int, help="port of a Ray of this run's own for Prometheus to ask")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--retry-failed",
        metavar="REASON,...",
        help="measure again the rows that failed for one of these reasons, as the ledger names them (all: for any), "
        "and what follows from them; nothing else is measured again",
    )
    again.add_argument(
        "--refresh",
        action="store_true",
        help="ask again for every image, with If-None-Match and If-Modified-Since where an earlier answer allows it; "
        "only what has changed is downloaded and measured again, what is gone fails, failed rows are tried again",
    )


def _read_recipe(args: argparse.Namespace) -> Recipe:
    try:
        return load_recipe(args.recipe, CATALOGUE, args.overrides)
    except RecipeError as error:
        if args.recipe in preset_names() and not Path(args.recipe).exists():
            raise RecipeError(
                f"{error}; it is the name of a preset: `curation recipes show {args.recipe} > {args.recipe}.yaml`"
            ) from error
        raise


def plan_command(args: argparse.Namespace) -> int:
    """`curation plan`."""
    recipe = _read_recipe(args)
    plan = checked_plan(recipe)
    description = describe_plan(recipe, plan)
    resources = asked_resources(args, recipe, plan)
    if args.json:
        described = {**description, "resources": resource_values(resources) if resources else None}
        sys.stdout.write(json.dumps(described, indent=1) + "\n")
    else:
        sys.stdout.write(_plan_text(description) + (resource_text(resources) if resources else ""))
    if resources:
        resources.check()
    return ExitCode.DONE


def describe_plan(recipe: Recipe, plan: Plan) -> dict[str, Any]:
    """The plan as JSON values: what happens in which order, which columns come and go, what each worker needs."""
    items: list[dict[str, Any]] = []
    for item in plan.items:
        if isinstance(item, Phase):
            steps = [_step_needs(stage, recipe.run.placement) for stage in item.stages]
            items.append({"kind": "phase", "name": item.name, "steps": steps, "reads": item.needs, "adds": item.adds})
        else:
            spec = item.exchange.spec
            items.append({"kind": "decision", "name": item.name, "reads": spec.requires, "adds": spec.adds})
    if plan.sink is not None:
        items.append({"kind": "delivery", "name": plan.sink.config.step_name, "reads": plan.sink.spec.requires})
    return {"recipe": recipe.name, "part_rows": recipe.run.part_rows, "items": items, "resolved": recipe.resolved()}


def _step_needs(stage: Stage, placement: Mapping[str, str]) -> dict[str, Any]:
    """What one worker of a step needs; `nodes` is the resource of the nodes that the recipe places it on."""
    name, needs = stage.config.step_name, stage.spec.resources
    placed = {"nodes": placement[name]} if name in placement else {}
    return {"step": name, "cpus": needs.cpus, "gpus": needs.gpus, **placed}


def _plan_text(description: dict[str, Any]) -> str:
    lines = [f"recipe {description['recipe']}, parts of {description['part_rows']} rows"]
    for item in description["items"]:
        lines.append(f"{item['kind']:>9}  {item['name']}")
        lines.append(f"           reads {', '.join(item['reads']) or 'nothing'}")
        if item.get("adds"):
            lines.append(f"           adds  {', '.join(item['adds'])}")
        placed = [f"{step['step']} on {step['nodes']}" for step in item.get("steps", ()) if "nodes" in step]
        if placed:
            lines.append(f"           nodes {', '.join(placed)}")
    return "\n".join(lines) + "\n"


def run_command(args: argparse.Namespace) -> int:
    """`curation run`."""
    request = request_of(args)
    secret_values(args.secrets)
    recipe = _read_recipe(args)
    plan = checked_plan(recipe)
    if request is not None:
        check_request(plan, request)
    live = sys.stderr.isatty() and not args.json
    progress = LiveProgress(Console(stderr=True)) if live else PlainProgress(sys.stderr)
    try:
        result = curate(
            recipe,
            plan,
            args.out,
            args.runner,
            where=Where(args.address, tuple(args.secrets), args.metrics_port),
            listener=progress,
            request=request,
            watch=Watch(args.trace, _announce),
        )
    finally:
        if isinstance(progress, LiveProgress):
            progress.stop()
    summary = summarise(args.out, recipe, result)
    summary["revisit"] = revisit_summary(result)
    text = _summary_text(summary, args.out) + revisit_text(result, request)
    sys.stdout.write(json.dumps(summary, indent=1) + "\n" if args.json else text)
    return ExitCode.QUARANTINED if result.quarantined else ExitCode.DONE


def request_of(args: argparse.Namespace) -> RevisitRequest | None:
    """What the arguments ask to be asked for again."""
    if args.refresh:
        return REFRESH
    return None if args.retry_failed is None else retry_request(args.retry_failed)


@dataclass(frozen=True)
class Where:
    """The Ray that a run works on.

    Attributes:
        address: Of a cluster; None: RAY_ADDRESS, or a Ray of the run's own.
        secrets: Names of variables of this process's environment that all workers get, too.
        metrics_port: Where a Ray of the run's own is asked for its figures.
    """

    address: str | None = None
    secrets: tuple[str, ...] = ()
    metrics_port: int | None = None


@dataclass(frozen=True)
class Watch:
    """How a run is watched, beside its listener.

    Attributes:
        trace: Where traces go; None: where the recipe says.
        announce: Is told what the run needs of a cluster, before it begins there.
    """

    trace: str | None = None
    announce: Callable[[ResourcePlan], None] | None = None


def curate(
    recipe: Recipe,
    plan: Plan,
    out: str,
    runner_name: RunnerName = "ray",
    *,
    where: Where | None = None,
    listener: Listener,
    request: RevisitRequest | None = None,
    watch: Watch | None = None,
) -> RunResult:
    """Carries out a plan into a folder; what is committed there already is not done again.

    Args:
        request: What of it is to be asked for again all the same.

    Raises:
        RecipeError: Traces cannot go there.
    """
    watch = watch or Watch()
    store = Store(out)
    name = _run_name()
    runner, figures = _make_runner(runner_name, recipe, where or Where())
    traces = _traces(watch.trace or recipe.run.trace, name, recipe)
    heard = Listeners(listener, MetricsStream(store, name), *figures, *traces)
    wrap = TracedOperator if traces else None
    run = Run(recipe, plan, store, runner, heard, request, watch.announce, wrap)
    try:
        return run.execute()
    except KeyboardInterrupt:
        run.interrupted()
        raise
    finally:
        for each in traces:
            each.close()
        runner.close()


def _run_name() -> str:
    """When it began, and chance: drivers that begin in the same second must not write over each other's metrics."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"


def _make_runner(name: RunnerName, recipe: Recipe, where: Where) -> tuple[Runner, list[Listener]]:
    """The runner, and who counts what the driver hears where Prometheus can be told of it."""
    if name == "in-process":
        return InProcessRunner(recipe.run.max_tries, grace_s=recipe.run.grace_s), []
    if where.metrics_port is not None and (where.address or os.environ.get("RAY_ADDRESS")):
        raise RecipeError("--metrics-port: a cluster that is joined has its own (ray start --metrics-export-port)")
    # Importing Ray takes a second that a wrong recipe need not wait for.
    from curation.runtime.on_ray.meter import RayMeter
    from curation.runtime.on_ray.runner import RayRunner

    meter = RayMeter() if recipe.run.metrics else None
    runner = RayRunner(
        recipe.run.max_tries,
        recipe.run.max_workers,
        where.address,
        secrets=where.secrets,
        meter=meter,
        metrics_port=where.metrics_port,
        grace_s=recipe.run.grace_s,
    )
    return runner, [MeteredEvents(meter)] if meter else []


def _traces(destination: str | None, name: str, recipe: Recipe) -> list[TracedEvents]:
    if destination is None:
        return []
    check_destination(destination)
    return [TracedEvents(destination, name, recipe.name)]


def _announce(resources: ResourcePlan) -> None:
    sys.stderr.write(resource_text(resources))
    sys.stderr.flush()


def summarise(out: str, recipe: Recipe, result: RunResult) -> dict[str, Any]:
    """The end of a run as JSON values."""
    # Not by run.json: another driver on the folder may have begun a run since.
    ledger = scan_ledger(Store(out), result.ledger, ceil(result.rows / recipe.run.part_rows))
    funnel = make_funnel(ledger, [step.config.step_name for step in recipe.steps])
    return {
        "rows_in": funnel.rows_in,
        "kept": funnel.kept,
        "rejected": funnel.rejected,
        "failed": funnel.failed,
        "quarantined": [{"item": item, "unit": unit} for item, unit in result.quarantined],
        "ledger": result.ledger,
        "shards": result.shards,
    }


def _summary_text(summary: dict[str, Any], out: str) -> str:
    rejected, failed = sum(summary["rejected"].values()), sum(summary["failed"].values())
    lines = [f"{summary['rows_in']:,} rows in = {summary['kept']:,} kept + {rejected:,} rejected + {failed:,} failed"]
    if reasons := Counter(summary["rejected"]) + Counter(summary["failed"]):
        most = ", ".join(f"{reason} {rows:,}" for reason, rows in reasons.most_common(_REASONS_TOLD))
        more = ", …" if len(reasons) > _REASONS_TOLD else ""
        lines.append(f"gone for: {most}{more}")
    if not summary["rows_in"]:
        lines.append("the source has no rows: is its `path` the right one?")
    elif not summary["kept"]:
        lines.append(f"nothing was kept: `curation funnel {out}` shows at which step rows went")
    folder = out.rstrip("/")
    lines.append(f"ledger: {folder}/{summary['ledger']}")
    if summary["shards"]:
        lines.append(f"shards: {folder}/{summary['shards']}")
    lines.extend(f"set aside: {entry['item']}, unit {entry['unit']}" for entry in summary["quarantined"])
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """The Ray job: the same as `curation run`."""
    parser = argparse.ArgumentParser(prog="python -m jobs.curate", description=__doc__)
    add_run_arguments(parser)
    return run_as_job(parser, run_command, argv)


if __name__ == "__main__":
    sys.exit(main())
