"""Refreshing: only what changed is downloaded, and what follows is as if it had been there from the start."""

import pytest
from revisit_runs import LIVE, ROWS, SERVER_ERROR, fresh
from toy_runs import KillAfter, Killed
from toy_web import RECIPE, WEB_CATALOGUE, contents, ends_of, visit

from curation.engine.revisits import REFRESH, check_request, retry_request
from curation.errors import RecipeError
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.storage.store import Store
from schemas.records import Revisited


def test_everything_is_measured_once_and_no_revisit_is_made_when_the_folder_is_empty(web, out):
    result = visit(out, web, request=REFRESH)
    assert web.asked("plain") == LIVE
    assert (result.revisit, Store(str(out)).list("revisits")) == (None, [])


ONE_PHASE = RECIPE.replace("  - {kind: threshold, min: 2}\n", "")


@pytest.mark.parametrize("text", [ONE_PHASE, RECIPE], ids=["in its phase", "in a phase of their own"])
@pytest.mark.parametrize("retry_first", [False, True])
def test_rows_that_failed_behind_the_fetching_are_tried_again_when_refreshed(tmp_path, web, out, retry_first, text):
    web.set(weightless=[10, 11])
    first = visit(out, web, text=text)
    assert ends_of(out, first)[10][:2] == ("failed", "non_finite_score")
    web.set()
    if retry_first:
        with pytest.raises(Killed):
            visit(out, web, text=text, request=retry_request("non_finite_score"), listener=KillAfter(6))
    web.forget()
    result = visit(out, web, text=text, request=REFRESH)
    assert set(web.asked("weighed")) <= {10, 11}
    assert {ends_of(out, result)[row][0] for row in (10, 11)} == {"kept"}
    assert contents(out, result) == fresh(tmp_path, web, text=text)


def test_a_refresh_changes_nothing_when_rows_fail_again_behind_the_fetching(web, out):
    web.set(weightless=[10, 11])
    first = visit(out, web, text=ONE_PHASE)
    result = visit(out, web, text=ONE_PHASE, request=REFRESH)
    assert (result.ledger, result.revisited.unchanged) == (first.ledger, len(LIVE))


def test_no_revisit_is_made_when_the_folder_holds_parts_of_another_size_alone(web, out):
    visit(out, web)
    result = visit(out, web, text=RECIPE.replace("part_rows: 16", "part_rows: 8"), request=REFRESH)
    assert (result.revisit, Store(str(out)).list("revisits")) == (None, [])


def test_nothing_is_downloaded_but_what_changed_when_refreshed(tmp_path, web, out):
    visit(out, web)
    web.forget()
    web.set(versions={8: 1, 9: 1, 20: 3})
    result = visit(out, web, request=REFRESH)
    assert web.asked("conditional") == [row for row in LIVE if row % 2 == 0]
    assert web.asked("plain") == [row for row in LIVE if row % 2]
    assert web.asked("bodies") == sorted({8, 20, *web.asked("plain")})
    assert web.asked("weighed") == [9, 20]
    assert result.revisited == Revisited(asked=len(LIVE), unchanged=len(LIVE) - 3)
    assert ends_of(out, result)[20] == ("kept", None, None, 2 * 7, 2 * 7)
    assert contents(out, result) == fresh(tmp_path, web)


def test_what_is_gone_fails_and_what_cannot_be_reached_stays_when_refreshed(web, out):
    web.set({10: "http_not_found"})
    visit(out, web)
    web.forget()
    web.set({11: "http_gone", 12: "http_server_error", 13: "robots_disallowed"})
    result = visit(out, web, request=REFRESH)
    ends = ends_of(out, result)
    assert ends[10] == ("kept", None, None, 8, 8)
    assert ends[11][:2] == ("failed", "http_gone")
    assert ends[12] == ("kept", None, None, 8, 8)
    assert ends[13][:2] == ("failed", "robots_disallowed")
    assert result.revisited == Revisited(
        asked=len(LIVE),
        failed_before={"http_not_found": 1},
        unchanged=len(LIVE) - 4,
        unreached=1,
        healed=1,
        lost=2,
    )


def test_no_later_measurement_of_an_older_body_comes_back_when_a_row_was_lost_in_between(tmp_path, web, out):
    visit(out, web)
    web.set({9: "http_gone"})
    visit(out, web, request=REFRESH)
    web.set(versions={9: 5})
    result = visit(out, web, request=retry_request("http_gone"))
    assert ends_of(out, result)[9] == ("kept", None, None, 16, 16)
    assert contents(out, result) == fresh(tmp_path, web)


def test_rows_that_were_dead_then_are_asked_when_they_live_again(tmp_path, web, out):
    visit(out, web)
    web.set(versions={8: 1, 11: 1})
    visit(out, web, "measure_text.min_words=3", request=REFRESH)
    web.forget()
    result = visit(out, web)
    assert sorted(web.asked("conditional") + web.asked("plain")) == [row for row in ROWS if row % 7 in (1, 2)]
    assert contents(out, result) == fresh(tmp_path, web)


def test_a_refresh_goes_through_when_the_phase_runs_on_two_workers(tmp_path, web, out):
    text = RECIPE.replace("  - {kind: threshold, min: 2}\n", "").replace("kind: weigh", "kind: weigh_on_gpu")
    web.set({10: "http_server_error"})
    visit(out, web, text=text)
    web.forget()
    web.set(versions={8: 1, 9: 1})
    result = visit(out, web, text=text, request=REFRESH)
    assert web.asked("weighed") == [8, 9, 10]
    assert result.revisited.unchanged == len(LIVE) - 3
    assert contents(out, result) == fresh(tmp_path, web, text=text)


def test_a_refresh_is_refused_when_no_step_of_the_recipe_could_ask_again():
    text = "source: {kind: counting, rows: 1}\nsteps: [{kind: measure_text}]\n"
    plan = make_plan(parse_recipe(text, "r.yaml", WEB_CATALOGUE))
    with pytest.raises(RecipeError, match="--refresh: no step of the recipe fetches"):
        check_request(plan, REFRESH)
    check_request(plan, SERVER_ERROR)
