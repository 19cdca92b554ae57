"""How many units are taken on at a time, and how many wait before each worker."""

from curation.plan.queue_depth import DEEPEST, most_between, queue_depth


def test_a_worker_has_one_unit_to_go_on_with_when_the_phase_is_short():
    assert queue_depth(units=12, workers=2) == 2
    assert queue_depth(units=0, workers=1) == 2


def test_a_fiftieth_of_a_workers_share_waits_when_the_phase_is_long():
    # 2,000 units for four workers are 500 for each, a fiftieth of which is ten.
    assert queue_depth(units=2000, workers=4) == 10


def test_the_queue_grows_no_further_when_there_are_very_many_units():
    assert queue_depth(units=1_000_000, workers=1) == DEEPEST


def test_queues_get_shorter_when_more_workers_share_the_units():
    assert [queue_depth(units=6000, workers=workers) for workers in (6, 12, 24, 100)] == [16, 10, 5, 2]


def test_two_units_a_worker_wait_for_whoever_is_free_beside_those_that_workers_have():
    assert most_between(depth=2, workers=3) == 12
