"""Which stages of a phase share a worker, and what a worker that does several of them needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from curation.contracts.resources import Resources
from curation.contracts.stage import Stage

NOWHERE: Mapping[str, str] = MappingProxyType({})
"""No step is placed."""


def worker_groups(stages: Sequence[Stage], placement: Mapping[str, str] = NOWHERE) -> list[list[Stage]]:
    """Consecutive stages share a worker where they need the same kind of device and of node.

    Args:
        placement: By the name of a step, the custom resource of the nodes it belongs on. A step that is not named goes
            along with those that it shares a worker with.
    """
    groups: list[list[Stage]] = [[]]
    for stage in stages:
        if groups[-1] and not _share_worker(groups[-1], stage, placement):
            groups.append([])
        groups[-1].append(stage)
    return groups


def group_name(group: Sequence[Stage], phase: str) -> str:
    """What a worker of the stages is called: by its steps, or by its phase where it has none."""
    return "-".join(stage.config.step_name for stage in group) or phase


def group_resources(group: Sequence[Stage], placement: Mapping[str, str] = NOWHERE) -> Resources:
    """What a worker needs that does the stages one after the other."""
    needs = [stage.spec.resources for stage in group] or [Resources()]
    memory = [need.memory_bytes for need in needs if need.memory_bytes]
    return Resources(
        cpus=max(need.cpus for need in needs),
        gpus=max(need.gpus for need in needs),
        memory_bytes=sum(memory) or None,
        placement=_placed(group, placement),
    )


def _share_worker(group: Sequence[Stage], stage: Stage, placement: Mapping[str, str]) -> bool:
    if (group[-1].spec.resources.gpus > 0) != (stage.spec.resources.gpus > 0):
        return False
    here, there = _placed(group, placement), placement.get(stage.config.step_name)
    return here is None or there is None or here == there


def _placed(group: Sequence[Stage], placement: Mapping[str, str]) -> str | None:
    named = (placement.get(stage.config.step_name) for stage in group)
    return next((name for name in named if name is not None), None)
