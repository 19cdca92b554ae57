"""Counting tries where all workers see them, whoever dies."""

import ray

from curation.runtime.tries import Tries


def test_a_unit_is_refused_when_it_has_had_all_of_its_tries_at_an_operator(ray_address):
    tries = Tries(2, range(10))
    assert [tries.begin(7, 0) for _ in range(4)] == [True, True, False, False]
    assert tries.begin(7, 1)
    assert tries.begin(8, 0)
    tries.forget()


def test_it_is_exhausted_when_no_try_is_left_at_any_one_of_its_operators(ray_address):
    tries = Tries(2, range(10))
    tries.begin(7, 1)
    assert not tries.exhausted(7, places=2)
    tries.begin(7, 1)
    assert tries.exhausted(7, places=2)
    assert not tries.exhausted(7, places=1)
    assert not tries.exhausted(8, places=2)
    tries.forget()


def test_all_workers_count_together_and_nothing_is_left_when_it_is_forgotten(ray_address):
    tries = Tries(5, range(10))
    begun = ray.get([ray.remote(_begin).options(num_cpus=0).remote(tries) for _ in range(7)])
    assert sorted(begun) == [False, False, True, True, True, True, True]
    tries.forget()
    assert tries.begin(3, 0)
    tries.forget()


def test_a_unit_is_counted_anew_at_an_operator_when_it_was_not_to_blame(ray_address):
    tries = Tries(1, range(10))
    for unit, place in ((1, 0), (1, 1), (11, 0)):
        assert tries.begin(unit, place)
    tries.forgive(1, [0])
    assert tries.begin(1, 0)
    assert not tries.begin(1, 1)
    assert not tries.begin(11, 0)
    tries.forget()


def test_counts_are_given_back_when_the_last_of_ten_thousand_neighbours_is_done(ray_address):
    tries = Tries(1, [3, 4, 10_003])
    for unit in (3, 4, 10_003):
        assert tries.begin(unit, 0)
    tries.done(3)
    assert tries.exhausted(3, places=1)
    tries.done(4)
    assert not tries.exhausted(3, places=1)
    assert tries.exhausted(10_003, places=1)
    tries.forget()


def _begin(tries):
    return tries.begin(3, 0)
