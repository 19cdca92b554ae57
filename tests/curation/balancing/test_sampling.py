import numpy as np
import pytest

from curation.balancing.sampling import entry_probabilities, keep_probabilities, tail_share, threshold_of_tail


def test_frequent_entries_are_held_back_when_they_pass_the_threshold():
    assert entry_probabilities(np.array([0, 19, 20, 40, 200]), 20).tolist() == [1, 1, 1, 0.5, 0.1]


def test_tail_is_what_lies_below_the_threshold_when_shares_are_taken():
    counts = np.array([5, 1, 10, 4])
    assert tail_share(counts, 5) == 0.25
    assert tail_share(counts, 6) == 0.5
    assert tail_share(np.zeros(3, np.int64), 5) == 0


@pytest.mark.parametrize(
    ("share", "threshold"), [(0.0, 1), (0.05, 1), (0.2, 4), (0.37, 4), (0.38, 5), (0.5, 5), (0.8, 10), (1.0, 10)]
)
def test_threshold_is_the_count_with_the_nearest_tail_when_a_share_is_given(share, threshold):
    # Sums of the smallest: 1, 5, 10, 20 of 20, so 0.05, 0.25, 0.5 and 1.
    assert threshold_of_tail(np.array([5, 1, 10, 4]), share) == threshold


def test_threshold_is_one_when_entries_are_never_named():
    assert threshold_of_tail(np.array([0, 0, 7]), 0.0) == 1
    assert threshold_of_tail(np.array([0, 0]), 0.5) == 1


def test_chance_is_of_any_entry_when_rows_name_none_one_and_several():
    probabilities = np.array([0.5, 0.25, 1.0])
    entries = np.array([0, 0, 1, 2, 1], np.uint32)
    offsets = np.array([0, 0, 1, 3, 3, 5, 5])
    # 1 - 0.5 * 0.75 = 0.625; with a certain entry 1.
    assert keep_probabilities(probabilities, entries, offsets).tolist() == [0, 0.5, 0.625, 0, 1, 0]
    assert keep_probabilities(probabilities, entries[:0], np.array([0, 0])).tolist() == [0]
