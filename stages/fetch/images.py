"""Stage `fetch_images`: the body behind each URL, fetched fast, safely and politely."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import Field, field_validator

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.marks import Mark, failed, with_marks
from curation.contracts.resources import Resources
from curation.contracts.stage import StageSpec, StreamingStage
from curation.net.addresses import AddressPolicy
from curation.net.client import ClientSettings, Fetched, WebClient
from curation.net.retries import RetryPolicy
from schemas.columns import schema_of
from schemas.outcomes import FailureReason
from stages.fetch.part_fetch import Arrival, LoopThread, PartFetch

_ADDS = (
    "body",
    "http_status",
    "final_url",
    "redirects",
    "content_type",
    "body_bytes",
    "fetch_attempts",
    "fetch_s",
)
_SCHEMA = schema_of(*_ADDS)
_MAX_CHUNK = 32

Port = Annotated[int, Field(ge=1, le=65535)]


class FetchImagesConfig(StepConfig):
    """Settings of `fetch_images`.

    Attributes:
        user_agent: Product token and version, sent in every request; robots.txt knows the crawler by the token.
        contact: Address of a page or mailbox where a site's owner can complain, sent with the user agent.
        concurrency: Requests in flight per worker, bodies that wait to be decoded included.
        per_host_concurrency: Requests in flight per host and worker.
        connect_timeout_s: For name resolution, connecting and the TLS handshake together.
        read_timeout_s: Longest silence of a server, before the first byte and between any two.
        total_timeout_s: For one attempt with all its redirects and its body.
        part_timeout_s: Time spent waiting for the network after which what is left of a part fails
            with `deadline`, None for never.
        max_body_bytes: Cap of a body, as sent and as inflated.
        max_redirects: Hops followed.
        retries: Further attempts after 5xx, 429 and connections that fail or break.
        backoff_s: Upper bound of the first random wait; it doubles with each attempt.
        max_retry_wait_s: Longest wait before an attempt; a server that asks for more is not asked again.
        robots: Whether robots.txt is obeyed.
        opt_out_headers: Whether an X-Robots-Tag of noai, noimageai, noindex or noimageindex is obeyed.
        allow_networks: Networks that may be reached though they are not public, in CIDR notation.
        allow_ports: Ports that may be reached, None for all.
    """

    kind: Literal["fetch_images"] = "fetch_images"
    user_agent: str = Field("curation-bot/0.1", pattern=r"^[A-Za-z0-9_.\-]+(/[\x21-\x7e]+)?$")
    contact: str | None = Field(None, pattern=r"^[\x21-\x27\x2a-\x7e]+$")
    concurrency: Tuning[int] = Field(64, ge=1, le=4096)
    per_host_concurrency: Tuning[int] = Field(8, ge=1, le=4096)
    connect_timeout_s: float = Field(10.0, gt=0)
    read_timeout_s: float = Field(15.0, gt=0)
    total_timeout_s: float = Field(60.0, gt=0)
    part_timeout_s: float | None = Field(1800.0, gt=0)
    max_body_bytes: int = Field(50_000_000, ge=1)
    max_redirects: int = Field(5, ge=0, le=50)
    retries: int = Field(2, ge=0, le=20)
    backoff_s: float = Field(0.5, ge=0)
    max_retry_wait_s: float = Field(30.0, ge=0)
    robots: bool = True
    opt_out_headers: bool = True
    allow_networks: tuple[str, ...] = ()
    allow_ports: tuple[Port, ...] | None = (80, 443, 8080, 8443)

    @field_validator("allow_networks")
    @classmethod
    def _networks_are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        AddressPolicy(networks)
        return networks

    def client_settings(self) -> ClientSettings:
        """What the client needs to know of these settings."""
        return ClientSettings(
            user_agent=self.user_agent if self.contact is None else f"{self.user_agent} (+{self.contact})",
            agent=self.user_agent.partition("/")[0],
            concurrency=self.concurrency,
            per_host_concurrency=self.per_host_concurrency,
            connect_timeout_s=self.connect_timeout_s,
            read_timeout_s=self.read_timeout_s,
            total_timeout_s=self.total_timeout_s,
            max_body_bytes=self.max_body_bytes,
            max_redirects=self.max_redirects,
            robots=self.robots,
            opt_out_headers=self.opt_out_headers,
        )


class FetchImages(StreamingStage):
    """Fetches every URL of a part; the same URL twice is fetched once."""

    Config = FetchImagesConfig

    def __init__(self, config: FetchImagesConfig) -> None:
        super().__init__(config)
        self._settings = config
        self._thread: LoopThread | None = None
        self._client: WebClient | None = None

    @property
    def spec(self) -> StageSpec:
        """What the stage needs and makes."""
        return StageSpec(
            kind="fetch_images", version=1, requires=("url",), adds=_ADDS, resources=Resources(cpus=1.0), rowwise=True
        )

    def setup(self) -> None:
        """Starts the event loop and opens the client."""
        _allow_many_open_files()
        self._thread = LoopThread()
        self._client = self._thread.run(self._open_client())

    def close(self) -> None:
        """Ends every connection and the event loop."""
        if self._thread is None or self._client is None:
            return
        self._thread.run(self._client.close())
        self._thread.stop()
        self._thread = self._client = None

    def stream(self, table: pa.Table) -> Iterator[pa.Table]:
        """Yields the rows as their bodies arrive, up to 32 at a time."""
        if self._thread is None or self._client is None:
            raise RuntimeError("setup() has not been called")
        places = _places_by_url(table["url"].to_pylist())
        if not places:
            yield _with_results(table, [], [])
            return
        rows = list(places.values())
        part = PartFetch(self._thread, self._client, self._settings.concurrency)
        missing = set(range(len(rows)))
        for chunk in part.chunks(list(places), _MAX_CHUNK, self._settings.part_timeout_s):
            missing.difference_update(index for index, _ in chunk)
            yield _chunk_table(table, rows, chunk)
        if missing:
            late = Fetched(reason=FailureReason.DEADLINE, detail="the part's time was over")
            yield _chunk_table(table, rows, [(index, late) for index in sorted(missing)])

    async def _open_client(self) -> WebClient:
        config = self._settings
        return WebClient(
            config.client_settings(),
            AddressPolicy(config.allow_networks, config.allow_ports),
            RetryPolicy(config.retries, config.backoff_s, config.max_retry_wait_s),
        )


def _places_by_url(urls: Sequence[str | None]) -> dict[str | None, list[int]]:
    places: dict[str | None, list[int]] = {}
    for place, url in enumerate(urls):
        places.setdefault(url, []).append(place)
    return places


def _chunk_table(table: pa.Table, rows: Sequence[Sequence[int]], chunk: Sequence[Arrival]) -> pa.Table:
    places = [place for index, _ in chunk for place in rows[index]]
    results = [fetched for index, fetched in chunk for _ in rows[index]]
    return _with_results(table, places, results)


def _with_results(table: pa.Table, places: Sequence[int], results: Sequence[Fetched]) -> pa.Table:
    chunk = table.take(pa.array(places, pa.int64()))
    columns = [
        [item.body for item in results],
        [item.status for item in results],
        [item.final_url for item in results],
        [item.redirects for item in results],
        [item.content_type for item in results],
        [None if item.body is None else len(item.body) for item in results],
        [item.attempts for item in results],
        [item.seconds for item in results],
    ]
    for field, values in zip(_SCHEMA, columns, strict=True):
        chunk = chunk.append_column(field, pa.array(values, field.type))
    return with_marks(chunk, [_mark_of(item) for item in results])


def _mark_of(fetched: Fetched) -> Mark | None:
    return None if fetched.reason is None else failed(fetched.reason, fetched.detail)


def _allow_many_open_files() -> None:
    """Raises the soft limit to the hard one: idle connections to many hosts outgrow the usual 1,024."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
