import numpy as np
import polars as pl
import pytest

from curation.errors import CurationError
from curation.similarity.whole_vectors import SCALE, inverse_norms, unit_vectors, vector_batches, whole_vectors


def test_vectors_are_scaled_and_rounded_when_made_whole():
    units, usable = unit_vectors(np.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0], [1e-3, 0.0]]))
    assert whole_vectors(units).tolist() == [[2400, 3200], [0, 0], [0, 0], [4000, 0]]
    assert usable.tolist() == [True, False, False, True]


def test_products_are_exact_in_float32_when_vectors_are_as_long_as_they_get():
    rng = np.random.default_rng(0)
    for dimensions in (2, 512, 36_000):
        vectors = np.stack([np.ones(dimensions), rng.standard_normal(dimensions)])
        whole = whole_vectors(unit_vectors(vectors)[0])
        exact = whole.astype(np.int64) @ whole.astype(np.int64).T
        single = whole.astype(np.float32)
        assert (single @ single.T).astype(np.int64).tolist() == exact.tolist()
        assert (single[:, ::-1] @ single[:, ::-1].T).astype(np.int64).tolist() == exact.tolist()
        assert exact.max() <= 2**24
        assert abs(inverse_norms(single)[1] * SCALE - 1) < 0.01


def test_rows_without_a_vector_are_left_out_when_read_in_batches():
    values = pl.Series([[1.0, 0.0], None, [0.0, 2.0], [0.0, 0.0]], dtype=pl.List(pl.Float16))
    frame = pl.LazyFrame({"row": [7, 8, 9, 10], "v": values})
    found = {}
    for batch in vector_batches(frame, "v"):
        found |= dict(zip(batch.rows.tolist(), batch.vectors.tolist(), strict=True))
    assert found == {7: [4000, 0], 9: [0, 4000]}


def test_a_column_is_refused_when_it_holds_no_vectors():
    for values in ([5], ["a"], [["a"]]):
        with pytest.raises(CurationError, match=r"the column v is of type .*, not a list of numbers"):
            next(vector_batches(pl.LazyFrame({"row": [0], "v": values}), "v"))
