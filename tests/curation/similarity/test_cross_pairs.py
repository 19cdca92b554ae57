import numpy as np
import pytest

from curation.similarity.cross_pairs import cross_pairs


@pytest.mark.parametrize(("rows", "entries"), [(60, 20), (20, 60), (30, 30), (0, 5), (5, 0)])
def test_pairs_are_those_across_when_sets_are_of_any_sizes(rows: int, entries: int) -> None:
    generator = np.random.default_rng(rows)
    centres = generator.integers(0, 2**32, (4, 8), dtype=np.uint32)
    every = centres[generator.integers(0, 4, rows + entries)].copy()
    every[:, 0] ^= np.uint32(1) << generator.integers(0, 32, len(every), dtype=np.uint32)
    every[:, 5] ^= np.uint32(1) << generator.integers(0, 32, len(every), dtype=np.uint32)
    left, right = every[:rows], every[rows:]
    found = cross_pairs(left, right, 3)
    distance = np.bitwise_count(left[:, None] ^ right[None]).sum(axis=2)
    expected = [(i, j, int(distance[i, j])) for i, j in np.argwhere(distance <= 3).tolist()]
    assert list(zip(found.left.tolist(), found.right.tolist(), found.distance.tolist(), strict=True)) == expected
