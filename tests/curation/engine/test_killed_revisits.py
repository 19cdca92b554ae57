"""Asking again ends as it would have when it is killed, begun twice, or run beside another."""

import shutil

import pytest
from revisit_runs import FAILING, LIVE, SERVER_ERROR, fresh
from toy_runs import KillAfter, Killed
from toy_web import RECIPE, WEB_CATALOGUE, contents, ends_of, visit

from curation.engine.revisits import REFRESH, Revisits, retry_request
from curation.ledger.open_run import open_run
from curation.plan.fingerprints import layout_of
from curation.plan.phases import make_plan
from curation.recipe.load import parse_recipe
from curation.storage.store import Store
from schemas.records import Revisited


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
    web.set(FAILING)
    visit(tmp_path / "before", web)
    web.set({9: "http_server_error", 20: "http_gone"}, versions={3: 1, 24: 2, 36: 1})

    def prepared(name):
        web.forget()
        return shutil.copytree(tmp_path / "before", tmp_path / name)

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
