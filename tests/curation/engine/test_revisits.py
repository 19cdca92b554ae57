"""Asking again: exactly the rows that are to be asked, everything behind them as far as it must, and nothing else."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toy_runs import KillAfter, Killed
from toy_web import RECIPE, WEB_CATALOGUE, ToyWeb, contents, ends_of, page_body, visit

from curation.engine.revisits import REFRESH, RevisitRequest, Revisits, check_request, retry_request
from curation.errors import RecipeError
from curation.ledger.open_run import open_run
from curation.plan.fingerprints import layout_of
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.storage.store import Store
from schemas.records import Revisited

ROWS = range(40)
LIVE = [row for row in ROWS if row % 7 >= 1]
WEIGHED = [row for row in ROWS if row % 7 >= 2]
SERVER_ERROR = retry_request("http_server_error")
FAILING = {8: "http_server_error", 9: "http_server_error", 17: "connect_timeout", 33: "http_not_found"}


@pytest.fixture
def web(tmp_path):
    return ToyWeb(tmp_path / "web")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def fresh(tmp_path, web, name="fresh", *overrides, text=RECIPE):
    """What a run into an empty folder makes of the web as it is now."""
    web.forget()
    folder = tmp_path / name
    made = contents(folder, visit(folder, web, *overrides, text=text))
    web.forget()
    return made


def failed_then_healed(web, out):
    """A run in which four rows fail; then the web heals but for row 9."""
    web.set(FAILING)
    first = visit(out, web)
    web.forget()
    web.set({9: "http_server_error"})
    return first


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


def test_everything_is_measured_once_and_no_revisit_is_made_when_the_folder_is_empty(web, out):
    result = visit(out, web, request=REFRESH)
    assert web.asked("plain") == LIVE
    assert (result.revisit, Store(str(out)).list("revisits")) == (None, [])


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


def test_a_retry_ends_and_can_be_given_again_when_a_later_step_changed_in_between(tmp_path, web, out):
    web.set(FAILING)
    visit(out, web)
    with pytest.raises(Killed):
        visit(out, web, request=SERVER_ERROR, listener=KillAfter(14))
    other = RECIPE.replace("{kind: weigh, web: WEB}", "{kind: weigh, web: WEB, name: weigh2}")
    assert visit(out, web, text=other).revisit.number == 1
    assert visit(out, web, text=other).revisit is None
    web.set()
    web.forget()
    result = visit(out, web, request=SERVER_ERROR)
    assert (result.revisit.number, web.asked("plain")) == (2, [8, 9])
    assert result.revisited.healed == 2


def test_another_way_of_fetching_leaves_a_retry_open_when_it_was_killed(web, out):
    web.set(FAILING)
    visit(out, web)
    with pytest.raises(Killed):
        visit(out, web, request=SERVER_ERROR, listener=KillAfter(9))
    assert visit(out, web, "visit.salt=1").revisit is None
    assert visit(out, web, request=SERVER_ERROR).revisit.number == 1


def test_what_a_retry_came_to_is_told_when_an_early_step_changed_after_it_was_killed(web, out):
    web.set({8: "http_server_error", 9: "http_server_error", 17: "http_server_error", 33: "http_server_error"})
    visit(out, web)
    web.set({9: "http_server_error"})
    web.forget()
    with pytest.raises(Killed):
        visit(out, web, request=SERVER_ERROR, listener=KillAfter(9))
    result = visit(out, web, "measure_text.min_words=2", request=SERVER_ERROR)
    assert web.asked("plain") == [8, 9, 17, 33]
    assert result.revisit.number == 1
    assert result.revisited == Revisited(asked=4, failed_before={"http_server_error": 4}, unchanged=1, healed=3)


def test_no_revisit_is_made_when_the_folder_holds_parts_of_another_size_alone(web, out):
    visit(out, web)
    result = visit(out, web, text=RECIPE.replace("part_rows: 16", "part_rows: 8"), request=REFRESH)
    assert (result.revisit, Store(str(out)).list("revisits")) == (None, [])


def test_the_rest_is_measured_too_when_the_run_was_never_finished(tmp_path, web, out):
    web.set(FAILING)
    with pytest.raises(Killed):
        visit(out, web, listener=KillAfter(7))
    web.set()
    web.forget()
    result = visit(out, web, request=retry_request("all"))
    assert web.asked("plain").count(8) == 1
    assert contents(out, result) == fresh(tmp_path, web)


@pytest.mark.parametrize("request_", [SERVER_ERROR, REFRESH], ids=["retry", "refresh"])
@pytest.mark.parametrize("again", [True, False], ids=["same command", "plain run"])
def test_the_end_is_the_same_when_it_was_killed_anywhere(tmp_path, web, request_, again):
    def changed():
        web.set({9: "http_server_error", 20: "http_gone"}, versions={3: 1, 24: 2, 36: 1})
        web.forget()

    def prepared(name):
        web.set(FAILING)
        visit(tmp_path / name, web)
        changed()
        return tmp_path / name

    whole = prepared("whole")
    result = visit(whole, web, request=request_)
    asked = sorted(web.asked("plain") + web.asked("conditional"))
    expected = contents(whole, result)
    for words in (2, 7, 9, 13, 18, 24):
        folder = prepared(f"killed-{words}")
        with pytest.raises(Killed):
            visit(folder, web, request=request_, listener=KillAfter(words))
        assert open_run(str(folder))[1].revisit.kind == request_.kind
        ended = visit(folder, web, request=request_ if again else None)
        assert contents(folder, ended) == expected
        assert (ended.ledger, ended.shards) == (result.ledger, result.shards)
        assert ended.revisited == result.revisited
        assert sorted(web.asked("plain") + web.asked("conditional")) == asked
        assert Store(str(folder)).list("revisits") == ["00000001-ended.json", "00000001.json"]


def test_no_row_is_asked_twice_but_those_in_flight_when_it_was_killed_between_data_and_commit(
    tmp_path, web, monkeypatch
):
    put = Store.put_if_absent
    web.set(FAILING)
    visit(tmp_path / "out", web)
    web.forget()
    web.set(versions={3: 1, 24: 2})

    def killed_before_the_second_commit_of_the_visits(store, path, data, commits=[]):  # noqa: B006
        if "pool/visit-develop" in path:
            commits.append(path)
        if len(commits) == 2:
            raise Killed
        return put(store, path, data)

    monkeypatch.setattr(Store, "put_if_absent", killed_before_the_second_commit_of_the_visits)
    with pytest.raises(Killed):
        visit(tmp_path / "out", web, request=REFRESH)
    monkeypatch.setattr(Store, "put_if_absent", put)
    result = visit(tmp_path / "out", web, request=REFRESH)
    asked = web.asked("plain") + web.asked("conditional")
    assert {row for row in asked if asked.count(row) > 1} == {row for row in LIVE if 16 <= row < 32}
    assert contents(tmp_path / "out", result) == fresh(tmp_path, web)


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


def test_the_request_is_refused_with_what_there_is_when_no_row_can_fail_so():
    with pytest.raises(RecipeError, match=r"no row fails for 'http_sever_error'; did you mean http_server_error\?"):
        retry_request("deadline,http_sever_error")
    with pytest.raises(RecipeError, match="names no reason; known are invalid_url, "):
        retry_request(" ,")
    assert retry_request("http_gone, deadline").reasons == ("deadline", "http_gone")


def test_a_refresh_is_refused_when_no_step_of_the_recipe_could_ask_again():
    text = "source: {kind: counting, rows: 1}\nsteps: [{kind: measure_text}]\n"
    plan = make_plan(parse_recipe(text, "r.yaml", WEB_CATALOGUE))
    with pytest.raises(RecipeError, match="--refresh: no step of the recipe fetches"):
        check_request(plan, REFRESH)
    check_request(plan, SERVER_ERROR)


def test_a_retry_is_refused_and_makes_nothing_when_no_step_of_the_recipe_measures(web, out):
    text = "source: {kind: counting, rows: 4}\nsteps: [{kind: threshold, column: page, min: 1}]\n"
    plan = make_plan(parse_recipe(text, "r.yaml", WEB_CATALOGUE))
    with pytest.raises(RecipeError, match="--retry-failed: no step of the recipe measures anything"):
        check_request(plan, SERVER_ERROR)
    visit(out, web, text=text)
    assert visit(out, web, text=text, request=SERVER_ERROR).revisit is None
    assert Store(str(out)).list("revisits") == []


def _revisits(folder):
    plan = make_plan(parse_recipe(RECIPE.replace("WEB", "w"), "r.yaml", WEB_CATALOGUE))
    layout = layout_of(plan.source, plan.source.index(Store(str(folder))), 16)
    return Revisits(Store(str(folder)), plan, layout)


def test_two_drivers_are_at_one_revisit_when_they_ask_for_the_same_at_once(tmp_path, web):
    visit(tmp_path, web)
    one, other, third = _revisits(tmp_path), _revisits(tmp_path), _revisits(tmp_path)
    one.request(SERVER_ERROR)
    other.request(SERVER_ERROR)
    third.request(REFRESH)
    assert [revisits.open.number for revisits in (one, other, third)] == [1, 1, 2]
    assert Store(str(tmp_path)).list("revisits") == ["00000001.json", "00000002.json"]


class Meanwhile:
    """A listener that does something once, when an item begins."""

    def __init__(self, name, deed):
        self.name = name
        self.deed = deed

    def item_started(self, start):
        if start.name == self.name and self.deed:
            deed, self.deed = self.deed, None
            deed()

    def unit_done(self, report):
        pass

    def item_ended(self, seconds):
        pass


def test_a_run_keeps_to_what_it_measured_when_another_refreshes_beside_it(tmp_path, web, out):
    def refresh():
        web.set(versions={9: 4})
        other = visit(out, web, request=REFRESH)
        assert ends_of(out, other)[9] == ("kept", None, None, 14, 14)

    result = visit(out, web, listener=Meanwhile("threshold", refresh))
    assert ends_of(out, result)[9] == ("kept", None, None, 6, 6)
    assert contents(out, visit(out, web)) == fresh(tmp_path, web)


ROW = st.integers(0, 39)
WEBS = st.builds(
    lambda failing, versions: (failing, versions),
    st.dictionaries(ROW, st.sampled_from(["http_gone", "http_server_error"]), max_size=6),
    st.dictionaries(ROW, st.integers(1, 3), max_size=6),
)
DEEDS = st.tuples(
    WEBS, st.sampled_from([None, SERVER_ERROR, retry_request("all"), REFRESH]), st.integers(0, 4), st.booleans()
)


class Model:
    """What each row must be, worked out row by row: its state, and the number of revisits it has been through."""

    def __init__(self):
        self.rows = {}
        self.revisits = []

    def run(self, failing, versions, request, words):
        if request and self.rows:
            self.revisits.append(request)
        for row in ROWS:
            if row % 7 < words:
                continue
            now = failing.get(row) or versions.get(row, 0)
            state, seen = self.rows.get(row, (None, len(self.revisits)))
            if self._is_measured(state, now, self.revisits[seen:]):
                state = now
            self.rows[row] = (state, len(self.revisits))

    @staticmethod
    def _is_measured(state, now, asking):
        if state is None:
            return True
        if any(request.kind == "refresh" for request in asking):
            return isinstance(state, str) or now != "http_server_error"
        return any(state in request.reasons for request in asking)

    def expected(self, row, words):
        if row % 7 < words:
            return ("rejected", "measure_text.min_words", f"{row % 7} < {words}", None, None)
        state, _ = self.rows[row]
        if isinstance(state, str):
            return ("failed", state, None, None, None)
        width = 2 * len(page_body(row, state))
        return ("rejected", "threshold.min", None, width, None) if row % 7 < 2 else ("kept", None, None, width, width)


@settings(max_examples=8)
@given(st.lists(DEEDS, min_size=2, max_size=5))
@example(
    [
        (({}, {}), None, 1, False),
        (({9: "http_gone"}, {}), REFRESH, 3, True),
        (({}, {9: 2}), retry_request("all"), 2, False),
        (({}, {}), None, 0, True),
    ]
)
def test_every_row_is_what_it_was_when_last_asked_when_webs_thresholds_and_requests_wander(deeds):
    with tempfile.TemporaryDirectory() as name:
        web, out, model = ToyWeb(Path(name) / "web"), Path(name) / "out", Model()
        for (failing, versions), request, words, killed in deeds:
            web.set(failing, versions)
            if killed and out.exists():
                _killed_half_way(out, web, f"measure_text.min_words={words}", request)
            result = visit(out, web, f"measure_text.min_words={words}", request=request)
            model.run(failing, versions, request, words)
            assert ends_of(out, result) == {row: model.expected(row, words) for row in ROWS}


def _killed_half_way(out, web, override, request: RevisitRequest | None):
    try:
        visit(out, web, override, request=request, listener=KillAfter(7))
    except Killed:
        return
    raise AssertionError("it ended before it could be killed")
