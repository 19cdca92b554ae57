import errno

import pytest

from curation.net.host_health import HostHealth, is_about_the_host
from curation.net.turn_messages import SERVED, THROTTLED, UNREACHABLE, Report, TurnLimits
from schemas.outcomes import FailureReason as Reason

LIMITS = TurnLimits(8, unreachable_after=3, cool_down_s=60.0, max_rest_s=30.0)


def noted(health, *kinds, now=100.0, pause_s=5.0, limits=LIMITS):
    return [health.note(Report("h", kind, pause_s, Reason.CONNECT_TIMEOUT), limits, now) for kind in kinds]


def test_host_rests_when_it_throttles_twice_in_succession_and_only_then():
    assert noted(HostHealth(), THROTTLED, SERVED, THROTTLED, THROTTLED) == [0, 0, 0, 5.0]


def test_host_is_given_up_when_connections_fail_in_succession_and_only_then():
    health = HostHealth()
    noted(health, UNREACHABLE, UNREACHABLE, SERVED, UNREACHABLE, UNREACHABLE)
    assert health.closure(100.0) is None
    noted(health, UNREACHABLE)
    closure = health.closure(110.0)
    assert (closure.reason, closure.seconds) == (Reason.HOST_DOWN, 50.0)


def test_host_is_there_when_it_says_that_it_is_busy():
    health = HostHealth()
    noted(health, UNREACHABLE, UNREACHABLE, THROTTLED, UNREACHABLE, UNREACHABLE)
    assert health.closure(100.0) is None


def test_time_is_not_longer_when_those_under_way_fail_too():
    health = HostHealth()
    noted(health, *[UNREACHABLE] * 3)
    noted(health, *[UNREACHABLE] * 5, now=130.0)
    assert health.closure(130.0).seconds == 30.0


def test_host_is_on_trial_when_its_time_is_over():
    health = HostHealth()
    noted(health, *[UNREACHABLE] * 3)
    assert (health.closure(160.0), health.on_trial) == (None, True)
    noted(health, UNREACHABLE, now=161.0)
    assert (health.closure(161.0).seconds, health.on_trial) == (60.0, False)
    health.closure(300.0)
    noted(health, SERVED, now=300.0)
    assert (health.troubled, health.on_trial) == (False, False)


def test_no_host_is_given_up_when_the_limit_is_off():
    health = HostHealth()
    noted(health, *[UNREACHABLE] * 99, limits=TurnLimits(8))
    assert health.closure(100.0) is None


def test_host_is_given_up_when_it_asks_for_a_rest_that_is_too_long():
    health = HostHealth()
    assert noted(health, THROTTLED, THROTTLED, pause_s=7200.0) == [0, 0]
    closure = health.closure(100.0)
    assert (closure.reason, closure.seconds) == (Reason.HTTP_TOO_MANY_REQUESTS, 3600.0)


@pytest.mark.parametrize(
    ("reason", "responded", "about"),
    [
        (Reason.CONNECT_TIMEOUT, False, True),
        (Reason.CONNECTION_REFUSED, False, True),
        (Reason.CONNECTION_FAILED, False, True),
        (Reason.READ_TIMEOUT, False, True),
        (Reason.READ_TIMEOUT, True, False),
        (Reason.TOTAL_TIMEOUT, True, False),
        (Reason.CONNECTION_RESET, False, False),
        (Reason.DNS_FAILED, False, False),
        (Reason.TLS_FAILED, False, False),
        (Reason.HTTP_SERVER_ERROR, True, False),
    ],
)
def test_failure_is_the_hosts_when_not_a_byte_came(reason: Reason, responded: bool, about: bool):
    assert is_about_the_host(reason, responded=responded) is about


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL])
def test_failure_is_not_the_hosts_when_this_machine_is_short_of_something(number: int):
    assert not is_about_the_host(Reason.CONNECTION_FAILED, responded=False, number=number)
