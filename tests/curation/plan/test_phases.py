"""Cutting into phases, and folding the needs for columns through them."""

import pytest
from toy_steps import CATALOGUE, by_kind

from curation.catalogue import Catalogue
from curation.contracts.config import StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.contracts.sink import Sink, SinkSpec
from curation.contracts.stage import Stage, StageSpec
from curation.errors import PlanError
from curation.plan.phases import Decision, Phase, make_plan
from curation.recipe.load import parse_recipe


class _FromLists(StepConfig):
    kind: str
    reads: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    decides: bool = False


class Any(Stage):
    class Config(_FromLists):
        kind: str = "any"

    @property
    def spec(self):
        config = self.config
        return StageSpec("any", 1, config.reads, config.makes, decides=config.decides, revisits=config.back)

    def process(self, table):
        raise NotImplementedError


class Judge(Exchange):
    class Config(_FromLists):
        kind: str = "judge"

    @property
    def spec(self):
        return ExchangeSpec("judge", 1, self.config.reads, self.config.makes)

    def decide(self, frame):
        raise NotImplementedError


class Deliver(Sink):
    class Config(_FromLists):
        kind: str = "deliver"

    @property
    def spec(self):
        return SinkSpec("deliver", 1, self.config.reads, self.config.makes)

    def assign(self, frame):
        raise NotImplementedError

    def write(self, unit, table, store):
        raise NotImplementedError

    def finish(self, units, store):
        raise NotImplementedError


FREE = Catalogue(CATALOGUE.sources, by_kind(Any), by_kind(Judge), by_kind(Deliver))


def plan_of(*steps):
    """The plan of steps written as `kind:name reads>makes`, `!` for a stage that decides."""
    entries = []
    for step in steps:
        head, _, columns = step.partition(" ")
        kind, _, name = head.rstrip("!").partition(":")
        reads, _, makes = columns.partition(">")
        decides = ", decides: true" if head.endswith("!") else ""
        entries.append(f"  - {{kind: {kind}, name: {name}, reads: [{reads}], makes: [{makes}]{decides}}}")
    text = "source: {kind: counting, rows: 1}\nsteps:\n" + "\n".join(entries)
    return make_plan(parse_recipe(text, "r.yaml", FREE))


def shape_of(plan):
    return [f"{'phase' if isinstance(item, Phase) else 'decision'} {item.name}" for item in plan.items]


def mistakes_of(*steps):
    with pytest.raises(PlanError) as caught:
        plan_of(*steps)
    return str(caught.value).splitlines()


def test_a_phase_runs_from_one_exchange_to_the_next_when_cut():
    plan = plan_of("any:a >text", "any:b >width", "judge:j text", "any:c >height", "judge:k width", "judge:l height")
    assert shape_of(plan) == ["phase a-b", "decision j", "phase c", "decision k", "decision l"]
    assert plan.sink is None
    assert [phase.name for phase in plan.phases] == ["a-b", "c"]


def test_a_phase_ends_behind_it_when_a_stage_decides():
    assert shape_of(plan_of("any:a! >text", "any:b >width", "any:c! >height", "any:d >pdq")) == [
        "phase a",
        "phase b-c",
        "phase d",
    ]


def test_the_sink_is_no_item_when_it_stands_last():
    plan = plan_of("any:a >text", "deliver:s text>shard")
    assert shape_of(plan) == ["phase a"]
    assert plan.sink.config.step_name == "s"


def test_needs_are_what_comes_from_outside_when_folded():
    plan = plan_of("any:a url,caption>text", "any:b text,row,key>width", "judge:j width", "any:c text,width>height")
    first, _, second = plan.items
    assert first.needs == ("url", "caption")
    assert second.needs == ("text", "width")
    assert plan.producers["text"] is first
    assert plan.producers["url"] is None


def test_transient_columns_are_not_written_when_a_phase_adds_them():
    plan = plan_of("any:a url>body,http_status", "any:b body>image")
    assert plan.items[0].adds == ("http_status", "image")
    assert plan.items[0].needs == ("url",)


