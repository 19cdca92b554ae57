"""Who is to blame when a worker dies."""

from curation.runtime.on_ray.pool import Unit, blame


def units(*tries):
    return [Unit(number, tries=so_far) for number, so_far in enumerate(tries)]


def told(blamed):
    return [(unit.tries, unit.alone) for unit in blamed]


def test_its_only_unit_is_to_blame_when_a_worker_dies():
    only = units(2)
    blame(only, max_tries=3)
    assert told(only) == [(3, False)]


def test_the_first_is_to_blame_and_all_are_suspected_when_it_had_several():
    several = units(0, 1, 0)
    blame(several, max_tries=3)
    assert told(several) == [(1, True), (1, True), (0, True)]


def test_it_is_not_the_last_try_of_the_first_when_the_answer_to_it_may_be_lost():
    several = units(2, 0)
    blame(several, max_tries=3)
    assert told(several) == [(2, True), (0, True)]
    blame(several[:1], max_tries=3)
    assert told(several) == [(3, True), (0, True)]


def test_nobody_is_to_blame_when_a_worker_had_nothing_to_do():
    nothing = units()
    blame(nothing, max_tries=1)
    assert nothing == []
