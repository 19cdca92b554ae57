import numpy as np
import pytest

from jobs.evaluation.separation import area_under_curve


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ([3, 4], [1, 2], 1.0),
        ([1, 2], [3, 4], 0.0),
        # Of six pairs of scores four are in order and one ties.
        ([2, 3], [1, 3, 2], (2 + 2 * 0.5 + 1) / 6),
    ],
)
def test_area_is_as_counted_when_scores_are_compared(right, wrong, expected):
    assert area_under_curve(np.array(right, float), np.array(wrong, float)) == pytest.approx(expected)
