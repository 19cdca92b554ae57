"""Grants turns at hosts to all workers of a run, so that the limits hold for the run and not for each worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from curation.contracts.shared import SharedPart
from curation.net.allowance import Allowance
from curation.net.domains import registrable_domain
from curation.net.host_health import HostHealth
from curation.net.turn_messages import SERVED, THROTTLED, UNREACHABLE, Answer, Ask, Grant, Poll, Report, TurnLimits

LEASE_S = 10.0
"""A worker that is not heard of for so long is dead: its turns are given to others."""

WORKERS_PER_COORDINATOR = 200

_HOLD_S = 2.0
_QUESTIONS_PER_S = 1_000.0
"""What one coordinator can answer without pains; with many workers each is told to ask less often."""
_LINGER_S = (0.1, 2.0)
_ALONE_LINGER_S = 0.005
"""Between two questions of a worker: what it asks for in the meantime goes together, and nothing else has to wait."""
_KEEP_S = 1.0
_LATE_S = 0.05
_LATE = 0.25
"""A turn can be used so much later, as a share of the distance to the next."""
_TROUBLE_KEPT_S = 600.0


@dataclass(slots=True, eq=False)
class _Domain:
    allowance: Allowance
    waiting: dict[str, _Host] = field(default_factory=dict)
    hosts: int = 0
    wakes_at: float = inf


@dataclass(slots=True, eq=False)
class _Host:
    name: str
    allowance: Allowance
    domain: _Domain | None
    wanted: dict[str, int] = field(default_factory=dict)
    health: dict[int, HostHealth] = field(default_factory=dict)
    wakes_at: float = inf

    def is_tried(self, now: float) -> bool:
        return any(health.is_tried(now) for health in self.health.values())


@dataclass(slots=True, eq=False)
class _Worker:
    name: str
    seen_at: float
    held: dict[str, int] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    outgoing: Answer = field(default_factory=Answer)
    starts: list[float] = field(default_factory=list)
    answered_at: float = 0.0
    poll: asyncio.Future[None] | None = None
    wakes: bool = False


class TurnCoordinator(SharedPart):
    """Knows who holds and who wants turns at which host.

    Turns at one host go round among the workers that want some. A turn without a rate may be used
    for several requests in succession for a second, so that a busy host costs no message per
    request; after that it goes to whoever waits.
    """

    def __init__(self, limits: TurnLimits, lease_s: float = LEASE_S) -> None:
        self._limits = limits
        self._lease_s = lease_s
        self._hosts: dict[str, _Host] = {}
        self._domains: dict[str, _Domain] = {}
        self._workers: dict[str, _Worker] = {}
        self._domains_matter = limits.domain_concurrency is not None or limits.domain_rate is not None
        self._grants_from = 0.0
        self._lost = False
        self._swept_at = 0.0

    def replaces_a_lost_one(self) -> None:
        """Grants nothing until every living worker has had the time to say what it holds."""
        self._lost = True

    async def answer(self, question: Any) -> Any:
        """Answers an Ask at once, and a Poll when there is something to say or two seconds are over."""
        now = asyncio.get_running_loop().time()
        if self._lost:
            self._lost, self._grants_from = False, now + self._lease_s
        if now - self._swept_at > self._lease_s / 4:
            self._sweep(now)
        worker = self._workers.get(question.worker)
        if isinstance(question, Poll):
            return Answer(known=False) if worker is None else await self._hold(worker, now)
        return self._take(question, worker, now)

    async def _hold(self, worker: _Worker, now: float) -> Answer:
        worker.seen_at = now
        if worker.outgoing.empty:
            _let_go(worker)
            loop = asyncio.get_running_loop()
            worker.poll = loop.create_future()
            timer = loop.call_later(_HOLD_S, _let_go, worker)
            await worker.poll
            timer.cancel()
        return self._collected(worker)

    def _take(self, ask: Ask, worker: _Worker | None, now: float) -> Answer:
        if ask.fresh:
            if worker is not None:
                self._forget(worker, now)
            worker = self._workers[ask.worker] = _Worker(ask.worker, now)
            self._adopt(worker, ask.held)
        if worker is None:
            return Answer(known=False)
        worker.seen_at = now
        touched = self._returned(worker, ask.returned)
        for report in ask.reports:
            touched[report.host] = self._note(report, now)
        for name, number in ask.wanted.items():
            host = self._host(name)
            host.wanted[worker.name] = host.wanted.get(worker.name, 0) + number
            worker.wanted.add(name)
            touched[name] = host
        for name, interval_s in ask.intervals.items():
            allowance = self._host(name).allowance
            allowance.interval_s = max(allowance.interval_s, interval_s)
        self._serve(touched.values(), now)
        return self._collected(worker)

    def _collected(self, worker: _Worker) -> Answer:
        answer, worker.outgoing = worker.outgoing, Answer()
        now = worker.answered_at = asyncio.get_running_loop().time()
        for place, start in enumerate(worker.starts):
            if start > now:
                answer.grants[place] = answer.grants[place]._replace(wait_s=start - now)
        worker.starts.clear()
        answer.linger_s = self._linger_s
        answer.valid_s = self._lease_s
        return answer

    @property
    def _linger_s(self) -> float:
        low, high = _LINGER_S
        if len(self._workers) == 1:
            return _ALONE_LINGER_S
        return min(high, max(low, len(self._workers) / _QUESTIONS_PER_S))

    @property
    def _horizon_s(self) -> float:
        """So long before a request may begin its turn is granted: the answer must be there in time."""
        return 2 * self._linger_s + 0.01

    def _host(self, name: str) -> _Host:
        host = self._hosts.get(name)
        if host is None:
            allowance = Allowance(self._limits.host_concurrency, self._limits.host_rate)
            host = self._hosts[name] = _Host(name, allowance, self._domain_of(name))
        return host

    def _domain_of(self, name: str) -> _Domain | None:
        if not self._domains_matter:
            return None
        domain = self._domains.get(registrable_domain(name))
        if domain is None:
            allowance = Allowance(self._limits.domain_concurrency, self._limits.domain_rate)
            domain = self._domains[registrable_domain(name)] = _Domain(allowance)
        domain.hosts += 1
        return domain

    def _adopt(self, worker: _Worker, held: dict[str, int]) -> None:
        for name, number in held.items():
            host = self._host(name)
            host.allowance.in_use += number
            if host.domain is not None:
                host.domain.allowance.in_use += number
            worker.held[name] = number

    def _returned(self, worker: _Worker, returned: dict[str, int]) -> dict[str, _Host]:
        """Takes turns back; returns the hosts at which others may have a turn now."""
        touched: dict[str, _Host] = {}
        for name, number in returned.items():
            host = self._hosts.get(name)
            number = min(number, worker.held.get(name, 0))
            if host is None or not number:
                continue
            worker.held[name] -= number
            if not worker.held[name]:
                del worker.held[name]
            host.allowance.give_back(number)
            if worker.name in host.wanted:
                host.wanted[worker.name] = host.wanted.pop(worker.name)  # It had its turn: others come first.
            touched[name] = host
            if host.domain is not None:
                host.domain.allowance.give_back(number)
        return touched

    def _note(self, report: Report, now: float) -> _Host:
        host = self._host(report.host)
        # A host throttles as a whole, and is dead or alive by the port.
        health = host.health.setdefault(0 if report.kind == THROTTLED else report.port, HostHealth())
        for port in {0, report.port} if report.kind != UNREACHABLE else ():
            if (other := host.health.get(port, health)) is not health:
                other.note(report._replace(kind=SERVED), self._limits, now)
        rest_s = health.note(report, self._limits, now)
        if rest_s:
            host.allowance.rest_until(now + rest_s)
        closure = health.closure(now)
        if rest_s or closure is not None:
            for worker in self._workers.values():
                self._revoke(worker, host)
                if host.name in worker.held:
                    worker.outgoing.resting.append(host.name)
                    self._wake(worker, now)
        return host

    def _revoke(self, worker: _Worker, host: _Host) -> None:
        """Takes back what the worker has been granted and not been told: it is wanted still."""
        grants = worker.outgoing.grants
        for place in [place for place, grant in enumerate(grants) if grant.host == host.name][::-1]:
            del grants[place], worker.starts[place]
            self._returned(worker, {host.name: 1})
            host.wanted[worker.name] = host.wanted.get(worker.name, 0) + 1
            worker.wanted.add(host.name)

    def _turn_away(self, host: _Host, now: float) -> None:
        for port, health in host.health.items():
            closure = health.closure(now)
            if closure is None:
                continue
            for name in list(host.wanted):
                worker = self._workers[name]
                if not port:
                    del host.wanted[name]
                    worker.wanted.discard(host.name)
                elif name in health.told:
                    continue
                health.told.add(name)
                worker.outgoing.closures.append(closure)
                self._wake(worker, now)

    def _serve(self, hosts: Iterable[_Host], now: float) -> None:
        domains: dict[int, _Domain] = {}
        for host in hosts:
            if host.domain is not None and host.domain.waiting:
                # Other hosts of the domain have waited longer.
                domains[id(host.domain)] = host.domain
                if host.wanted:
                    host.domain.waiting.setdefault(host.name, host)
                    continue
            self._serve_host(host, now)
        for domain in domains.values():
            self._serve_domain(domain, now)

    def _serve_host(self, host: _Host, now: float) -> None:
        self._turn_away(host, now)
        while host.wanted and self._grant(host, now):
            pass
        self._drop_if_idle(host, now)

    def _serve_domain(self, domain: _Domain, now: float) -> None:
        for host in list(domain.waiting.values()):
            opens_at = domain.allowance.opens_at()
            if opens_at > now + self._horizon_s:
                self._wake_host_at(host, opens_at - self._horizon_s)
                return
            del domain.waiting[host.name]  # If it has to wait on, it does so behind the others.
            self._serve_host(host, now)

    def _grant(self, host: _Host, now: float) -> bool:
        """Grants one turn to the worker that has waited longest; False if none can be granted now."""
        opens_at = max(self._opens_at(host, now), self._grants_from)
        if opens_at > now + self._horizon_s:
            self._wake_host_at(host, opens_at - self._horizon_s)
            return False
        name = next(iter(host.wanted))
        worker = self._workers[name]
        left = host.wanted.pop(name) - 1
        if left:
            host.wanted[name] = left  # behind the others
        else:
            worker.wanted.discard(host.name)
        start = max(now, opens_at)
        host.allowance.take(start)
        keep_s = max(_KEEP_S, 10 * self._linger_s)
        if host.allowance.interval_s or host.is_tried(now):
            keep_s = 0.0
        distance_s = host.allowance.interval_s
        if host.domain is not None:
            host.domain.allowance.take(start)
            distance_s = max(distance_s, host.domain.allowance.interval_s)
            keep_s = 0.0 if host.domain.allowance.interval_s else keep_s
        worker.held[host.name] = worker.held.get(host.name, 0) + 1
        worker.starts.append(start)
        worker.outgoing.grants.append(Grant(host.name, 0.0, keep_s, max(_LATE_S, _LATE * distance_s)))
        self._wake(worker, now)
        return True

    def _opens_at(self, host: _Host, now: float) -> float:
        at = host.allowance.opens_at()
        if host.allowance.in_use and host.is_tried(now):
            return inf
        if host.domain is None:
            return at
        domain_at = host.domain.allowance.opens_at()
        if domain_at > now:
            host.domain.waiting[host.name] = host
        else:
            host.domain.waiting.pop(host.name, None)
        return max(at, domain_at)

    def _wake(self, worker: _Worker, now: float) -> None:
        """Answers the worker's open Poll, but no more often than it may ask."""
        if worker.poll is None or worker.wakes:
            return
        worker.wakes = True
        wait_s = max(0.0, worker.answered_at + self._linger_s - now)
        asyncio.get_running_loop().call_later(wait_s, _let_go, worker)

    def _wake_host_at(self, host: _Host, at: float) -> None:
        """Looks at a host again; where its domain makes it wait, the domain's hosts take turns."""
        if at == inf:
            return
        loop = asyncio.get_running_loop()
        if host.domain is not None and host.domain.allowance.next_at >= at + self._horizon_s:
            if at < host.domain.wakes_at:
                host.domain.wakes_at = at
                loop.call_at(at, self._domain_wakes, host.domain)
        elif at < host.wakes_at:
            host.wakes_at = at
            loop.call_at(at, self._host_wakes, host)

    def _host_wakes(self, host: _Host) -> None:
        host.wakes_at = inf
        self._serve_host(host, asyncio.get_running_loop().time())

    def _domain_wakes(self, domain: _Domain) -> None:
        domain.wakes_at = inf
        self._serve_domain(domain, asyncio.get_running_loop().time())

    def _drop_if_idle(self, host: _Host, now: float) -> None:
        if host.wanted or host.allowance.in_use or host.allowance.next_at > now:
            return
        if any(health.troubled and now - health.changed_at < _TROUBLE_KEPT_S for health in host.health.values()):
            return
        if self._hosts.get(host.name) is not host:
            return
        del self._hosts[host.name]
        if host.domain is not None:
            host.domain.waiting.pop(host.name, None)
            host.domain.hosts -= 1

    def _forget(self, worker: _Worker, now: float) -> None:
        """A worker is gone: its turns are free."""
        _let_go(worker)
        del self._workers[worker.name]
        for name in worker.wanted:
            self._hosts[name].wanted.pop(worker.name, None)
        self._serve(self._returned(worker, dict(worker.held)).values(), now)

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        for worker in [worker for worker in self._workers.values() if now - worker.seen_at > self._lease_s]:
            self._forget(worker, now)
        for host in list(self._hosts.values()):
            self._drop_if_idle(host, now)
        for name, domain in list(self._domains.items()):
            if not domain.hosts and domain.allowance.next_at <= now:
                del self._domains[name]


def _let_go(worker: _Worker) -> None:
    worker.wakes = False
    if worker.poll is not None and not worker.poll.done():
        worker.poll.set_result(None)
    worker.poll = None
