from math import inf

from curation.net.allowance import Allowance


def test_places_are_limited_when_a_width_is_given():
    allowance = Allowance(2, None)
    allowance.take(5.0)
    assert allowance.opens_at() == 0.0
    allowance.take(5.0)
    assert allowance.opens_at() == inf
    allowance.give_back()
    assert allowance.opens_at() == 0.0


def test_next_comes_an_interval_later_when_a_rate_is_given():
    allowance = Allowance(None, 4.0)
    allowance.take(10.0)
    assert allowance.opens_at() == 10.25
    allowance.take(10.25)
    assert allowance.opens_at() == 10.5


def test_time_without_requests_is_not_made_up_for_when_they_come_again():
    allowance = Allowance(None, 2.0)
    allowance.take(0.0)
    allowance.take(100.0)
    assert allowance.opens_at() == 100.5


def test_rest_ends_at_the_later_of_two_when_both_are_asked_for():
    allowance = Allowance(1, None)
    allowance.rest_until(8.0)
    allowance.rest_until(6.0)
    assert allowance.opens_at() == 8.0


def test_no_more_is_free_than_there_is_when_too_much_is_given_back():
    allowance = Allowance(1, None)
    allowance.give_back(3)
    allowance.take(1.0)
    assert allowance.opens_at() == inf
