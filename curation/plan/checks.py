"""Everything that can be found wrong before a run starts, found at once."""

from __future__ import annotations

from collections.abc import Iterator

from curation.contracts.exchange import Exchange
from curation.errors import PlanError, RecipeError
from curation.plan.phases import Plan, make_plan
from curation.recipe.model import Recipe


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
    mistakes.extend(_misfits(recipe))
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


def _misfits(recipe: Recipe) -> Iterator[str]:
    """Yields what does not fit between an exchange and the steps before it."""
    for index, step in enumerate(recipe.steps):
        if isinstance(step, Exchange):
            try:
                step.check_behind([earlier.config for earlier in recipe.steps[:index]])
            except RecipeError as error:
                yield f"{recipe.origin}: steps.{index} ({step.config.step_name}): {error}"
