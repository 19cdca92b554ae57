import errno

import pytest

from curation.net.host_health import HostHealth, is_about_the_host
from curation.net.turn_messages import SERVED, THROTTLED, UNREACHABLE, Report, TurnLimits
from schemas.outcomes import FailureReason as Reason

LIMITS = TurnLimits(8, unreachable_after=3, cool_down_s=60.0, max_rest_s=30.0)


def noted(health, *kinds, now=100.0, pause_s=5.0, limits=LIMITS, **told):
    told = {"cause": Reason.CONNECT_TIMEOUT, **told}
    return [health.note(Report("h", kind, pause_s, **told), limits, now) for kind in kinds]


def test_host_rests_when_it_throttles_twice_in_succession_and_only_then():
    assert noted(HostHealth(), THROTTLED, SERVED, THROTTLED, THROTTLED) == [0, 0, 0, 5.0]


def test_host_rests_at_once_when_it_asks_for_it():
    told = {"cause": Reason.HTTP_TOO_MANY_REQUESTS, "asked": True}
    assert noted(HostHealth(), THROTTLED, SERVED, THROTTLED, **told) == [5.0, 0, 5.0]
    assert noted(HostHealth(), THROTTLED, SERVED, THROTTLED, since_served_s=0.1, **told) == [5.0, 0, 5.0]
    assert noted(HostHealth(), THROTTLED, pause_s=0.0, **told) == [0]
    assert noted(HostHealth(), THROTTLED, pause_s=31.0, **told) == [0]


def test_host_does_not_rest_when_a_single_503_between_answers_as_usual_asks_for_it():
    told = {"cause": Reason.HTTP_SERVER_ERROR, "asked": True}
    # Nothing is known of answers as usual, or the last is long ago.
    assert noted(HostHealth(), THROTTLED, **told) == [5.0]
    assert noted(HostHealth(), THROTTLED, since_served_s=5.1, **told) == [5.0]
    health = HostHealth()
    assert noted(health, THROTTLED, since_served_s=4.9, **told) == [0]
    # The worker that is answered may be another one.
    noted(health, *[SERVED] * 4, now=110.0)
    assert noted(health, THROTTLED, now=114.0, **told) == [0]
    # Twice in succession, it is the host.
    assert noted(health, THROTTLED, now=114.0, since_served_s=0.1, **told) == [5.0]


def test_complaint_does_not_count_when_it_is_old_and_the_host_has_answered_since():
    health = HostHealth()
    long = {"pause_s": 3600.0, "asked": True}
    for now in (100.0, 161.0, 222.0, 283.0):
        noted(health, THROTTLED, now=now, since_served_s=1.0, **long)
        assert health.closure(now) is None
    noted(health, THROTTLED, now=344.0, since_served_s=61.5, **long)
    assert health.closure(344.0) is not None


def test_nothing_is_left_of_complaints_when_a_trial_is_served():
    health = HostHealth()
    noted(health, *[THROTTLED] * 3, pause_s=3600.0)
    assert health.closure(3701.0) is None
    noted(health, SERVED, now=3701.0)
    noted(health, THROTTLED, pause_s=3600.0, now=3702.0)
    assert health.closure(3702.0) is None


def test_host_rests_when_every_other_answer_throttles():
    assert noted(HostHealth(), *[THROTTLED, SERVED] * 4)[::2] == [0, 0, 5.0, 5.0]


def test_complaint_is_made_up_for_when_a_few_others_are_served():
    health = HostHealth()
    assert noted(health, *[THROTTLED] * 6, served=4) == [0] * 6
    # Three in four are not few.
    assert noted(health, *[THROTTLED] * 4, served=3)[-1] == 5.0
    noted(health, *[THROTTLED] * 99)
    noted(health, *[SERVED] * 12)
    assert not health.troubled


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
    cause = Reason.HTTP_TOO_MANY_REQUESTS
    assert noted(health, THROTTLED, THROTTLED, pause_s=7200.0, cause=cause, asked=True) == [0, 0]
    closure = health.closure(100.0)
    assert (closure.reason, closure.seconds) == (cause, 3600.0)


def test_reason_is_the_hosts_own_when_it_is_given_up_for_being_unavailable():
    health = HostHealth()
    noted(health, THROTTLED, THROTTLED, pause_s=7200.0, cause=Reason.HTTP_SERVER_ERROR, asked=True)
    assert health.closure(100.0).reason is Reason.HTTP_SERVER_ERROR


def test_host_stays_given_up_when_a_request_is_served_that_was_under_way():
    health = HostHealth()
    noted(health, THROTTLED, THROTTLED, pause_s=600.0, asked=True)
    noted(health, SERVED, now=101.0)
    assert health.closure(101.0).seconds == 599.0
    assert (health.closure(701.0), health.on_trial) == (None, True)
    noted(health, SERVED, now=702.0)
    assert not health.on_trial


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
