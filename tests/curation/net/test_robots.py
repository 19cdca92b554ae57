"""robots.txt over a real server."""

import asyncio
import itertools

import pytest
from loop_turns import counted_turns
from raw_web import Exchange, RawWeb
from web_clients import fetch_all, fetch_one, open_client
from yarl import URL

from curation.net import robots
from curation.net.failures import FetchFailure
from curation.net.robots import RobotsFile, RobotsGate, kept_s
from schemas.outcomes import FailureReason as Reason

BODY = b"some bytes"


@pytest.fixture
def picture(web: RawWeb) -> str:
    return web.on("/private/a.jpg", body=BODY)


def fetch(url, **options):
    return fetch_one(url, robots=True, **options)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, Reason.ROBOTS_DISALLOWED),
        (400, None),
        (401, None),
        (403, None),
        (404, None),
        (410, None),
        (429, Reason.ROBOTS_DISALLOWED),
        (500, Reason.ROBOTS_DISALLOWED),
        (503, Reason.ROBOTS_DISALLOWED),
    ],
)
def test_status_of_robots_txt_decides_when_it_is_asked_for(web: RawWeb, picture: str, status: int, reason: Reason):
    web.on("/robots.txt", status, body=b"User-agent: *\nDisallow: /private/")
    assert fetch(picture).reason == reason


def test_nothing_is_fetched_when_robots_txt_cannot_be_reached(web: RawWeb, picture: str):
    async def hang_up(exchange: Exchange) -> None:
        exchange.hang_up()

    web.handle("/robots.txt", hang_up)
    assert fetch(picture).reason is Reason.CONNECTION_RESET
    assert web.asked["/private/a.jpg"] == 0


def test_evidence_is_told_when_the_rules_forbid(web: RawWeb, picture: str):
    web.on("/robots.txt", body=b"User-agent: *\nDisallow: /private/")
    got = fetch(picture)
    assert (got.reason, got.detail) == (Reason.ROBOTS_DISALLOWED, "robots.txt, line 2: Disallow: /private/")
    web.on("/robots.txt", 503)
    assert fetch(picture).detail == "robots.txt: status 503"


@pytest.mark.parametrize(("hops", "reason"), [(5, Reason.ROBOTS_DISALLOWED), (6, None)])
def test_five_redirects_are_followed_when_robots_txt_is_elsewhere(web: RawWeb, picture: str, hops: int, reason: Reason):
    web.redirect("/robots.txt", "/1")
    for hop in range(1, hops):
        web.redirect(f"/{hop}", f"/{hop + 1}")
    web.on(f"/{hops}", body=b"User-agent: *\nDisallow: /")
    assert fetch(picture).reason == reason


def test_half_a_megabyte_counts_when_robots_txt_is_longer(web: RawWeb, picture: str):
    filler = b"# nothing\n" * 60_000
    web.on("/robots.txt", body=b"User-agent: *\nDisallow: /private/\n" + filler)
    assert fetch(picture).reason is Reason.ROBOTS_DISALLOWED
    web.on("/robots.txt", body=filler + b"User-agent: *\nDisallow: /private/\n")
    assert fetch(picture).body == BODY


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 3600),
        ("max-age=7200", 7200),
        ('public, MAX-AGE = "600", s-maxage=1', 600),
        ("max-age=0", 300),
        ("no-cache", 3600),
        ("max-age=31536000", 86_400),
    ],
)
def test_file_is_kept_as_its_header_says_within_five_minutes_and_a_day(header: str | None, seconds: float):
    assert kept_s(header) == seconds


def test_file_is_asked_for_again_when_its_time_is_over(web: RawWeb, picture: str, monkeypatch: pytest.MonkeyPatch):
    web.on("/robots.txt", headers={"Cache-Control": "max-age=1"})
    assert [got.body for got in fetch_all([picture] * 3, robots=True)] == [BODY] * 3
    assert web.asked["/robots.txt"] == 1
    monkeypatch.setattr(robots, "_KEPT_BOUNDS_S", (0.0, 0.0))
    fetch_all([picture] * 3, robots=True)
    assert web.asked["/robots.txt"] == 4


def test_site_is_left_alone_when_it_asks_for_longer_waits_than_are_put_up_with(web: RawWeb, picture: str):
    web.on("/robots.txt", body=b"User-agent: *\nCrawl-delay: 61")
    got = fetch(picture, max_crawl_delay_s=60.0)
    assert got.reason is Reason.ROBOTS_DISALLOWED
    assert got.detail == "robots.txt asks for 61 s between requests, more than 60"
    assert fetch(picture, max_crawl_delay_s=None).body == BODY


