"""Runs over the toy web that ask again, and what the rows of its recipe are."""

from toy_web import RECIPE, contents, visit

from curation.engine.revisits import retry_request

ROWS = range(40)
LIVE = [row for row in ROWS if row % 7 >= 1]
WEIGHED = [row for row in ROWS if row % 7 >= 2]
SERVER_ERROR = retry_request("http_server_error")
FAILING = {8: "http_server_error", 9: "http_server_error", 17: "connect_timeout", 33: "http_not_found"}


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
