"""img2dataset's downloader behind the contract of `fetch_images`: the real one, in its own process, over real sockets.

Needs img2dataset: in this Python, or in the one that the variable IMG2DATASET_PYTHON names, as `make test` does.
"""

import asyncio
import importlib.util
import os
import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest
from raw_web import Exchange, RawWeb

from schemas.columns import schema_of
from stages.fetch.images import FetchImages, FetchImagesConfig

PYTHON = os.environ.get("IMG2DATASET_PYTHON") or None
BODY = b"some bytes, no image: they come back as they were"
REACH = {"allow_public": False, "allow_networks": ("127.0.0.0/8",), "allow_ports": None}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PYTHON is None and importlib.util.find_spec("img2dataset") is None,
        reason="img2dataset is not installed: `pip install 'curation[img2dataset]'`, or name a Python that has it",
    ),
]


def made(**settings: object) -> FetchImages:
    config = {**REACH, "robots": False, "engine": "img2dataset", "retries": 0, "concurrency": 8, **settings}
    stage = FetchImages(FetchImagesConfig(img2dataset_python=PYTHON, **config))
    stage.check()
    stage.setup()
    return stage


@pytest.fixture(scope="module")
def stage():
    """One for many tests: what it imports takes seconds."""
    stage = made(max_body_bytes=1000, idle_timeout_s=1.0)
    yield stage
    stage.close()


def table_of(urls: list[str | None]) -> pa.Table:
    fields = schema_of("row", "key", "url")
    columns = [range(len(urls)), [f"k{place}" for place in range(len(urls))], urls]
    return pa.table([pa.array(*pair) for pair in zip(columns, fields.types, strict=True)], schema=fields)


def reasons(stage: FetchImages, urls: list[str | None]) -> list[str | None]:
    return stage.process(table_of(urls))["reason"].to_pylist()


def test_bodies_are_the_very_bytes_when_it_fetches(stage: FetchImages, web: RawWeb):
    urls = [web.on(f"/{number}", body=BODY + bytes([number])) for number in range(40)]
    done = stage.process(table_of([*urls, urls[3]]))
    assert done["body"].to_pylist() == [BODY + bytes([number]) for number in [*range(40), 3]]
    assert done.column_names == ["row", "key", "url", *stage.spec.adds, "outcome", "reason", "detail"]
    assert done["body_bytes"].to_pylist() == [len(BODY) + 1] * 41
    assert done["sha256"].null_count == 0
    assert web.asked["/3"] == 1


WISHES = {
    "/plain": ({}, None),
    "/noai": ({"X-Robots-Tag": "noai"}, "X-Robots-Tag: noai"),
    "/none": ({"X-Robots-Tag": "none"}, "X-Robots-Tag: none"),
    "/everybody": ({"X-Robots-Tag": "*: noimageai"}, "X-Robots-Tag: noimageai"),
    "/by-name": ({"X-Robots-Tag": "My-Bot: noai"}, "X-Robots-Tag: noai"),
    "/others-first": ({"X-Robots-Tag": "other: nofollow, my-bot: noindex"}, "X-Robots-Tag: noindex"),
    "/others": ({"X-Robots-Tag": "other: noai"}, None),
    "/dated": ({"X-Robots-Tag": "unavailable_after: 2030-01-01, noai"}, "X-Robots-Tag: noai"),
    "/reserved": ({"TDM-Reservation": "1"}, "tdm-reservation: 1"),
    "/not-reserved": ({"tdm-reservation": "0"}, None),
    "/hop": ({"X-Robots-Tag": "noai", "Location": "/plain"}, "X-Robots-Tag: noai"),
    "/reserved-hop": ({"tdm-reservation": "1", "Location": "/plain"}, "tdm-reservation: 1"),
    "/to-noai": ({"Location": "/noai"}, "X-Robots-Tag: noai"),
    "/to-others": ({"Location": "/others"}, None),
}


@pytest.mark.parametrize("engine", ["native", "img2dataset"])
def test_owners_are_obeyed_and_told_who_asks_whoever_fetches(web: RawWeb, engine: str):
    urls = [web.on(path, 302 if "Location" in sent else 200, BODY, sent) for path, (sent, _) in WISHES.items()]
    urls.append(web.on("/missing", 404, headers={"X-Robots-Tag": "noai"}))
    stage = made(engine=engine, user_agent="My-Bot/2.0", contact="https://example.org/crawler")
    try:
        done = stage.process(table_of(urls))
    finally:
        stage.close()
    assert done["reason"].to_pylist() == [
        *(None if objection is None else "opted_out" for _, objection in WISHES.values()),
        "http_not_found",
    ]
    told = [detail and detail.removeprefix("img2dataset: opted out: ") for detail in done["detail"].to_pylist()]
    assert told[:-1] == [objection for _, objection in WISHES.values()]
    assert {headers["user-agent"] for _, headers in web.requests} == {"My-Bot/2.0 (+https://example.org/crawler)"}


def test_a_wish_is_passed_over_when_the_recipe_says_so(web: RawWeb):
    urls = [web.on(path, 200, BODY, WISHES[path][0]) for path in ("/noai", "/others-first", "/reserved")]
    stage = made(user_agent="My-Bot/2.0", obey_robots_tags=("noindex",), obey_tdm_reservation=False)
    try:
        assert reasons(stage, urls) == [None, "opted_out", None]
    finally:
        stage.close()


