"""Whether a host is well: how often it throttled or could not be reached, when it rests and when it is given up."""

from __future__ import annotations

import errno
from math import inf

from curation.net.turn_messages import SERVED, THROTTLED, Closure, Report, TurnLimits
from schemas.outcomes import FailureReason

THROTTLED_STREAK = 2.0
"""A single complaint that asks for no rest may be about one URL; so many in succession are about the host."""

SERVED_FOR_ONE = 4
"""So many answers as usual make up for one complaint: a host that throttles more than a fifth is throttling."""
MOST_THROTTLED = 3
_OLD_S = 60.0
"""Complaints that are older do not count if the host has answered as usual since, whoever was answered."""
_LONGEST_REST_S = 3600.0
_TRIAL_S = 10.0
"""Other ports of a host do not wait longer than this for what becomes of the request that tries one."""
_NO_CONNECTION = frozenset(
    {FailureReason.CONNECT_TIMEOUT, FailureReason.CONNECTION_REFUSED, FailureReason.CONNECTION_FAILED}
)
# What this machine is short of, whatever the host.
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_SILENCE = frozenset({FailureReason.READ_TIMEOUT, FailureReason.TOTAL_TIMEOUT})


def is_about_the_host(reason: FailureReason, *, responded: bool, number: int | None = None) -> bool:
    """Whether a failure says that the host is not there: no connection, or not a byte over it.

    A name that cannot be resolved is not counted: to fail again costs nothing, as the resolver
    remembers it, and `dns_not_found` tells more than `host_down`. Neither is a bad certificate.

    Args:
        reason: Of the failure.
        responded: A response had begun.
        number: The operating system's, if there is one: it may say that this very machine is to blame.
    """
    if number in _LOCAL:
        return False
    return reason in _NO_CONNECTION or (reason in _SILENCE and not responded)


class HostHealth:
    """Judges one host, or one port of it, by the reports of all workers.

    A host that is given up gets one request when its time is over (it is *on trial*): if that
    is served, all is as before; if not, it is given up again.
    """

    __slots__ = (
        *("_cause", "_closed", "_closed_until", "_complained_at", "_served_at"),
        *("changed_at", "on_trial", "throttled", "told", "unreachable"),
    )

    def __init__(self) -> None:
        self.throttled = 0.0
        self.unreachable = 0
        self.on_trial = False
        self.changed_at = 0.0
        self.told: set[str] = set()
        self._cause: Closure | None = None
        self._closed = False
        self._closed_until = 0.0
        self._complained_at = self._served_at = -inf

    @property
    def troubled(self) -> bool:
        """Whether there is anything to remember."""
        return bool(self.throttled or self.unreachable or self.on_trial or self._closed)

    def closure(self, now: float) -> Closure | None:
        """Why the host is given up, and for how long from now; None if it is not."""
        if not self._closed or self._cause is None:
            return None
        left = self._closed_until - now
        if left <= 0:
            self._closed, self.on_trial = False, True
            return None
        return self._cause._replace(seconds=left)

    def is_tried(self, now: float) -> bool:
        """Whether one request alone finds out if the host is well again."""
        return self.on_trial and now < self._closed_until + _TRIAL_S

    def note(self, report: Report, limits: TurnLimits, now: float) -> float:
        """Takes a report; returns for how many seconds the host must rest, 0 for not at all."""
        self.changed_at = now
        if report.kind == SERVED:
            self._note_served(report, now)
            return 0.0
        if report.kind == THROTTLED:
            return self._note_throttled(report, limits, now)
        self._note_unreachable(report, limits, now)
        return 0.0

    def _note_served(self, report: Report, now: float) -> None:
        self._served_at = now
        made_up = MOST_THROTTLED if self.on_trial else (1 + report.served) / SERVED_FOR_ONE
        self.throttled = max(0.0, self.throttled - made_up)
        self.unreachable = 0
        asked_for = self._cause is not None and self._cause.reason is not FailureReason.HOST_DOWN
        if self._closed and asked_for and now < self._closed_until:
            # The request was under way before: the host has not taken back that it wants to be left alone.
            return
        self.on_trial = self._closed = False

    def _note_throttled(self, report: Report, limits: TurnLimits, now: float) -> float:
        since_served_s = min(report.since_served_s, now - self._served_at)
        since_complaint_s = now - self._complained_at
        is_old = since_complaint_s > _OLD_S and since_served_s < since_complaint_s
        before = 0.0 if is_old else max(0.0, self.throttled - report.served / SERVED_FOR_ONE)
        self.throttled = min(float(MOST_THROTTLED), before + 1)
        self._complained_at = now
        # A host that throttles is there.
        self.unreachable = 0
        rests = report.pause_s <= limits.max_rest_s
        # A single 503 between answers as usual is about one URL, whatever it asks for.
        is_busy = report.cause is FailureReason.HTTP_TOO_MANY_REQUESTS or since_served_s > report.pause_s
        at_once = report.asked and rests and is_busy
        if self.throttled < THROTTLED_STREAK and not self.on_trial and not at_once:
            return 0.0
        if rests:
            return report.pause_s
        rest_s = min(report.pause_s, _LONGEST_REST_S)
        detail = f"the host asked to be left alone for longer than {limits.max_rest_s:g} s"
        self._close(Closure(report.host, rest_s, report.cause or FailureReason.HTTP_TOO_MANY_REQUESTS, detail), now)
        return 0.0

    def _note_unreachable(self, report: Report, limits: TurnLimits, now: float) -> None:
        self.unreachable += 1
        if limits.unreachable_after is None or (self.unreachable < limits.unreachable_after and not self.on_trial):
            return
        cause = "" if report.cause is None else f" ({report.cause.value})"
        detail = f"{limits.unreachable_after} connections in succession failed{cause}"
        self._close(Closure(report.host, limits.cool_down_s, FailureReason.HOST_DOWN, detail, report.port), now)

    def _close(self, cause: Closure, now: float) -> None:
        # Those that were under way when the host was given up must not lengthen its time.
        if self._closed and now < self._closed_until:
            return
        self._cause, self._closed, self.on_trial = cause, True, False
        self._closed_until = now + cause.seconds
        self.told.clear()
