"""When to ask again: exponential backoff with full jitter, and the Retry-After that a server sends."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from curation.net.failures import HEALABLE, FetchFailure

_SECONDS = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how soon, a failure that may heal is tried again.

    Attributes:
        retries: Requests after the first.
        backoff_s: Upper bound of the first wait; it doubles with each further one.
        max_wait_s: No wait is longer. A server that asks for more is not asked again.
    """

    retries: int
    backoff_s: float
    max_wait_s: float

    def wait_s(self, failure: FetchFailure, attempt: int) -> float | None:
        """Seconds to wait after the failed attempt (the first is 1), or None to give up.

        Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter.
        """
        if failure.reason not in HEALABLE or attempt > self.retries:
            return None
        jittered = random.uniform(0.0, min(self.max_wait_s, self.backoff_s * 2.0 ** (attempt - 1)))
        if failure.retry_after_s is None:
            return jittered
        # The jitter comes on top: those who were sent away together do not come back together.
        return None if failure.retry_after_s > self.max_wait_s else failure.retry_after_s + min(jittered, 1.0)


def retry_after_s(value: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for, given as seconds or as a date.

    Args:
        value: The header, None where there is none.
        now: Seconds since 1970, for dates.

    Returns:
        None for no header or one that cannot be read, 0 for a date that has passed.

    Source: RFC 9110, section 10.2.3.
    """
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    time = _seconds_since_1970(value)
    return None if time is None else max(0.0, time - now)


def time_of(date: str | None, own: float) -> float:
    """What a server takes for the time, by the Date header of its answer.

    Its other dates are meant by its clock. This machine's may be wrong, or jump: an hour fast, it would turn "in two
    seconds" into never.

    Args:
        date: The header, None where there is none.
        own: Seconds since 1970 on this machine, for an answer without a date.

    Source: RFC 9110, section 6.6.1.
    """
    time = None if date is None else _seconds_since_1970(date.strip())
    return own if time is None else time


def _seconds_since_1970(value: str) -> float | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return date.timestamp()