def test_no_browsers_name_is_sent_when_it_fetches(stage: FetchImages, web: RawWeb):
    assert reasons(stage, [web.redirect("/a", web.on("/b", body=BODY))]) == [None]
    assert [headers["user-agent"] for _, headers in web.requests] == ["curation-bot/0.1"] * 2


def test_opted_out_bodies_are_not_read(web: RawWeb):
    async def endless(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nX-Robots-Tag: noai\r\n\r\n")
        while not exchange.writer.is_closing():
            await exchange.send(b"x" * 100_000)
            await asyncio.sleep(0.01)

    stage = made()
    try:
        assert reasons(stage, [web.handle("/endless", endless)]) == ["opted_out"]
    finally:
        stage.close()


def test_every_failure_has_the_reason_that_our_own_client_gives(stage: FetchImages, web: RawWeb):
    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    async def cut(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        exchange.hang_up()

    async def nonsense(exchange: Exchange) -> None:
        await exchange.send(b"nonsense\r\n\r\n")
        exchange.hang_up()

    async def hang(exchange: Exchange) -> None:
        await asyncio.sleep(3)

    expected = {
        web.on("/fine", body=BODY): None,
        web.url("/missing"): "http_not_found",
        web.on("/gone", 410): "http_gone",
        web.on("/busy", 503): "http_server_error",
        web.on("/slow-down", 429): "http_too_many_requests",
        web.on("/teapot", 418): "http_client_error",
        web.on("/noai", body=BODY, headers={"X-Robots-Tag": "noai"}): "opted_out",
        web.on("/empty"): "empty_body",
        web.on("/long", body=b"x" * 1001): "body_too_large",
        web.redirect("/there", web.url("/fine")): None,
        web.redirect("/round", web.url("/round")): "redirect_loop",
        web.handle("/reset", reset): "connection_reset",
        web.handle("/cut", cut): "truncated_body",
        # Of a response that is none, img2dataset keeps the first line alone: no words to tell it by.
        web.handle("/nonsense", nonsense): "connection_failed",
        web.handle("/hang", hang): "read_timeout",
        f"http://127.0.0.4:{web.port}/x": "connection_refused",
        f"https://127.0.0.1:{web.port}/x": "connect_timeout",
        "http://nosuchhost.invalid/x": "dns_not_found",
        "file:///etc/hostname": "unsupported_scheme",
        "ftp://127.0.0.1/x": "unsupported_scheme",
        "no url": "invalid_url",
        "http://10.1.2.3/x": "blocked_address",
        web.redirect("/inside", "http://10.1.2.3/x"): "blocked_address",
        web.redirect("/to-file", "file:///etc/hostname"): "redirect_loop",
        web.redirect("/to-ftp", f"ftp://127.0.0.1:{web.port}/x"): "unsupported_scheme",
    }
    found = dict(zip(expected, reasons(stage, list(expected)), strict=True))
    # Nobody answers for unknown names on a machine without a network, and then the reason is another.
    if found["http://nosuchhost.invalid/x"] == "dns_failed":
        expected["http://nosuchhost.invalid/x"] = "dns_failed"
    expected[web.url("/to-file")] = found[web.url("/to-file")]
    assert found == expected
    assert found[web.url("/to-file")] is not None


def test_no_proxy_of_the_environment_is_asked(web: RawWeb, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.4:1")
    stage = made()
    try:
        assert reasons(stage, [web.on("/a", body=BODY)]) == [None]
    finally:
        stage.close()


def test_the_rest_of_a_part_fails_when_its_time_is_over_and_the_next_part_is_fetched(web: RawWeb):
    async def hang(exchange: Exchange) -> None:
        await asyncio.sleep(20)

    stage = made(part_timeout_s=2.0)
    try:
        urls = [web.handle("/hang", hang), web.on("/a", body=BODY)]
        assert reasons(stage, urls) == ["deadline", None]
        assert reasons(stage, [web.url("/a")]) == [None]
    finally:
        stage.close()


def test_the_part_is_tried_again_and_not_half_told_when_the_child_dies(stage: FetchImages, web: RawWeb):
    async def kill(exchange: Exchange) -> None:
        (child,) = children_of(os.getpid())
        os.kill(child, signal.SIGKILL)

    with pytest.raises(RuntimeError, match="ended with code -9"):
        stage.process(table_of([web.handle("/kill", kill)]))
    assert reasons(stage, [web.on("/a", body=BODY)]) == [None]


def children_of(parent: int) -> set[int]:
    listed = [path.read_text().split() for path in Path(f"/proc/{parent}/task").glob("*/children")]
    pids = [int(pid) for line in listed for pid in line]
    return {pid for pid in pids if b"img2dataset_child" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_the_child_ends_when_the_stage_is_closed(web: RawWeb):
    before = children_of(os.getpid())
    stage = made()
    stage.process(table_of([web.on("/a", body=BODY)]))
    (child,) = children_of(os.getpid()) - before
    stage.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_fetching_waits_when_nobody_takes_the_bodies(web: RawWeb):
    stage = made(concurrency=2)
    try:
        urls = [web.on(f"/{number}", body=os.urandom(200_000)) for number in range(60)]
        chunks = stage.stream(table_of(urls))
        taken = next(chunks).num_rows
        time.sleep(0.5)
        asked = sum(web.asked.values())
        assert asked <= taken + 10
        assert taken + sum(chunk.num_rows for chunk in chunks) == 60
    finally:
        stage.close()
