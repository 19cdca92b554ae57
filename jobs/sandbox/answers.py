"""Decides what the server answers for the rows of a sandbox web."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from jobs.sandbox.seeded import Draws
from jobs.sandbox.site import Answer, Behaviour
from jobs.sandbox.trouble import Trouble
from jobs.sandbox.web_plan import PlannedRow

_SALT = 0xA5
_REDIRECTS = (301, 302, 303, 307, 308)
_PRIVATE_PLACES = (
    "http://10.0.0.7/internal/picture.jpg",
    "http://169.254.169.254/latest/meta-data/iam/",
    "http://192.168.1.1/admin/logo.png",
    "http://172.16.4.2:8080/picture.jpg",
)
_OPT_OUTS = ("noai", "noai, noimageai", "noindex, noai", "NOAI")
_STATUS = {Trouble.NOT_FOUND: 404, Trouble.FORBIDDEN: 403, Trouble.GONE: 410}


def answers_of(
    rows: Sequence[PlannedRow], files: Mapping[int, Answer], hosts: Sequence[str], port: int
) -> Iterator[Answer]:
    """Yields the answers for every row's path, and for the paths that redirects lead to.

    Args:
        rows: of the web.
        files: where the bodies are, by `row_seed`.
        hosts: the addresses that redirects may lead to.
        port: of all of them.
    """
    for row in rows:
        draws = Draws(_SALT, row.scene_seed, row.row_seed)
        place = Answer(row.host, row.path)
        if row.body_of in files:
            place = replace(files[row.body_of], host=row.host, path=row.path)
        if row.trouble in (Trouble.REDIRECT_ONE_HOP, Trouble.REDIRECT_LOOP, Trouble.REDIRECT_PRIVATE):
            yield from _redirects(row.trouble, place, draws.pick(hosts), port, draws)
        else:
            yield _answer(row.trouble, place, draws)


def _answer(trouble: Trouble, place: Answer, draws: Draws) -> Answer:
    if trouble in _STATUS:
        return replace(place, status=_STATUS[trouble])
    if trouble is Trouble.JPEG_AS_HTML:
        return replace(place, content_type="text/html; charset=utf-8")
    if trouble is Trouble.NOAI:
        return replace(place, robots_tag=draws.pick(_OPT_OUTS))
    behaviour, times = {
        Trouble.HEALS: (Behaviour.HEALS, 1 + draws.below(2)),
        Trouble.TOO_MANY_REQUESTS: (Behaviour.WAIT, 1),
        Trouble.RESET: (Behaviour.RESET, 0),
        Trouble.TRICKLE: (Behaviour.TRICKLE, 0),
        Trouble.SHORT_BODY: (Behaviour.SHORT, 0),
    }.get(trouble, (Behaviour.BODY, 0))
    return replace(place, behaviour=behaviour.value, times=times)


def _redirects(trouble: Trouble, place: Answer, other: str, port: int, draws: Draws) -> Iterator[Answer]:
    """Yields a redirect from a row's path, and what its target answers."""
    target = f"/moved{place.path}"
    there = f"http://{other}:{port}{target}"
    back = f"http://{place.host}:{port}{place.path}"
    if trouble is Trouble.REDIRECT_PRIVATE:
        there = draws.pick(_PRIVATE_PLACES)
    yield Answer(place.host, place.path, status=draws.pick(_REDIRECTS), location=there)
    if trouble is Trouble.REDIRECT_LOOP:
        yield Answer(other, target, status=draws.pick(_REDIRECTS), location=back)
    elif trouble is Trouble.REDIRECT_ONE_HOP:
        yield replace(place, host=other, path=target)
