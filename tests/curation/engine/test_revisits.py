"""Retrying: exactly the rows that are to be asked, everything behind them as far as it must, and nothing else."""

import pytest
from revisit_runs import FAILING, LIVE, SERVER_ERROR, WEIGHED, failed_then_healed, fresh
from toy_web import WEB_CATALOGUE, contents, ends_of, visit

from curation.engine.revisits import REFRESH, check_request, retry_request
from curation.errors import RecipeError
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.storage.store import Store
from schemas.records import Revisited


def test_the_rows_that_failed_so_are_asked_and_no_other_when_retried(tmp_path, web, out):
    failed_then_healed(web, out)
    result = visit(out, web, request=SERVER_ERROR)
    assert web.asked("plain") == [8, 9]
    assert web.asked("weighed") == []
    assert result.revisited == Revisited(asked=2, failed_before={"http_server_error": 2}, unchanged=1, healed=1)
    assert (result.revisit.kind, result.revisit.reasons) == ("retry", ("http_server_error",))
    web.set({**FAILING, 8: "http_not_found"} | {8: "http_server_error"})
    web.set({row: reason for row, reason in FAILING.items() if row != 8})
    assert contents(out, result) == fresh(tmp_path, web)


def test_all_failures_are_asked_and_what_follows_is_as_if_they_had_never_failed_when_all_are_retried(
    tmp_path, web, out
):
    web.set({row: "deadline" for row in range(0, 40, 3)})
    visit(out, web)
    web.forget()
    web.set()
    result = visit(out, web, request=retry_request("all"))
    asked = [row for row in LIVE if row % 3 == 0]
    assert web.asked("plain") == asked
    assert web.asked("weighed") == [row for row in WEIGHED if row % 3 == 0]
    assert (result.revisited.asked, result.revisited.healed) == (len(asked), len(asked))
    assert contents(out, result) == fresh(tmp_path, web)


def test_later_runs_see_what_was_retried_when_nothing_or_a_threshold_changes(tmp_path, web, out):
    failed_then_healed(web, out)
    retried = visit(out, web, request=SERVER_ERROR)
    web.forget()
    again = visit(out, web)
    assert (again.ledger, again.shards, again.revisit) == (retried.ledger, retried.shards, None)
    other = visit(out, web, "threshold.min=4", "measure_text.min_words=3")
    assert web.asked("plain") == []
    assert ends_of(out, other)[11][0] == "kept"
    web.set({row: reason for row, reason in FAILING.items() if row != 8})
    overrides = ("threshold.min=4", "measure_text.min_words=3")
    assert contents(out, other) == fresh(tmp_path, web, "other", *overrides)


def test_new_evidence_is_in_the_ledger_when_a_row_fails_again_in_another_way(web, out):
    web.set({9: "http_server_error"}, details={9: "503"})
    first = visit(out, web)
    web.set({9: "http_gone"}, details={9: "410"})
    second = visit(out, web, request=SERVER_ERROR)
    assert ends_of(out, first)[9][:3] == ("failed", "http_server_error", "503")
    assert ends_of(out, second)[9][:3] == ("failed", "http_gone", "410")
    assert (second.revisited.asked, second.revisited.healed, second.revisited.unchanged) == (1, 0, 0)


@pytest.mark.parametrize("request_", [SERVER_ERROR, retry_request("dns_failed,too_many_pixels"), REFRESH])
def test_results_are_those_there_are_when_asking_again_changed_nothing(web, out, request_):
    web.set(FAILING)
    first = visit(out, web)
    web.forget()
    second = visit(out, web, request=request_)
    assert (second.ledger, second.shards) == (first.ledger, first.shards)
    assert web.asked("weighed") == []
    assert second.revisited.unchanged == second.revisited.asked


def test_nothing_is_asked_when_no_row_failed_so(web, out):
    failed_then_healed(web, out)
    result = visit(out, web, request=retry_request("dns_not_found"))
    assert web.asked("plain") == []
    assert result.revisited == Revisited()


def test_rows_that_failed_again_are_asked_again_when_the_command_is_given_a_second_time(web, out):
    failed_then_healed(web, out)
    visit(out, web, request=SERVER_ERROR)
    web.forget()
    web.set()
    second = visit(out, web, request=SERVER_ERROR)
    assert web.asked("plain") == [9]
    assert second.revisit.number == 2
    assert ends_of(out, second)[9][0] == "kept"


def test_a_retry_of_one_version_leaves_the_other_alone_when_they_fetch_in_different_ways(web, out):
    web.set(FAILING)
    one = visit(out, web)
    visit(out, web, "visit.salt=1")
    web.set()
    visit(out, web, "visit.salt=1", request=SERVER_ERROR)
    web.forget()
    again = visit(out, web)
    assert web.asked("plain") == []
    assert (again.ledger, again.revisit) == (one.ledger, None)


def test_rows_of_a_later_phase_are_tried_again_when_they_failed_there(tmp_path, web, out):
    web.set(weightless=[9, 10])
    first = visit(out, web)
    assert ends_of(out, first)[9][:2] == ("failed", "non_finite_score")
    web.forget()
    web.set()
    result = visit(out, web, request=retry_request("non_finite_score"))
    assert (web.asked("plain"), web.asked("weighed")) == ([], [9, 10])
    assert contents(out, result) == fresh(tmp_path, web)


def test_the_request_is_refused_with_what_there_is_when_no_row_can_fail_so():
    with pytest.raises(RecipeError, match=r"no row fails for 'http_sever_error'; did you mean http_server_error\?"):
        retry_request("deadline,http_sever_error")
    with pytest.raises(RecipeError, match="names no reason; known are invalid_url, "):
        retry_request(" ,")
    assert retry_request("http_gone, deadline").reasons == ("deadline", "http_gone")


def test_a_retry_is_refused_and_makes_nothing_when_no_step_of_the_recipe_measures(web, out):
    text = "source: {kind: counting, rows: 4}\nsteps: [{kind: threshold, column: page, min: 1}]\n"
    plan = make_plan(parse_recipe(text, "r.yaml", WEB_CATALOGUE))
    with pytest.raises(RecipeError, match="--retry-failed: no step of the recipe measures anything"):
        check_request(plan, SERVER_ERROR)
    visit(out, web, text=text)
    assert visit(out, web, text=text, request=SERVER_ERROR).revisit is None
    assert Store(str(out)).list("revisits") == []
