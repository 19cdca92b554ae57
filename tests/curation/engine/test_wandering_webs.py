"""Any sequence of runs, retries and refreshes over a web that changes, against a model of each row."""

import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from revisit_runs import ROWS, SERVER_ERROR
from toy_runs import KillAfter, Killed
from toy_web import ToyWeb, ends_of, page_body, visit

from curation.engine.revisits import REFRESH, RevisitRequest, retry_request

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
