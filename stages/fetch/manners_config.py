"""The settings of a fetching step that are about manners: who asks, how often, and whose wishes are obeyed."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from curation.contracts.config import StepConfig, Tuning
from curation.errors import RecipeError
from curation.net.addresses import AddressPolicy
from curation.net.name_lookup import ResolverName, check_nameservers
from curation.net.opt_out import ROBOTS_TAGS, RobotsTag
from curation.net.turn_messages import TurnLimits

_BROWSERS = frozenset({"mozilla", "chrome", "chromium", "safari", "applewebkit", "opera", "firefox", "edge", "msie"})
_CONTACT = re.compile(r"https?://[^/]+\S*|(mailto:)?[^@:/]+@[^@:/]+\.[^@:/]+")
_NOBODYS = re.compile(
    r"(?:https?://|(?:mailto:)?[^@/]+@)(?:[^/:?#]*\.)?"
    r"(example\.(?:com|edu|net|org)|[^./:?#]+\.(?:example|invalid|test))(?=[:/?#]|$)"
)
"""Names that are kept for examples (RFC 2606): whoever writes there reaches nobody."""

Port = Annotated[int, Field(ge=1, le=65535)]


class MannersConfig(StepConfig):
    """Who asks, whom, how often, and whose wishes are obeyed.

    Attributes:
        user_agent: Product token and version, sent in every request; robots.txt knows the crawler by the token. A
            browser's is refused.
        contact: Web page or mailbox where a site's owner can complain, sent with the user agent. Required, unless
            private networks alone may be reached. Names that are kept for examples are refused.
        per_host_concurrency: Requests in flight per host, of all workers on all nodes together.
        per_host_rate: Requests per second and host, of all workers together; null for no limit.
        per_domain_concurrency: Requests in flight per registrable domain (`example.co.uk`), null for no limit.
        per_domain_rate: Requests per second and registrable domain, null for no limit.
        host_failures: So many connections in succession that fail or stay silent, and the host is given up for a
            while: its URLs fail with `host_down`. Null for never.
        host_cool_down_s: How long a host is given up before one request tries it again.
        robots: Whether robots.txt is obeyed.
        max_crawl_delay_s: Crawl-delay of robots.txt is obeyed up to this; URLs of a site that asks for more fail with
            `robots_disallowed`. Null ignores it.
        obey_robots_tags: Directives of X-Robots-Tag that are obeyed: for all, or for this crawler by name.
        obey_tdm_reservation: Whether `tdm-reservation: 1` in a response's headers is obeyed.
        allow_public: Whether the public internet may be reached, beside `allow_networks`.
        allow_networks: Networks that may be reached though they are not public, in CIDR notation.
        allow_ports: Ports that may be reached, null for all.
        resolver: `cares` asks nameservers itself and keeps answers as long as they say; `system` asks as other programs
            of the machine do, search domains and nsswitch included.
        nameservers: Whom `cares` asks, as `address` or `address:port`, in place of those in resolv.conf: a resolver of
            your own on every node is what a large crawl needs.
        lookups: Names looked up at a time per worker.
    """

    user_agent: str = Field("curation-bot/0.1", pattern=r"^[A-Za-z0-9_.\-]+(/[\x21-\x7e]+)?$")
    contact: str | None = Field(None, pattern=r"^[\x21-\x27\x2a-\x7e]+$")
    per_host_concurrency: Tuning[int] = Field(8, ge=1, le=4096)
    per_host_rate: Tuning[float | None] = Field(None, gt=0)
    per_domain_concurrency: Tuning[int | None] = Field(None, ge=1, le=65536)
    per_domain_rate: Tuning[float | None] = Field(None, gt=0)
    host_failures: int | None = Field(10, ge=1)
    host_cool_down_s: float = Field(60.0, gt=0)
    robots: bool = True
    max_crawl_delay_s: float | None = Field(30.0, gt=0)
    obey_robots_tags: tuple[RobotsTag, ...] = ROBOTS_TAGS
    obey_tdm_reservation: bool = True
    allow_public: bool = True
    allow_networks: tuple[str, ...] = ()
    allow_ports: tuple[Port, ...] | None = (80, 443, 8080, 8443)
    resolver: Tuning[ResolverName] = "cares"
    nameservers: Tuning[tuple[str, ...]] = ()
    lookups: Tuning[int] = Field(32, ge=1, le=4096)

    @field_validator("user_agent")
    @classmethod
    def _agent_is_no_browser(cls, agent: str) -> str:
        if agent.partition("/")[0].lower() in _BROWSERS:
            raise ValueError(f"{agent} looks like a browser's; give the crawler a name of its own, like my-crawler/1.0")
        return agent

    @field_validator("contact")
    @classmethod
    def _contact_is_an_address(cls, contact: str | None) -> str | None:
        if contact is not None and not _CONTACT.fullmatch(contact):
            raise ValueError(f"{contact} is neither a web page (https://…) nor a mailbox (crawler@example.org)")
        return contact

    @field_validator("allow_networks")
    @classmethod
    def _networks_are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        AddressPolicy(networks)
        return networks

    @field_validator("nameservers")
    @classmethod
    def _nameservers_are_addresses(cls, nameservers: tuple[str, ...]) -> tuple[str, ...]:
        check_nameservers(nameservers)
        return nameservers

    @property
    def agent(self) -> str:
        """The product token."""
        return self.user_agent.partition("/")[0]

    @property
    def agent_header(self) -> str:
        """The value of the User-Agent header."""
        return self.user_agent if self.contact is None else f"{self.user_agent} (+{self.contact})"

    @property
    def policy(self) -> AddressPolicy:
        """Which addresses and ports may be reached."""
        return AddressPolicy(self.allow_networks, self.allow_ports, allow_public=self.allow_public)

    def turn_limits(self, max_rest_s: float) -> TurnLimits:
        """What holds over all workers."""
        return TurnLimits(
            host_concurrency=self.per_host_concurrency,
            host_rate=self.per_host_rate,
            domain_concurrency=self.per_domain_concurrency,
            domain_rate=self.per_domain_rate,
            unreachable_after=self.host_failures,
            cool_down_s=self.host_cool_down_s,
            max_rest_s=max_rest_s,
        )

    def check_contact(self) -> None:
        """Raises RecipeError where strangers are asked and cannot ask back."""
        if self.contact is None and self.policy.reaches_strangers:
            raise RecipeError(
                "contact: required: a web page or a mailbox where the owner of a site can complain, such as "
                "https://example.org/crawler; only a recipe with `allow_public: false`, whose `allow_networks` are "
                "private, can do without"
            )
        if self.contact is not None and (name := _NOBODYS.match(self.contact)) and self.policy.reaches_strangers:
            raise RecipeError(
                f"contact: {self.contact}: {name[1]} is kept for examples, so nobody reads there; state a page or a "
                "mailbox of yours"
            )
