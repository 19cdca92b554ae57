"""Which of the rows that were asked for again are others than they were: each case by hand."""

import numpy as np
import pyarrow as pa
import pytest
from toy_web import RECIPE, WEB_CATALOGUE, ToyWeb, visit

from curation.engine.earlier_rows import earlier_rows
from curation.engine.lineage import Lineage, MeasuredItem
from curation.engine.measured_again import settle
from curation.engine.phase_work import PhaseWork
from curation.ledger.open_run import open_run
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.storage.layout import PhaseLayout
from curation.storage.store import Store
from schemas.records import Revisit, Revisited

ROWS = [1, 2, 3, 4, 5]


@pytest.fixture
def asked(tmp_path):
    """`settle` for the first part of a run in which rows 4 and 5 had failed, asked for all of its rows again."""
    web = ToyWeb(tmp_path / "web")
    web.set({4: "http_gone", 5: "deadline"}, details={4: "410"})
    visit(tmp_path / "out", web)
    plan = make_plan(parse_recipe(RECIPE.replace("WEB", "w"), "r.yaml", WEB_CATALOGUE))
    phase = next(phase for phase in plan.phases if phase.name == "visit-develop")
    item = next(item for item in open_run(str(tmp_path / "out"))[1].items if item.name == "visit-develop")
    measure, scope = item.folder.rsplit("-", 1)[1], item.commits.rsplit("-", 1)[1]
    store = Store(str(tmp_path / "out"))
    lineage = Lineage(store, plan.source, plan.source.index(store), 16)

    def settled(kind, *ends):
        revisit = Revisit(number=1, kind=kind, reasons=("http_gone", "deadline"), phases=())
        siblings = (PhaseLayout("visit-develop", measure, scope),)
        work = PhaseWork(lineage, phase, PhaseLayout("visit-develop", measure, "new"), siblings, 1, (revisit,))
        rows = np.array(ROWS)
        earlier = earlier_rows(work, 0, rows)
        done = lineage.ends(MeasuredItem(siblings[0], work.columns), 0, rows, ["key", *work.columns])
        for place, name in enumerate(("outcome", "step", "reason", "detail")):
            values = pa.array([end[place] if end else None for end in ends], pa.string())
            done = done.set_column(done.column_names.index(name), name, values)
        written, revisited = settle(work, earlier, done)
        return written["row"].to_pylist(), revisited

    return settled


def end(reason, detail=None):
    return ("failed", "visit", reason, detail)


UNCHANGED = ("unchanged", "visit", None, None)


def test_each_row_is_written_that_is_another_when_refreshed(asked):
    written, revisited = asked("refresh", UNCHANGED, end("http_server_error"), end("http_gone"), None, end("deadline"))
    assert written == [3, 4]
    before = {"http_gone": 1, "deadline": 1}
    assert revisited == Revisited(asked=5, failed_before=before, unchanged=2, unreached=1, healed=1, lost=1)


def test_a_failure_is_written_when_its_evidence_is_another(asked):
    written, revisited = asked("refresh", *[UNCHANGED] * 3, end("http_gone", "gone for good"), end("connect_timeout"))
    assert written == [4, 5]
    assert (revisited.healed, revisited.unchanged, revisited.changed) == (0, 3, 2)


def test_rows_that_nobody_asked_for_are_written_as_they_are_when_a_retry_measures_them_all_the_same(asked):
    written, revisited = asked("retry", None, end("http_server_error"), None, end("http_gone", "410"), None)
    assert written == [1, 2, 3, 5]
    assert revisited == Revisited(asked=2, failed_before={"http_gone": 1, "deadline": 1}, unchanged=1, healed=1)
