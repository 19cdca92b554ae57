import asyncio
import time

import pytest
from fetch_parts import OPEN, part_of
from pydantic import ValidationError
from raw_web import Exchange, RawWeb

from curation.errors import RecipeError
from stages.fetch.images import FetchImages, FetchImagesConfig

BODY = b"some bytes"


def checked(**settings):
    stage = FetchImages(FetchImagesConfig(**settings))
    stage.check()
    return stage


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"allow_networks": ("127.0.0.0/8",)},
        {"allow_public": False, "allow_networks": ("127.0.0.0/8", "93.184.0.0/16")},
    ],
)
def test_recipe_is_refused_when_it_asks_strangers_and_gives_no_contact(settings):
    with pytest.raises(RecipeError, match="contact: required: a web page or a mailbox"):
        checked(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"contact": "https://crawler.ours.net/example.org"},
        {"contact": "mailto:crawler@ours.net"},
        {"contact": "crawler@notexample.org"},
        {"contact": "https://example.org/", "allow_public": False, "allow_networks": ("10.0.0.0/8",)},
        {"allow_public": False, "allow_networks": ("127.0.0.0/8", "10.0.0.0/8", "::1/128")},
        {"allow_schemes": ("data",)},
    ],
)
def test_recipe_is_taken_when_owners_can_complain_or_no_stranger_is_asked(settings):
    stage = checked(**settings)

    agent = stage.config.agent_header
    assert settings.get("contact", "curation-bot") in agent


@pytest.mark.parametrize(
    ("contact", "name"),
    [
        ("https://example.org/crawler", "example.org"),
        ("https://www.example.com", "example.com"),
        ("mailto:crawler@example.net", "example.net"),
        ("crawler@ours.example", "ours.example"),
        ("https://ours.invalid:8080/x", "ours.invalid"),
    ],
)
def test_recipe_is_refused_when_nobody_would_read_a_complaint(contact, name):
    with pytest.raises(RecipeError, match=f": {name} is kept for examples"):
        checked(contact=contact)


@pytest.mark.parametrize(
    "settings",
    [
        {"user_agent": "Mozilla/5.0"},
        {"user_agent": "chrome"},
        {"contact": "me"},
        {"contact": "example.org"},
        {"nameservers": ("dns.example.org",)},
        {"nameservers": ("127.0.0.1:port",)},
        {"resolver": "dig"},
        {"obey_robots_tags": ("nosnippet",)},
        {"per_host_rate": 0.0},
        {"host_failures": 0},
    ],
)
def test_config_is_refused_when_a_manner_makes_no_sense(settings):
    with pytest.raises(ValidationError):
        FetchImagesConfig(**settings)


@pytest.mark.parametrize("server", ["127.0.0.1", "127.0.0.1:5353", "[::1]:53", "2001:db8::1"])
def test_nameserver_is_taken_when_it_is_an_address(server):
    assert FetchImagesConfig(nameservers=(server,)).nameservers == (server,)


def test_public_internet_is_out_of_reach_when_it_is_not_allowed(web: RawWeb):
    stage = FetchImages(FetchImagesConfig(**OPEN))
    stage.setup()
    done = stage.process(part_of([web.on("/a", body=BODY), "http://93.184.216.34/a.jpg"]))
    stage.close()
    assert done["reason"].to_pylist() == [None, "blocked_address"]


def test_part_ends_in_time_and_others_go_on_when_most_of_it_waits_for_one_host(web: RawWeb):
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.2)
        await exchange.respond(200, BODY)

    crowd = [web.handle(f"/slow{number}", slow) for number in range(90)]
    web.on("/x", body=BODY)
    others = [web.url(f"/x?{number}", "127.0.0.2") for number in range(10)]
    for number in range(10):
        web.on(f"/x?{number}", body=BODY)
    stage = FetchImages(FetchImagesConfig(**OPEN, per_host_concurrency=2, concurrency=8, part_timeout_s=1.5))
    stage.setup()
    started = time.monotonic()
    arrived = list(stage.stream(part_of([*crowd, *others])))
    seconds = time.monotonic() - started
    stage.close()
    order = [row for chunk in arrived for row in chunk["row"].to_pylist()]
    failed = {
        row: reason
        for chunk in arrived
        for row, reason in zip(chunk["row"].to_pylist(), chunk["reason"].to_pylist(), strict=True)
        if reason is not None
    }
    assert seconds < 2.5
    assert sorted(order) == list(range(100))
    assert set(failed.values()) == {"deadline"}
    assert all(row < 90 for row in failed)
    # Two at a time and five in a second: some 14 of the crowd came through, and no other had to wait for them.
    assert 8 <= 90 - len(failed) <= 16
    assert max(order.index(row) for row in range(90, 100)) < 20
