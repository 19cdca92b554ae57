"""The items of a plan, carried out one by one by hand."""

from pathlib import Path

from toy_steps import CATALOGUE

from curation.engine.decisions import decide
from curation.engine.lineage import DecidedItem, Lineage, MeasuredItem
from curation.engine.phase_operators import PhaseWork, phase_operators
from curation.plan.phases import Phase, make_plan
from curation.recipe.load import parse_recipe
from curation.runtime.in_process import InProcessRunner
from curation.storage.layout import SOURCE_WORKSPACE, DecisionLayout, PhaseLayout
from curation.storage.store import Store


class ByHand:
    """A run whose every item is called by the test."""

    def __init__(self, folder: Path, steps: str, rows: int = 40, part_rows: int = 16, catalogue=CATALOGUE) -> None:
        text = f"source: {{kind: counting, rows: {rows}}}\nsteps: [{steps}]\nrun: {{part_rows: {part_rows}}}\n"
        self.recipe = parse_recipe(text, "r.yaml", catalogue)
        self.plan = make_plan(self.recipe)
        self.store = Store(str(folder))
        index = self.recipe.source.index(self.store.child(SOURCE_WORKSPACE))
        self.lineage = Lineage(self.store, self.recipe.source, index, part_rows)
        self.reports = []

    def work(self, phase: Phase, scope: str = "s0", siblings: tuple[str, ...] = ()) -> PhaseWork:
        layouts = tuple(PhaseLayout(phase.name, "m0", sibling) for sibling in siblings)
        return PhaseWork(self.lineage, phase, PhaseLayout(phase.name, "m0", scope), layouts)

    def measure(self, phase: Phase, scope: str = "s0", siblings: tuple[str, ...] = (), parts=None) -> PhaseWork:
        """Measures a phase; parts that are not named are as if they had been set aside."""
        work = self.work(phase, scope, siblings)
        units = range(self.lineage.parts) if parts is None else parts
        InProcessRunner(1).run(phase_operators(work), list(units), self.reports.append)
        self.lineage = self.lineage.then(MeasuredItem(work.layout, work.columns))
        return work

    def decide(self, decision) -> DecidedItem:
        layout = DecisionLayout(decision.name, "d0")
        commit = decide(self.lineage, decision.exchange, layout)
        item = DecidedItem(layout, decision.name, decision.exchange.spec.adds, commit)
        self.lineage = self.lineage.then(item)
        return item

    def all(self, parts=None) -> Lineage:
        """Carries out every item."""
        for item in self.plan.items:
            if isinstance(item, Phase):
                self.measure(item, parts=parts)
            else:
                self.decide(item)
        return self.lineage