def test_requests_keep_their_distance_when_robots_txt_asks_for_it(web: RawWeb):
    times: list[float] = []

    async def note(exchange: Exchange) -> None:
        times.append(asyncio.get_running_loop().time())
        await exchange.respond(200, BODY)

    web.on("/robots.txt", body=b"User-agent: test-bot\nCrawl-delay: 0.2")
    urls = [web.handle(f"/{number}", note) for number in range(4)]
    assert [got.body for got in fetch_all(urls, robots=True, together=True)] == [BODY] * 4
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) > 0.15


@pytest.mark.parametrize("path", ["/pub/../private/a.jpg", "/%2e/private/a.jpg", "//private/a.jpg", "/x/..//private/a"])
def test_rules_hold_when_the_path_is_spelt_in_another_way(web: RawWeb, path: str):
    web.on("/robots.txt", body=b"User-agent: *\nDisallow: /private/")
    web.redirect("/elsewhere", web.url(path))
    assert [got.reason for got in fetch_all([web.url(path), web.url("/elsewhere")], robots=True)] == [
        Reason.ROBOTS_DISALLOWED
    ] * 2
    assert set(web.asked) == {"/robots.txt", "/elsewhere"}


def test_path_is_sent_as_it_is_when_it_begins_with_two_slashes_and_nothing_forbids_it(web: RawWeb):
    web.on("/robots.txt", body=b"User-agent: *\nDisallow: /private/")
    assert fetch(web.on("//a.jpg", body=BODY)).body == BODY


def test_site_is_left_alone_when_it_asks_for_waits_beyond_any_number(web: RawWeb, picture: str):
    web.on("/robots.txt", body=b"User-agent: *\nRequest-rate: 1/" + b"9" * 400)
    got = fetch(picture, max_crawl_delay_s=60.0)
    assert got.reason is Reason.ROBOTS_DISALLOWED
    assert got.detail == "robots.txt asks for inf s between requests, more than 60"


def test_oldest_site_is_asked_again_when_the_rules_take_too_much_memory(web: RawWeb, monkeypatch: pytest.MonkeyPatch):
    web.on("/robots.txt", body=b"User-agent: *\n" + b"".join(b"Disallow: /%d/\n" % number for number in range(100)))
    one, other = (web.url("/a.jpg", host) for host in ("127.0.0.1", "127.0.0.2"))
    web.on("/a.jpg", body=BODY)
    fetch_all([one, other, one], robots=True)
    assert web.asked["/robots.txt"] == 2
    monkeypatch.setattr(robots, "_MAX_RULES_BYTES", 50_000)
    fetch_all([one, other, other, one], robots=True)
    assert web.asked["/robots.txt"] == 5


def test_other_sites_are_served_when_many_send_files_made_to_take_long(web: RawWeb):
    made = b"User-agent: *\n" + b"".join(b"Disallow: /*%d*x\n" % number for number in range(25_000))
    gaps: list[float] = []

    async def story() -> list[Reason | None]:
        client, gate = open_client(robots=True, concurrency=32), asyncio.Semaphore(32)

        async def watch() -> None:
            clock = asyncio.get_running_loop().time
            while True:
                before = clock()
                await asyncio.sleep(0.01)
                gaps.append(clock() - before)

        watching = asyncio.ensure_future(watch())
        sites = [asyncio.ensure_future(client.fetch(web.url("/7777x", f"127.0.0.{n}"), gate)) for n in (1, 2, 3)]
        reasons = [(await site).reason for site in sites]
        watching.cancel()
        await client.close()
        return reasons

    web.on("/robots.txt", body=made[:500_000])
    web.on("/7777x", body=BODY)
    assert asyncio.run(story()) == [Reason.ROBOTS_DISALLOWED] * 3
    # Read in one go each, they stopped everything else for seconds. (Most gaps: a busy machine has a few of its own.)
    assert sorted(gaps)[-5] < 0.3
    assert len(gaps) > 20


def test_urls_are_compared_one_at_a_time_when_the_rules_are_many():
    made = b"User-agent: *\n" + b"".join(b"Disallow: /*%d*x\n" % number for number in range(1000))

    async def answer(url: URL) -> RobotsFile:
        return RobotsFile(made)

    async def story() -> tuple[list[str | None], int]:
        gate = RobotsGate(answer, "test-bot")

        async def detail(number: int) -> str | None:
            with pytest.raises(FetchFailure) as refused:
                await gate.require(URL(f"http://example.org/{number}x"))
            return refused.value.detail

        # The file is there already: all would be compared before anything else gets its turn.
        await detail(999)
        with counted_turns() as turns:
            details = await asyncio.gather(*map(detail, range(100, 150)))
        gate.close()
        return details, turns.count

    details, turns = asyncio.run(story())
    assert details[49] == "robots.txt, line 151: Disallow: /*149*x"
    assert turns >= 50
