import numpy as np
import pytest

from curation.balancing.shares import shared_out


@pytest.mark.parametrize(
    ("rows", "total", "temperature", "shares"),
    [
        ([100, 10, 1], 111, 0.0, [100, 10, 1]),
        ([100, 10, 1], 500, 0.5, [100, 10, 1]),
        ([60, 30, 10], 10, 1.0, [6, 3, 1]),
        # Alike are 4 each; the last has but 1, so the others share 11.
        ([60, 30, 1], 12, 0.0, [6, 5, 1]),
        # Roots 10, 6, 4: 40 rows are 20, 12 and 8.
        ([100, 36, 16], 40, 0.5, [20, 12, 8]),
        # Roots 20, 10, 1: of 124 rows 80, 40 and 4, but the last has only 1; 123 are 82 and 41.
        ([400, 100, 1], 124, 0.5, [82, 41, 1]),
        # Fewer rows than groups.
        ([5, 5, 5], 2, 0.0, [1, 1, 0]),
        ([1, 1, 5], 1, 1.0, [0, 0, 1]),
    ],
)
def test_rows_are_shared_out_when_there_are_too_many(rows, total, temperature, shares):
    assert shared_out(np.array(rows), total, temperature).tolist() == shares


@pytest.mark.parametrize("temperature", [0.0, 0.3, 0.7, 1.0])
def test_sum_is_exact_when_groups_are_many(temperature):
    rows = np.random.default_rng(0).zipf(1.3, 1000).clip(max=10**6)
    for total in (1, 999, 50_000, int(rows.sum()) - 1):
        shares = shared_out(rows, total, temperature)
        assert shares.sum() == total
        assert (shares <= rows).all()
        # More rows, no smaller a share but for a part of one.
        assert (np.diff(shares[np.argsort(rows, kind="stable")]) >= -1).all()


def test_nothing_is_shared_when_there_is_no_group():
    assert shared_out(np.array([], np.int64), 5, 0.5).tolist() == []
