"""What workers and the coordinator of turns say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from schemas.outcomes import FailureReason

THROTTLED = "throttled"
UNREACHABLE = "unreachable"
SERVED = "served"


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """What holds for each host and each registrable domain over all workers of a run.

    Attributes:
        host_concurrency: Requests in flight per host.
        host_rate: Requests per second and host, None for no limit.
        domain_concurrency: Requests in flight per registrable domain, None for no limit.
        domain_rate: Requests per second and registrable domain, None for no limit.
        unreachable_after: Connections to a host that fail in succession before it is given up, None for never.
        cool_down_s: How long a host is given up before one request tries it again.
        max_rest_s: A host that asks for a longer rest than this is given up until the rest is over.
    """

    host_concurrency: int
    host_rate: float | None = None
    domain_concurrency: int | None = None
    domain_rate: float | None = None
    unreachable_after: int | None = None
    cool_down_s: float = 60.0
    max_rest_s: float = 30.0


class Report(NamedTuple):
    """How a host behaved.

    Attributes:
        kind: THROTTLED, UNREACHABLE or SERVED.
        pause_s: The rest that a throttling host is given.
        cause: Why it was unreachable, or how it throttled.
        port: Where; 0 for the host as a whole.
        asked: The host itself asked for this rest.
        served: Answers as usual since the last report of this worker that are not told yet; a SERVED is one more.
        since_served_s: So long ago is the last answer as usual that this worker had from the host.
    """

    host: str
    kind: str
    pause_s: float = 0.0
    cause: FailureReason | None = None
    port: int = 0
    asked: bool = False
    served: int = 0
    since_served_s: float = inf


@dataclass(slots=True)
class Ask:
    """What a worker has to tell, at most once every few milliseconds. Numbers are changes since the last Ask.

    Attributes:
        worker: Its name, unlike any other.
        fresh: The coordinator knows nothing of this worker, or no longer: `held` is all that it holds.
        held: Turns in hand by host, with `fresh` alone.
        wanted: Further turns wanted, by host.
        returned: Turns given back, by host.
        intervals: Least seconds between two requests, by host, where its robots.txt asks for them.
    """

    worker: str
    fresh: bool = False
    held: dict[str, int] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)
    intervals: dict[str, float] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Poll:
    """A worker that waits for turns lets the coordinator keep this question until it has some."""

    worker: str


class Grant(NamedTuple):
    """One turn: the right to one request, or to several in succession.

    Attributes:
        wait_s: The request may begin so many seconds after the answer has come.
        keep_s: So long, requests may follow each other in the same turn; 0 for one request alone.
        late_s: A request that would begin so much later than it may needs another turn.
    """

    host: str
    wait_s: float
    keep_s: float
    late_s: float = 0.05


class Closure(NamedTuple):
    """A port of a host, or with 0 all of it, is given up: who waits for it fails at once, with this reason."""

    host: str
    seconds: float
    reason: FailureReason
    detail: str
    port: int = 0


@dataclass(slots=True)
class Answer:
    """What the coordinator has for a worker.

    Attributes:
        known: False where the coordinator does not know the worker: it must tell everything afresh.
        grants: Turns.
        closures: Hosts given up, of which all wishes are forgotten.
        resting: Hosts whose turns in hand must not be used for a further request.
        linger_s: The worker should wait so long from one Ask to the next.
        valid_s: Turns in hand may be used so long after the question that this answers.
    """

    known: bool = True
    grants: list[Grant] = field(default_factory=list)
    closures: list[Closure] = field(default_factory=list)
    resting: list[str] = field(default_factory=list)
    linger_s: float = 0.0
    valid_s: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether it says nothing that the worker waits for."""
        return not (self.grants or self.closures or self.resting)
