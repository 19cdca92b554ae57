"""Stage `fetch_images`: the body behind each URL, fetched fast, safely and politely."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import Field

from curation.contracts.config import Tuning
from curation.contracts.resources import Resources
from curation.contracts.shared import LocalLink, SharedLink, SharedSpec
from curation.contracts.stage import StageSpec, StreamingStage
from curation.errors import RecipeError
from curation.net.client import WebClient
from curation.net.coordinator import WORKERS_PER_COORDINATOR, TurnCoordinator
from curation.net.fetched import Fetched
from curation.net.retries import RetryPolicy
from curation.net.settings import ClientSettings
from curation.references.reader import Fetcher, ReferenceReader, ReferenceSettings, SchemeRouter
from curation.references.schemes import WEB
from schemas.outcomes import FailureReason
from stages.fetch.engine_config import EngineConfig
from stages.fetch.img2dataset_engine import ChildSettings, Img2datasetEngine
from stages.fetch.manners_config import MannersConfig
from stages.fetch.part_fetch import LoopThread, PartFetch
from stages.fetch.record import ADDS, REVISITS, PartRecord
from stages.fetch.reference_config import ReferenceConfig
from stages.fetch.verification import check_columns, verified_columns

_MAX_CHUNK = 32


class FetchImagesConfig(MannersConfig, ReferenceConfig, EngineConfig):
    """Settings of `fetch_images`.

    Attributes:
        concurrency: Requests in flight per worker, bodies that wait to be decoded included, but for some dozens.
        connect_timeout_s: For connecting and the TLS handshake together. Looking a name up may take 10 s before.
        first_byte_timeout_s: From the request to the end of the response's headers.
        idle_timeout_s: Longest silence of a server between any two pieces of a body.
        total_timeout_s: For one attempt with all its redirects and its body.
        part_timeout_s: Time spent waiting for the network after which what is left of a part fails
            with `deadline`, None for never.
        max_body_bytes: Cap of a body, as sent and as inflated.
        max_redirects: Hops followed.
        retries: Further attempts after 5xx, 429 and connections that fail or break.
        backoff_s: Upper bound of the first random wait; it doubles with each attempt.
        max_retry_wait_s: Longest wait before an attempt; a server that asks for more is not asked again.
        ca_file: Certificate authorities, as PEM, that are trusted beside the system's.
        verify_sha256: Column of the source with the SHA-256 of each body, in hexadecimal or base64, with or without
            `sha256:` before it, or as bytes. A body that is another fails with `hash_mismatch`: it may have changed, or
            its domain may have new owners. A row where the column is null or blank is not verified; one where it holds
            no SHA-256 fails with `invalid_digest` and is not fetched.
        verify_md5: The same for MD5.
    """

    kind: Literal["fetch_images"] = "fetch_images"
    concurrency: Tuning[int] = Field(64, ge=1, le=4096)
    connect_timeout_s: float = Field(10.0, gt=0)
    first_byte_timeout_s: float = Field(15.0, gt=0)
    idle_timeout_s: float = Field(15.0, gt=0)
    total_timeout_s: float = Field(60.0, gt=0)
    part_timeout_s: float | None = Field(1800.0, gt=0)
    max_body_bytes: int = Field(50_000_000, ge=1)
    max_redirects: int = Field(5, ge=0, le=50)
    retries: int = Field(2, ge=0, le=20)
    backoff_s: float = Field(0.5, ge=0)
    max_retry_wait_s: float = Field(30.0, ge=0)
    ca_file: str | None = Field(None, min_length=1)
    verify_sha256: str | None = Field(None, min_length=1)
    verify_md5: str | None = Field(None, min_length=1)

    @property
    def verified(self) -> dict[str, str | None]:
        """The columns with expected digests, by the name that hashlib has for the algorithm."""
        return {"sha256": self.verify_sha256, "md5": self.verify_md5}

    def client_settings(self) -> ClientSettings:
        """What the client needs to know of these settings."""
        return ClientSettings(
            user_agent=self.agent_header,
            agent=self.agent,
            concurrency=self.concurrency,
            limits=self.turn_limits(self.max_retry_wait_s),
            connect_timeout_s=self.connect_timeout_s,
            first_byte_timeout_s=self.first_byte_timeout_s,
            idle_timeout_s=self.idle_timeout_s,
            total_timeout_s=self.total_timeout_s,
            max_body_bytes=self.max_body_bytes,
            max_redirects=self.max_redirects,
            robots=self.robots,
            max_crawl_delay_s=self.max_crawl_delay_s,
            robots_tags=self.obey_robots_tags,
            tdm_reservation=self.obey_tdm_reservation,
            ca_file=self.ca_file,
            resolver=self.resolver,
            nameservers=self.nameservers,
            lookups=self.lookups,
        )

    def reference_settings(self) -> ReferenceSettings:
        """What the reader of references needs to know of these settings."""
        return ReferenceSettings(
            schemes=self.allow_schemes,
            folders=self.allow_folders,
            storage_options=self.storage_options,
            concurrency=self.concurrency,
            idle_timeout_s=self.idle_timeout_s,
            total_timeout_s=self.total_timeout_s,
            max_body_bytes=self.max_body_bytes,
        )

    def child_settings(self) -> ChildSettings:
        """What img2dataset is told, where it is to fetch."""
        return ChildSettings(
            threads=self.concurrency,
            timeout_s=self.idle_timeout_s,
            retries=self.retries,
            user_agent=self.agent_header,
            agent=self.agent,
            robots_tags=tuple(self.obey_robots_tags),
            tdm_reservation=self.obey_tdm_reservation,
            max_bytes=self.max_body_bytes,
            networks=self.allow_networks,
            ports=self.allow_ports,
            public=self.allow_public,
        )


class FetchImages(StreamingStage):
    """Fetches every URL of a part; the same URL twice is fetched once."""

    Config = FetchImagesConfig

    def __init__(self, config: FetchImagesConfig) -> None:
        super().__init__(config)
        self._settings = config
        self._thread: LoopThread | None = None
        self._client: Fetcher | None = None
        self._img2dataset: Img2datasetEngine | None = None
        self._link: SharedLink | None = None

    @property
    def spec(self) -> StageSpec:
        """What the stage needs and makes."""
        return StageSpec(
            kind="fetch_images",
            version=2,
            requires=tuple(dict.fromkeys(("url", *verified_columns(self._settings.verified)))),
            adds=ADDS,
            resources=Resources(cpus=1.0),
            rowwise=True,
            revisits=REVISITS,
            row_seconds=0.003,
        )

    def check(self) -> None:
        """Looks for the file of certificate authorities, and for what reads the allowed schemes."""
        if self._settings.ca_file is not None and not Path(self._settings.ca_file).is_file():
            raise RecipeError(f"ca_file: there is no file {self._settings.ca_file}")
        self._settings.check_schemes()
        self._settings.check_engine(robots=self._settings.robots)
        if set(self._settings.allow_schemes) & set(WEB):
            self._settings.check_contact()

    def check_source(self, columns: pa.Schema) -> None:
        """Looks whether what is to be verified against may be digests."""
        check_columns(columns, self._settings.verified)

    @property
    def shared(self) -> SharedSpec:
        """The coordinator that keeps the limits per host and domain for all workers."""
        limits = self._settings.turn_limits(self._settings.max_retry_wait_s)
        return SharedSpec(partial(TurnCoordinator, limits), WORKERS_PER_COORDINATOR)

    def connect(self, link: SharedLink) -> None:
        """Takes the way to the coordinator."""
        self._link = link

    def setup(self) -> None:
        """Starts the event loop and opens the client."""
        config = self._settings
        _allow_many_open_files()
        if config.engine == "img2dataset":
            engine = Img2datasetEngine(config.child_settings(), config.allow_schemes, config.img2dataset_python)
            self._img2dataset = engine
            return
        self._thread = LoopThread()
        self._client = self._thread.run(self._open_client())

    def close(self) -> None:
        """Ends every connection and the event loop."""
        if self._img2dataset is not None:
            self._img2dataset.close()
            self._img2dataset = None
        if self._thread is None or self._client is None:
            return
        self._thread.stop(self._client.close())
        self._thread = self._client = None

    def stream(self, table: pa.Table) -> Iterator[pa.Table]:
        """Yields the rows as their bodies arrive, up to 32 at a time."""
        part = self._part()
        record = PartRecord(table, self._settings.verified)
        refused = record.refused()
        if refused.num_rows or not record.wanted:
            yield refused
        missing = set(range(len(record.wanted)))
        for chunk in part.chunks(record.wanted, _MAX_CHUNK, self._settings.part_timeout_s):
            missing.difference_update(index for index, _ in chunk)
            yield record.rows(chunk)
        if missing:
            late = Fetched(reason=FailureReason.DEADLINE, detail="the part's time was over")
            yield record.rows((index, late) for index in sorted(missing))

    def _part(self) -> PartFetch | Img2datasetEngine:
        if self._img2dataset is not None:
            return self._img2dataset
        if self._thread is None or self._client is None:
            raise RuntimeError("setup() has not been called")
        return PartFetch(self._thread, self._client, self._settings.concurrency)

    async def _open_client(self) -> Fetcher:
        config = self._settings
        retry = RetryPolicy(config.retries, config.backoff_s, config.max_retry_wait_s)
        link = LocalLink(self.shared) if self._link is None else self._link
        web = WebClient(config.client_settings(), config.policy, retry, link)
        references = ReferenceReader(config.reference_settings(), retry)
        return SchemeRouter(web, references, config.allow_schemes)


def _allow_many_open_files() -> None:
    """Raises the soft limit to the hard one: idle connections to many hosts outgrow the usual 1,024."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
