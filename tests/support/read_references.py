"""Reads references as a fetching worker does, on an event loop of their own."""

import asyncio

from curation.net.fetched import Fetched, Validators
from curation.net.retries import RetryPolicy
from curation.references.reader import ReferenceReader, ReferenceSettings


def read(urls: list[str | None], known: Validators | None = None, retries: int = 0, **settings: object):
    """What becomes of the URLs, one after the other, and how many places of the gate are taken at the end."""

    async def scene() -> tuple[list[Fetched], int]:
        given: dict[str, object] = {"schemes": ("data",), "max_body_bytes": 1000, **settings}
        reader = ReferenceReader(ReferenceSettings(**given), RetryPolicy(retries, 0.01, 1.0))
        gate = asyncio.Semaphore(100)
        try:
            results = [await reader.fetch(url, gate, known) for url in urls]
        finally:
            await reader.close()
        taken = 0
        while not gate.locked():
            await gate.acquire()
            taken += 1
        return results, 100 - taken

    return asyncio.run(scene())


def read_one(url: str | None, **settings: object) -> Fetched:
    return read([url], **settings)[0][0]