@pytest.mark.parametrize("between", ["judge:j http_status", "any:d! url>width"])
def test_a_transient_column_is_gone_when_its_phase_has_ended(between):
    assert mistakes_of("any:a url>body,http_status", between, "any:b body>image") == [
        "r.yaml: steps.2 (b): reads the column body, which a makes for the stages right behind it alone; put nothing "
        "that decides between the two"
    ]


def test_a_transient_column_is_gone_when_a_sink_asks_for_it():
    (line,) = mistakes_of("any:a url>body", "deliver:s body>shard")
    assert line.startswith("r.yaml: steps.1 (s): reads the column body, which a makes for the stages right behind it")


def test_exchanges_find_source_columns_in_a_phase_of_their_own_when_they_read_any():
    plan = plan_of("any:a url>text", "judge:j text,page", "any:b >width", "judge:k caption,width")
    assert shape_of(plan) == ["phase source", "phase a", "decision j", "phase b", "decision k"]
    assert plan.items[0].persists == ("caption", "page")
    assert [item.persists for item in plan.phases[1:]] == [(), ()]


@pytest.mark.parametrize("first", ["judge:j >", "judge:j row,key>", "deliver:s >shard"])
def test_the_rows_are_brought_into_the_pool_when_no_stage_stands_first(first):
    assert shape_of(plan_of(first))[0] == "phase source"
    assert plan_of(first).items[0].persists == ()


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (
            ["any:a url>text", "judge:j txet"],
            "r.yaml: steps.1 (j): reads the column txet, which no step makes; did you mean text?",
        ),
        (
            ["judge:j text", "any:a url>text"],
            "r.yaml: steps.0 (j): reads the column text, which a makes only later; put a before it",
        ),
        (
            ["any:a body>text", "any:b url>body"],
            "r.yaml: steps.0 (a): reads the column body, which b makes only later; put b before it",
        ),
        (
            ["any:a url>text", "any:b url>text"],
            "r.yaml: steps.1 (b): makes the column text, which is there already; remove one of the two steps",
        ),
        (
            ["any:a url>body", "any:b url>body"],
            "r.yaml: steps.1 (b): makes the column body, which is there already; remove one of the two steps",
        ),
        (
            ["any:a url>page"],
            "r.yaml: steps.0 (a): makes the column page, which is there already; remove one of the two steps",
        ),
        (
            ["any:a url>txet"],
            "r.yaml: steps.0 (a): makes the column txet, which schemas/columns.py does not list",
        ),
        (
            ["any:a url>fetch_s", "judge:j fetch_s"],
            "r.yaml: steps.1 (j): reads the column fetch_s, which differs from run to run; decide by another",
        ),
        (
            ["any:a url>image", "judge:j image"],
            "r.yaml: steps.1 (j): reads the column image, which holds bytes; exchanges decide by figures and "
            "embeddings alone",
        ),
    ],
)
def test_the_step_and_the_remedy_are_named_when_columns_do_not_fit(steps, line):
    assert mistakes_of(*steps) == [line]


@pytest.mark.parametrize("column", ["body", "text"])
def test_the_column_is_named_when_a_stage_wants_back_what_it_does_not_write(column):
    step = f"{{kind: any, name: a, makes: [body, etag], back: [etag, {column}]}}"
    text = f"source: {{kind: counting, rows: 1}}\nsteps:\n  - {step}\n"
    with pytest.raises(PlanError, match=rf"steps.0 \(a\): wants the column {column} back, which it does not write$"):
        make_plan(parse_recipe(text, "r.yaml", FREE))


def test_all_steps_are_named_when_several_are_wrong():
    lines = mistakes_of("any:a zzz>text", "judge:j yyy", "deliver:s xxx>shard")
    assert [line.split(":")[1] for line in lines] == [" steps.0 (a)", " steps.1 (j)", " steps.2 (s)"]


def test_decisions_know_their_exchange_when_planned():
    plan = plan_of("any:a url>text", "judge:j text>duplicate_of")
    assert isinstance(plan.items[1], Decision)
    assert plan.producers["duplicate_of"] is plan.items[1]
