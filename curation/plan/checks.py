"""Everything that can be found wrong before a run starts, found at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pyarrow as pa

from curation.contracts.exchange import Exchange
from curation.contracts.stage import Stage
from curation.errors import PlanError, RecipeError
from curation.plan.phases import Plan, make_plan
from curation.recipe.mistakes import did_you_mean
from curation.recipe.model import Recipe

logger = logging.getLogger(__name__)

_BUILT_IN = ("CPU", "GPU", "memory", "object_store_memory")


def checked_plan(recipe: Recipe) -> Plan:
    """The plan of a recipe whose source can be read and whose steps found nothing wrong.

    Raises:
        RecipeError: With one line for each mistake: the file, the place in it, and the remedy.
    """
    mistakes = []
    places = [(f"source ({recipe.source.config.step_name})", recipe.source)]
    steps = [(f"steps.{index} ({step.config.step_name})", step) for index, step in enumerate(recipe.steps)]
    for place, checkable in [*places, *steps]:
        try:
            checkable.check()
        except RecipeError as error:
            mistakes.append(f"{recipe.origin}: {place}: {error}")
    if not mistakes:
        mistakes.extend(_captionless(recipe))
    mistakes.extend(_misfits(recipe))
    mistakes.extend(_misplacements(recipe))
    try:
        plan = make_plan(recipe)
    except PlanError as error:
        mistakes.append(str(error))
    except RecipeError:
        # Asking the source for its columns failed, as its check did.
        if not mistakes:
            raise
    if mistakes:
        raise RecipeError("\n".join(mistakes))
    return plan


def check_source_columns(recipe: Recipe, columns: pa.Schema) -> None:
    """Has every stage look at the types of the source's columns, which are known once it is indexed.

    Raises:
        RecipeError: With one line for each mistake.
    """
    mistakes = []
    for index, step in enumerate(recipe.steps):
        if isinstance(step, Stage):
            try:
                step.check_source(columns)
            except RecipeError as error:
                mistakes.append(f"{recipe.origin}: steps.{index} ({step.config.step_name}): {error}")
    if mistakes:
        raise RecipeError("\n".join(mistakes))


def plan_from_afar(recipe: Recipe) -> Plan | None:
    """The plan of a recipe that is to run elsewhere, with what can be known to be wrong without reading any data.

    None where the source has to be read for that, and cannot be from here.

    Raises:
        RecipeError: As `checked_plan`.
    """
    mistakes = list(_misplacements(recipe))
    plan = None
    try:
        plan = make_plan(recipe)
    except PlanError as error:
        mistakes.append(str(error))
    except RecipeError:
        logger.info("%s: its source cannot be read from here", recipe.origin)
    if mistakes:
        raise RecipeError("\n".join(mistakes))
    return plan


def _misplacements(recipe: Recipe) -> Iterator[str]:
    """Yields what `run.placement` says of steps that are not there, or that have no workers to place."""
    steps = {step.config.step_name: step for step in recipe.steps}
    for name, resource in recipe.run.placement.items():
        place = f"{recipe.origin}: run.placement.{name}"
        if name not in steps:
            yield f"{place}: no step has this name{did_you_mean(name, list(steps))}"
        elif isinstance(steps[name], Exchange):
            yield f"{place}: it decides in the driver's process, on the head; only what measures or delivers is placed"
        if resource in _BUILT_IN:
            yield f"{place}: {resource} is what every node has; name a custom resource of the nodes that are meant"


def _captionless(recipe: Recipe) -> Iterator[str]:
    """Yields steps that go by captions where no row has one; what delivers may write none."""
    if recipe.source.has_captions:
        return
    for index, step in enumerate(recipe.steps):
        if step is not recipe.sink and "caption" in step.spec.requires:
            yield (
                f"{recipe.origin}: steps.{index} ({step.config.step_name}): reads `caption`, but the source has none: "
                "name its `caption_column`, or leave the step out"
            )


def _misfits(recipe: Recipe) -> Iterator[str]:
    """Yields what does not fit between an exchange and the steps before it."""
    for index, step in enumerate(recipe.steps):
        if isinstance(step, Exchange):
            try:
                step.check_behind([earlier.config for earlier in recipe.steps[:index]])
            except RecipeError as error:
                yield f"{recipe.origin}: steps.{index} ({step.config.step_name}): {error}"
