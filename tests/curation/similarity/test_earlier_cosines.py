import numpy as np
import pytest

from curation.similarity.earlier_cosines import nearest_earlier
from curation.similarity.whole_vectors import whole_vectors


@pytest.mark.parametrize("tile_rows", [1, 2, 3, 50])
def test_the_first_of_the_nearest_earlier_is_found_when_tiles_differ(tile_rows):
    stored = whole_vectors(np.array([[1, 0], [0, 1], [1, 0], [0.6, 0.8], [0, 1]], np.float64))
    cosines, places = nearest_earlier(stored, np.array([3, 0, 2, 1, 4], np.int32), tile_rows)
    # (0.6, 0.8), (1, 0), (1, 0), (0, 1), (0, 1)
    assert np.allclose(cosines[1:], [0.6, 1, 0.8, 1], atol=1e-6)
    assert np.isnan(cosines[0])
    assert places.tolist() == [-1, 0, 1, 0, 3]
