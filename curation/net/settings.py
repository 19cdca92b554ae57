"""How a client presents itself, and what it puts up with."""

from __future__ import annotations

from dataclasses import dataclass

from curation.net.name_lookup import ResolverName
from curation.net.opt_out import ROBOTS_TAGS, RobotsTag
from curation.net.turn_messages import TurnLimits


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings of a `WebClient`.

    Attributes:
        user_agent: The header's value.
        agent: The product token in it, by which robots.txt and X-Robots-Tag may name this crawler.
        concurrency: Requests in flight for robots.txt, and turns that are held at one host; for bodies the gate of each
            fetch counts.
        limits: What holds for each host and domain over all clients of a run.
        connect_timeout_s: For connecting and the TLS handshake together.
        first_byte_timeout_s: From the request to the end of the response's headers.
        idle_timeout_s: Between any two pieces of a body.
        total_timeout_s: For one attempt with all its redirects, waiting for its turn not counted.
        max_body_bytes: Cap of a body, as sent and as inflated.
        max_redirects: Hops followed.
        robots: Whether robots.txt is obeyed.
        max_crawl_delay_s: A site whose robots.txt asks for longer waits is not fetched from; None: its wish is ignored.
        robots_tags: The directives of X-Robots-Tag that are obeyed.
        tdm_reservation: Whether the header of that name is obeyed.
        ca_file: Certificate authorities, as PEM, that are trusted beside the system's.
        resolver: Who looks names up.
        nameservers: Whom c-ares asks, the system's where there are none.
        lookups: Names looked up at a time.
    """

    user_agent: str
    agent: str
    concurrency: int
    limits: TurnLimits
    connect_timeout_s: float
    first_byte_timeout_s: float
    idle_timeout_s: float
    total_timeout_s: float
    max_body_bytes: int
    max_redirects: int
    robots: bool
    max_crawl_delay_s: float | None = 60.0
    robots_tags: tuple[RobotsTag, ...] = ROBOTS_TAGS
    tdm_reservation: bool = True
    ca_file: str | None = None
    resolver: ResolverName = "cares"
    nameservers: tuple[str, ...] = ()
    lookups: int = 32
