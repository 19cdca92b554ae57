import pytest

from curation.net.failures import FetchFailure
from curation.net.retries import RetryPolicy, retry_after_s, time_of
from schemas.outcomes import FailureReason

_NOON = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("Wednesday, 21-Oct-15 07:28:10 GMT", 10.0),
        ("soon", None),
        ("-5", None),
        ("99999999999", None),
    ],
)
def test_retry_after_is_read_when_it_is_seconds_or_a_date(value: str | None, wait_s: float | None):
    assert retry_after_s(value, _NOON) == wait_s


def test_waits_grow_up_to_the_cap_when_attempts_fail():
    policy = RetryPolicy(retries=9, backoff_s=1.0, max_wait_s=5.0)
    failure = FetchFailure(FailureReason.HTTP_SERVER_ERROR)
    longest = [max(policy.wait_s(failure, attempt) or 0.0 for _ in range(300)) for attempt in (1, 2, 5)]
    assert 0.9 < longest[0] <= 1.0 < 1.8 < longest[1] <= 2.0
    assert 4.5 < longest[2] <= 5.0


def test_server_is_left_alone_when_it_wants_more_than_the_cap_or_tries_are_used_up():
    policy = RetryPolicy(retries=2, backoff_s=0.0, max_wait_s=5.0)
    patient = FetchFailure(FailureReason.HTTP_TOO_MANY_REQUESTS, retry_after_s=5.0)
    assert policy.wait_s(patient, 2) == 5.0
    assert policy.wait_s(patient, 3) is None
    assert policy.wait_s(FetchFailure(FailureReason.HTTP_TOO_MANY_REQUESTS, retry_after_s=6.0), 1) is None
    assert policy.wait_s(FetchFailure(FailureReason.HTTP_NOT_FOUND), 1) is None


@pytest.mark.parametrize(
    ("date", "time"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", _NOON),
        (" Wed, 21 Oct 2015 07:28:01 GMT", _NOON + 1),
        ("yesterday", 5.0),
        ("Wed, 21 Oct 99999 07:28:00 GMT", 5.0),
        (None, 5.0),
    ],
)
def test_a_server_s_clock_is_taken_from_its_date_when_it_sends_one(date: str | None, time: float):
    assert time_of(date, 5.0) == time
