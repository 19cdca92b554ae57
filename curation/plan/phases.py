"""Cuts the steps of a recipe into phases, decisions and a delivery, and folds the needs for columns through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from curation.contracts.exchange import Exchange
from curation.contracts.sink import Sink
from curation.contracts.source import Source
from curation.contracts.stage import Stage
from curation.errors import PlanError
from curation.internal_columns import PREFIX, is_internal
from curation.recipe.mistakes import did_you_mean
from curation.recipe.model import Recipe
from schemas.columns import COLUMNS, Role

ALWAYS_GIVEN = ("row", "key")
KEYED_COLUMNS = (*ALWAYS_GIVEN, "url", "caption")
"""Columns of the source that are the same in rows of the same key and place."""


@dataclass(frozen=True)
class Phase:
    """A run of stages that is measured in one go, one commit per part.

    Attributes:
        stages: None in a phase that only brings the source's rows into the pool, for an exchange to read.
        needs: Columns read from outside the phase, `row` and `key` apart.
        persists: Columns of the source that are written, because an exchange reads them.
    """

    stages: tuple[Stage, ...]
    needs: tuple[str, ...] = ()
    persists: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The names of its steps, which also name its folder."""
        return "-".join(stage.config.step_name for stage in self.stages) or "source"

    @property
    def adds(self) -> tuple[str, ...]:
        """Columns it writes, those of its stages that are not transient."""
        made = [name for stage in self.stages for name in stage.spec.adds if COLUMNS[name].role is not Role.TRANSIENT]
        return tuple(made)


@dataclass(frozen=True)
class Decision:
    """One exchange."""

    exchange: Exchange

    @property
    def name(self) -> str:
        """The step's name."""
        return self.exchange.config.step_name


@dataclass(frozen=True)
class Plan:
    """What will be done, in order.

    Attributes:
        producers: For every column, the item that makes it; None for the source.
    """

    source: Source
    items: tuple[Phase | Decision, ...]
    sink: Sink | None
    producers: dict[str, Phase | Decision | None] = field(default_factory=dict)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The measuring items."""
        return tuple(item for item in self.items if isinstance(item, Phase))

    def told_by_keys(self, phase: Phase) -> bool:
        """Whether what a phase measures depends on no more of the source than what keys cover: URL and caption."""
        for name in (*phase.needs, *phase.persists):
            maker = self.producers.get(name)
            if maker is None and name not in KEYED_COLUMNS:
                return False
            if isinstance(maker, Phase) and not self.told_by_keys(maker):
                return False
        return True


def make_plan(recipe: Recipe) -> Plan:
    """The plan of a recipe. Looks at no data.

    Raises:
        PlanError: With one line for each step that reads a column which nobody makes, or makes one again.
    """
    _check_columns(recipe)
    carried = {"url", "caption", *recipe.source.carried}
    items: list[Phase | Decision] = [*_source_phase(recipe, carried), *_cut(recipe)]
    producers: dict[str, Phase | Decision | None] = dict.fromkeys((*ALWAYS_GIVEN, *sorted(carried)))
    for item in items:
        made = item.adds if isinstance(item, Phase) else item.exchange.spec.adds
        producers.update(dict.fromkeys(made, item))
    return Plan(recipe.source, tuple(items), recipe.sink, producers)


def _source_phase(recipe: Recipe, carried: set[str]) -> Iterator[Phase]:
    """A phase of its own for what exchanges read of the source: one column more there repeats no measurement."""
    read = {name for step in recipe.steps if isinstance(step, Exchange) for name in step.spec.requires}
    if read & carried or not isinstance(recipe.steps[0], Stage):
        yield Phase(stages=(), persists=tuple(sorted(read & carried)))


def _cut(recipe: Recipe) -> Iterator[Phase | Decision]:
    stages: list[Stage] = []
    for step in recipe.steps:
        if isinstance(step, Stage):
            stages.append(step)
        if stages and (not isinstance(step, Stage) or step.spec.decides):
            yield Phase(tuple(stages), _needs(stages))
            stages = []
        if isinstance(step, Exchange):
            yield Decision(step)
    if stages:
        yield Phase(tuple(stages), _needs(stages))


def _needs(stages: Iterable[Stage]) -> tuple[str, ...]:
    made: set[str] = set(ALWAYS_GIVEN)
    needs: dict[str, None] = {}
    for stage in stages:
        needs.update(dict.fromkeys(name for name in stage.spec.requires if name not in made))
        made.update(stage.spec.adds)
    return tuple(needs)


def _check_columns(recipe: Recipe) -> None:
    available = {*ALWAYS_GIVEN, "url", "caption", *recipe.source.carried}
    transient: set[str] = set()
    mistakes = [
        f"{recipe.origin}: source: carries the column {name}, but names that begin with {PREFIX} are for columns that "
        "steps make for themselves; carry it under another name"
        for name in recipe.source.carried
        if is_internal(name)
    ]
    for index, step in enumerate(recipe.steps):
        where = f"{recipe.origin}: steps.{index} ({step.config.step_name})"
        spec = step.spec
        if not isinstance(step, Stage) or (index and _ends_phase(recipe.steps[index - 1])):
            transient = set()
        for name in spec.requires:
            if name not in available and name not in transient:
                mistakes.append(f"{where}: reads the column {name}, {_who_makes(name, recipe, index, available)}")
            elif refusal := _refusal(name, step):
                mistakes.append(f"{where}: reads the column {name}, {refusal}")
        mistakes.extend(f"{where}: {mistake}" for mistake in _revisit_mistakes(step))
        for name in spec.adds:
            if name in available or name in transient:
                mistakes.append(
                    f"{where}: makes the column {name}, which is there already; remove one of the two steps"
                )
            elif name not in COLUMNS:
                mistakes.append(f"{where}: makes the column {name}, which schemas/columns.py does not list")
        made = {name for name in spec.adds if name in COLUMNS}
        passing = {name for name in made if COLUMNS[name].role is Role.TRANSIENT}
        transient |= passing
        available |= made - passing
    if mistakes:
        raise PlanError("\n".join(mistakes))


def _revisit_mistakes(step: Stage | Exchange | Sink) -> Iterator[str]:
    written = {name for name in step.spec.adds if name in COLUMNS and COLUMNS[name].role is not Role.TRANSIENT}
    for name in step.spec.revisits if isinstance(step, Stage) else ():
        if name not in written:
            yield f"wants the column {name} back, which it does not write"


def _refusal(name: str, step: Stage | Exchange | Sink) -> str | None:
    """Why a step may not read a column that is there, None where it may."""
    if isinstance(step, Stage) or name not in COLUMNS:
        return None
    if COLUMNS[name].role is Role.VOLATILE:
        return "which differs from run to run; decide by another"
    if isinstance(step, Exchange) and not COLUMNS[name].decidable:
        return "which holds bytes; exchanges decide by figures and embeddings alone"
    return None


def _ends_phase(step: object) -> bool:
    return not isinstance(step, Stage) or step.spec.decides


def _who_makes(name: str, recipe: Recipe, reader: int, available: set[str]) -> str:
    makers = {index: step.config.step_name for index, step in enumerate(recipe.steps) if name in step.spec.adds}
    if not makers:
        return f"which no step makes{did_you_mean(name, sorted(available))}"
    maker = makers[min(makers)]
    if min(makers) < reader:
        return f"which {maker} makes for the stages right behind it alone; put nothing that decides between the two"
    return f"which {maker} makes only later; put {maker} before it"
