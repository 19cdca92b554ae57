import asyncio
import base64
import hashlib
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError
from raw_web import Exchange, RawWeb

from curation.contracts.stage import earlier_name
from curation.errors import RecipeError
from schemas.columns import schema_of
from stages.fetch.images import FetchImages, FetchImagesConfig

BODY = b"some bytes"
_OPEN = {"allow_networks": ("127.0.0.0/8",), "allow_ports": None, "robots": False, "backoff_s": 0.01}

Make = Callable[..., FetchImages]


def _table(urls: list[str | None]) -> pa.Table:
    columns = {"row": range(10, 10 + len(urls)), "key": [f"k{place}" for place in range(len(urls))], "url": urls}
    fields = schema_of("row", "key", "url")
    return pa.table([pa.array(columns[field.name], field.type) for field in fields], schema=fields)


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes stages that may reach loopback, set up and closed at the end."""
    made: list[FetchImages] = []

    def make_stage(**settings: object) -> FetchImages:
        stage = FetchImages(FetchImagesConfig(**{**_OPEN, **settings}))
        stage.setup()
        made.append(stage)
        return stage

    yield make_stage
    for stage in made:
        stage.close()


def test_columns_are_those_of_the_spec_when_rows_are_fetched_and_fail(web: RawWeb, make: Make):
    stage = make()
    table = _table([web.on("/a", body=BODY, headers={"Content-Type": "image/png"}), web.url("/missing"), None])
    done = stage.process(table)
    assert done.column_names == [*table.column_names, *stage.spec.adds, "outcome", "reason", "detail"]
    assert done.select(stage.spec.adds).schema == schema_of(*stage.spec.adds)
    assert done["row"].to_pylist() == [10, 11, 12]
    assert done["body"].to_pylist() == [BODY, None, None]
    assert done["body_bytes"].to_pylist() == [len(BODY), None, None]
    assert done["http_status"].to_pylist() == [200, 404, None]
    assert done["content_type"].to_pylist() == ["image/png", None, None]
    assert done["outcome"].to_pylist() == [None, "failed", "failed"]
    assert done["reason"].to_pylist() == [None, "http_not_found", "invalid_url"]


def test_order_is_the_inputs_when_bodies_arrive_in_another(web: RawWeb, make: Make):
    async def slow_first(exchange: Exchange) -> None:
        await asyncio.sleep(0.15 if exchange.path == "/0" else 0.0)
        await exchange.respond(200, exchange.path.encode())

    urls = [web.handle(f"/{number}", slow_first) for number in range(6)]
    stage = make()
    arrived = [row for chunk in stage.stream(_table(urls)) for row in chunk["row"].to_pylist()]
    assert arrived[-1] == 10
    assert sorted(arrived) == [10, 11, 12, 13, 14, 15]
    done = stage.process(_table(urls))
    assert done["row"].to_pylist() == [10, 11, 12, 13, 14, 15]
    assert done["body"].to_pylist() == [f"/{number}".encode() for number in range(6)]


def test_first_rows_are_handed_over_while_others_are_still_fetched(web: RawWeb, make: Make):
    let_go = threading.Event()

    async def wait(exchange: Exchange) -> None:
        while not let_go.is_set():
            await asyncio.sleep(0.01)
        await exchange.respond(200, BODY)

    chunks = make().stream(_table([web.handle("/slow", wait), web.on("/fast", body=BODY)]))
    first = next(chunks)["row"].to_pylist()
    let_go.set()
    assert (first, [chunk["row"].to_pylist() for chunk in chunks]) == ([11], [[10]])


def test_url_is_fetched_once_when_it_stands_in_several_rows(web: RawWeb, make: Make):
    url = web.on("/a", body=BODY)
    done = make().process(_table([url, web.url("/b"), url]))
    assert (web.asked["/a"], done["body"].to_pylist()) == (1, [BODY, None, BODY])


def test_table_with_all_columns_is_returned_when_the_input_is_empty(make: Make):
    stage = make()
    done = stage.process(_table([]))
    assert (done.num_rows, done.column_names[3:-3]) == (0, list(stage.spec.adds))


def test_stage_works_when_it_was_pickled_before_setup(web: RawWeb):
    stage = pickle.loads(pickle.dumps(FetchImages(FetchImagesConfig(**_OPEN))))
    stage.setup()
    try:
        assert stage.process(_table([web.on("/a", body=BODY)]))["body"].to_pylist() == [BODY]
    finally:
        stage.close()


def test_requests_per_host_stay_within_the_limit_when_many_rows_share_it(web: RawWeb, make: Make):
    async def dawdle(exchange: Exchange) -> None:
        await asyncio.sleep(0.01)
        await exchange.respond(200, BODY)

    for number in range(20):
        web.handle(f"/{number}", dawdle)
    urls = [web.url(f"/{number}", host) for number in range(20) for host in ("127.0.0.1", "127.0.0.2")]
    done = make(per_host_concurrency=3, concurrency=16).process(_table(urls))
    assert done["body"].null_count == 0
    assert dict(web.most_together) == {"127.0.0.1": 3, "127.0.0.2": 3}


def test_requests_stay_within_the_worker_limit_when_there_are_many_hosts(web: RawWeb, make: Make):
    async def dawdle(exchange: Exchange) -> None:
        await asyncio.sleep(0.01)
        await exchange.respond(200, BODY)

    urls = []
    for number in range(12):
        web.handle(f"/{number}", dawdle)
        urls.append(web.url(f"/{number}", f"127.0.0.{1 + number % 3}"))
    make(per_host_concurrency=9, concurrency=2).process(_table(urls))
    assert max(web.most_together.values()) <= 2


def test_fetching_waits_when_nobody_takes_the_bodies(web: RawWeb, make: Make):
    urls = [web.on(f"/{number}", body=BODY) for number in range(40)]
    chunks = make(concurrency=4, per_host_concurrency=40).stream(_table(urls))
    taken = next(chunks).num_rows
    time.sleep(0.1)
    assert sum(web.asked.values()) <= 4
    assert taken + sum(chunk.num_rows for chunk in chunks) == 40


def test_hosts_fail_by_themselves_when_one_hangs_and_another_is_gone(web: RawWeb, make: Make):
    async def hang(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    web.handle("/hang", hang)
    urls = [web.url("/hang?", "127.0.0.2"), web.on("/a", body=BODY), f"http://127.0.0.4:{web.port}/x"]
    web.handle("/hang?", hang)
    done = make(first_byte_timeout_s=1.0, retries=0).process(_table(urls))
    assert done["reason"].to_pylist() == ["read_timeout", None, "connection_refused"]


def test_rest_of_a_part_fails_when_its_time_is_over(web: RawWeb, make: Make):
    async def hang(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    web.handle("/hang", hang)
    stage = make(part_timeout_s=1.0)
    done = stage.process(_table([web.url("/hang"), web.on("/a", body=BODY)]))
    assert done["reason"].to_pylist() == ["deadline", None]
    assert stage.process(_table([web.url("/a")]))["body"].to_pylist() == [BODY]


def test_time_of_the_consumer_does_not_count_when_a_part_has_a_deadline(web: RawWeb, make: Make):
    urls = [web.on(f"/{number}", body=BODY) for number in range(4)]
    reasons = []
    for chunk in make(part_timeout_s=1.5, concurrency=1).stream(_table(urls)):
        time.sleep(0.5)
        reasons += chunk["reason"].to_pylist()
    assert reasons == [None] * 4


def test_next_part_is_fetched_when_the_last_was_abandoned(web: RawWeb, make: Make):
    stage = make(concurrency=1)
    chunks = stage.stream(_table([web.on(f"/{number}", body=BODY) for number in range(4)]))
    next(chunks)
    chunks.close()
    assert stage.process(_table([web.url("/0")]))["body"].to_pylist() == [BODY]


def test_robots_txt_is_asked_for_once_when_many_rows_share_a_host(web: RawWeb, make: Make):
    web.on("/robots.txt", body=b"User-agent: *\nDisallow: /no/")
    urls = [web.on(f"/{number}", body=BODY) for number in range(8)] + [web.on("/no/a", body=BODY)]
    done = make(robots=True).process(_table(urls))
    assert (web.asked["/robots.txt"], web.asked["/no/a"]) == (1, 0)
    assert done["reason"].to_pylist() == [None] * 8 + ["robots_disallowed"]


def test_contact_follows_the_product_token_when_it_is_given(web: RawWeb, make: Make):
    make(user_agent="my-bot/2", contact="https://example.org/bot").process(_table([web.on("/a", body=BODY)]))
    assert web.requests[0][1]["user-agent"] == "my-bot/2 (+https://example.org/bot)"


@pytest.mark.parametrize(
    "settings",
    [
        {"allow_networks": ("127.0.0.1/8",)},
        {"allow_ports": (0,)},
        {"user_agent": "bot\r\nX-Evil: 1"},
        {"contact": "a\nb"},
        {"retries": -1},
        {"total_timeout_s": 0},
        {"read_timeout": 3},
    ],
)
def test_config_is_refused_when_a_setting_makes_no_sense(settings: dict[str, object]):
    with pytest.raises(ValidationError):
        FetchImagesConfig(**settings)


def _again(done: pa.Table, stage: FetchImages) -> pa.Table:
    """The same rows as a refresh hands them back, with what was measured of them before."""
    earlier = {earlier_name(name): done[name] for name in stage.spec.revisits}
    table = done.select(["row", "key", "url"])
    for name, column in earlier.items():
        table = table.append_column(name, column)
    return table


def test_server_is_asked_whether_it_has_changed_when_rows_are_fetched_again(web: RawWeb, make: Make):
    async def versioned(exchange: Exchange) -> None:
        etag, date = '"7"', "Sun, 01 Jan 2023 00:00:00 GMT"
        asked = (exchange.headers.get("if-none-match"), exchange.headers.get("if-modified-since"))
        status = 304 if asked == (etag, date) else 200
        await exchange.respond(status, b"" if status == 304 else BODY, {"ETag": etag, "Last-Modified": date})

    web.handle("/versioned", versioned)
    web.redirect("/moved", "/versioned")
    urls = [web.url("/versioned"), web.url("/moved"), web.on("/plain", body=BODY), web.on("/gone", body=BODY)]
    stage = make()
    first = stage.process(_table([*urls, web.on("/new", body=BODY)]))
    assert first["etag"].to_pylist() == ['"7"', '"7"', None, None, None]
    web.on("/gone", 404)
    web.on("/new", body=b"other bytes")
    asked = len(web.requests)
    second = stage.process(_again(first, stage))
    assert second["outcome"].to_pylist() == ["unchanged", "unchanged", "unchanged", "failed", None]
    assert second["http_status"].to_pylist() == [304, 304, 200, 404, 200]
    assert second["body"].to_pylist() == [None, None, None, None, b"other bytes"]
    # What leads to a known URL is asked as ever: it may lead elsewhere by now.
    conditional = {path for path, headers in web.requests[asked:] if "if-none-match" in headers}
    assert conditional == {"/versioned"}


def test_answer_counts_as_any_other_when_nobody_asked_whether_it_has_changed(web: RawWeb, make: Make):
    done = make().process(_table([web.on("/a", 304, headers={"ETag": '"7"'})]))
    assert done["reason"].to_pylist() == ["http_unexpected_status"]


def test_row_fails_when_its_body_is_not_the_one_that_the_source_lists(web: RawWeb, make: Make):
    urls = [web.on("/good", body=BODY), web.on("/bad", body=b"somebody else's")]
    listed = [hashlib.sha256(BODY).hexdigest().upper()] * 2
    stage = make(verify_sha256="seen_sha256")
    assert stage.spec.requires == ("url", "seen_sha256")
    done = stage.process(_table(urls).append_column("seen_sha256", pa.array(listed)))
    assert done["reason"].to_pylist() == [None, "hash_mismatch"]
    assert done["sha256"].to_pylist()[0] == listed[0].lower()


def test_row_is_not_asked_for_when_what_is_listed_for_it_is_no_digest(web: RawWeb, make: Make):
    shared, alone = web.on("/shared", body=BODY), web.on("/alone", body=BODY)
    digest = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    table = _table([shared, shared, alone, shared]).append_column("md5", pa.array(["n/a", digest, "0" * 31, ""]))
    done = make(verify_md5="md5").process(table)
    assert done["reason"].to_pylist() == ["invalid_digest", None, "invalid_digest", None]
    assert done["detail"].to_pylist()[0] == "'n/a' is no md5 in hexadecimal or base64"
    assert done["body"].to_pylist() == [None, BODY, None, BODY]
    assert done["fetch_attempts"].to_pylist() == [0, 1, 0, 1]
    assert web.asked == {"/shared": 1}


def test_every_row_comes_back_when_no_digest_can_be_read(make: Make):
    table = _table(["http://127.0.0.1:1/a", "no url"]).append_column("md5", pa.array(["n/a", "-"]))
    assert make(verify_md5="md5").process(table)["reason"].to_pylist() == ["invalid_digest"] * 2


def test_mistake_is_told_before_the_start_when_the_file_of_authorities_is_missing(tmp_path: Path):
    with pytest.raises(RecipeError, match="ca_file"):
        FetchImages(FetchImagesConfig(**{**_OPEN, "ca_file": str(tmp_path / "ca.pem")})).check()
