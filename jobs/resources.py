"""What a recipe needs of a cluster, as text and JSON: before a run starts, and in `curation plan`."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from typing import Any

from curation.errors import RecipeError
from curation.plan.costs import MeasuredCosts, measured_costs
from curation.plan.groups import NOWHERE
from curation.plan.phases import Plan
from curation.plan.placement import Node
from curation.plan.pools import PhasePools, Pool, ResourcePlan, plan_resources
from curation.plan.sizing import ClusterResources
from curation.recipe.model import Recipe
from curation.storage.layout import RUN_RECORD
from curation.storage.store import Store
from curation.storage.stored_records import read_record
from schemas.records import RunRecord

_LEAST_MEMORY_BYTES = 10**6
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """What `plan` is told of a cluster, and where it learns what rows cost."""
    parser.add_argument("--address", help="plan for this Ray cluster, as it is now")
    parser.add_argument("--cpus", type=float, help="plan for nodes with so many CPUs each")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs of each node")
    parser.add_argument("--memory", type=_bytes, metavar="BYTES", help="memory of each node, as 64G")
    parser.add_argument("--nodes", type=int, default=1, help="number of nodes")
    parser.add_argument("--rows", type=int, help="rows of the source, for the time that it takes")
    parser.add_argument("--out", metavar="DIR", help="folder of a run whose commits tell what a row costs")


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)i?B?", text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes; write it as 64G")
    count = int(float(found[1]) * _UNITS[found[2]])
    if count < _LEAST_MEMORY_BYTES:
        raise argparse.ArgumentTypeError(f"{text!r} is less than any node has; write it as 64G")
    return count


def asked_resources(args: argparse.Namespace, recipe: Recipe, plan: Plan) -> ResourcePlan | None:
    """The resource plan that `curation plan` was asked for; None where nothing was said of a cluster.

    Raises:
        RecipeError: The cluster is stated twice, or there is none at the address.
    """
    if args.address is not None and args.cpus is not None:
        raise RecipeError("--address asks a cluster and --cpus states one: give one of the two")
    if args.address is None and args.cpus is None:
        return None
    costs, rows = MeasuredCosts(), args.rows
    if args.out is not None:
        store = Store(args.out)
        costs = measured_costs(store)
        if rows is None and store.exists(RUN_RECORD):
            rows = read_record(store, RUN_RECORD, RunRecord).rows
    settings = recipe.run
    return plan_resources(
        plan,
        _nodes(args),
        costs,
        part_rows=settings.part_rows,
        rows=rows,
        max_workers=settings.max_workers,
        # Nodes that are only stated are all of one kind.
        placement=settings.placement if args.cpus is None else NOWHERE,
    )


def _nodes(args: argparse.Namespace) -> Sequence[Node]:
    if args.address is None:
        memory = math.inf if args.memory is None else float(args.memory)
        return [Node(str(number), ClusterResources(args.cpus, args.gpus, memory)) for number in range(args.nodes)]
    from curation.runtime.on_ray.runner import RayRunner

    runner = RayRunner(address=args.address)
    try:
        return runner.capacity()
    except ConnectionError as error:
        raise RecipeError(f"--address {args.address}: there is no Ray cluster: {error}") from error
    finally:
        runner.close()


def resource_values(resources: ResourcePlan) -> dict[str, Any]:
    """The plan as JSON values."""
    cluster = resources.cluster
    memory = None if math.isinf(cluster.memory_bytes) else cluster.memory_bytes
    return {
        "cluster": {"cpus": cluster.cpus, "gpus": cluster.gpus, "memory_bytes": memory},
        "rows": resources.rows,
        "decision_bytes": resources.decision_bytes,
        "phases": [
            {
                "phase": phase.name,
                "pools": [_pool_values(pool) for pool in phase.pools],
                "bottleneck": phase.bottleneck,
                "rows_per_s": phase.rows_per_s,
                "hours": phase.hours,
                "parts_in_flight": phase.parts_in_flight,
                "part_bytes": phase.part_bytes,
                "in_flight_bytes": phase.in_flight_bytes,
                "misfit": phase.misfit,
            }
            for phase in resources.phases
        ],
    }


def _pool_values(pool: Pool) -> dict[str, Any]:
    return {
        "operator": pool.name,
        "workers": pool.workers,
        "cpus": pool.resources.cpus,
        "gpus": pool.resources.gpus,
        "memory_bytes": pool.resources.memory_bytes,
        "part_seconds": pool.unit_seconds,
        "cost": "unknown" if pool.unit_seconds is None else "measured" if pool.measured else "stated",
    }


def resource_text(resources: ResourcePlan) -> str:
    """The plan in lines."""
    cluster = resources.cluster
    memory = "" if math.isinf(cluster.memory_bytes) else f", {cluster.memory_bytes / 1e9:.0f} GB of memory"
    lines = [f"workers on {cluster.cpus:g} CPUs, {cluster.gpus:g} GPUs{memory}:"]
    if cluster.gpus and not any(pool.resources.gpus for phase in resources.phases for pool in phase.pools):
        lines.append("  no step asks for a GPU: one with a model takes one where it says `device: cuda`")
    for phase in resources.phases:
        lines += _phase_lines(phase)
    if resources.decision_bytes:
        lines.append(f"  largest decision: about {_size(resources.decision_bytes)} of columns in the driver's process")
    return "\n".join(lines) + "\n"


def _phase_lines(phase: PhasePools) -> list[str]:
    if phase.misfit:
        return [f"  phase {phase.name} does not fit: {phase.misfit}"]
    lines = [f"  phase {phase.name}"]
    for pool in phase.pools:
        gpus = f" and {pool.resources.gpus:g} GPUs" if pool.resources.gpus else ""
        cost = "cost unknown until the first parts are done"
        if pool.unit_seconds is not None:
            cost = f"{pool.unit_seconds:.3g} s a part, {'measured' if pool.measured else 'stated'}"
        mark = ", sets the pace" if pool.name == phase.bottleneck and len(phase.pools) > 1 else ""
        lines.append(f"    {pool.workers} x {pool.name}: {pool.resources.cpus:g} CPUs{gpus} each; {cost}{mark}")
    between = f", {_size(phase.in_flight_bytes)} of them between pools" if phase.in_flight_bytes else ""
    lines.append(f"    up to {phase.parts_in_flight} parts of {_size(phase.part_bytes)} in flight{between}")
    if phase.rows_per_s is not None:
        took = "" if phase.hours is None else f": {phase.hours:,.1f} hours"
        lines.append(f"    about {phase.rows_per_s:,.0f} rows/s{took}")
    return lines


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
