"""Clients for tests: settings with deadlines that a busy machine keeps, and one URL fetched by a client of its own."""

import asyncio
from dataclasses import replace
from functools import partial

from curation.contracts.shared import LocalLink, SharedSpec
from curation.net.addresses import AddressPolicy
from curation.net.client import WebClient
from curation.net.coordinator import TurnCoordinator
from curation.net.fetched import Fetched, Validators
from curation.net.retries import RetryPolicy
from curation.net.settings import ClientSettings
from curation.net.turn_messages import TurnLimits

LIMITS = TurnLimits(8, max_rest_s=2.0)
SETTINGS = ClientSettings(
    user_agent="test-bot/1.0 (+mailto:me@example.org)",
    agent="test-bot",
    concurrency=16,
    limits=LIMITS,
    connect_timeout_s=5.0,
    first_byte_timeout_s=3.0,
    idle_timeout_s=3.0,
    total_timeout_s=6.0,
    max_body_bytes=100_000,
    max_redirects=3,
    robots=False,
)
LOOPBACK = ("127.0.0.0/8",)


def open_client(
    allow: tuple[str, ...] = LOOPBACK, ports: tuple[int, ...] | None = None, retries: int = 0, **changes: object
) -> WebClient:
    """A client on the running loop that may reach loopback, with some settings changed."""
    settings = replace(SETTINGS, **changes)
    link = LocalLink(SharedSpec(partial(TurnCoordinator, settings.limits), 1))
    return WebClient(settings, AddressPolicy(allow, ports), RetryPolicy(retries, 0.01, 2.0), link)


def fetch_all(
    urls: list[str | None], known: Validators | None = None, *, together: bool = False, **options: object
) -> list[Fetched]:
    """Fetches URLs one after the other, or all at once, with one client."""

    async def run() -> list[Fetched]:
        client = open_client(**options)
        gate = asyncio.Semaphore(16 if together else 4)

        async def fetch(url: str | None) -> Fetched:
            fetched = await client.fetch(url, gate, known)
            if fetched.body is not None:
                gate.release()
            return fetched

        try:
            return await asyncio.gather(*map(fetch, urls)) if together else [await fetch(url) for url in urls]
        finally:
            await client.close()

    return asyncio.run(run())


def fetch_one(url: str | None, known: Validators | None = None, **options: object) -> Fetched:
    """Fetches a URL with a client of its own."""
    return fetch_all([url], known, **options)[0]
