import pyarrow as pa
import pytest

from stages.sources.inferred_types import (
    ALL,
    candidates_of_texts,
    candidates_of_values,
    from_metadata,
    resolve,
    to_metadata,
)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "-20", "0", None], "int64"),
        (["1", "2.5", "-3e-4", ".5", "nan", "inf"], "double"),
        (["true", "False", None], "bool"),
        (["1", "true"], "string"),
        ([None, None], "string"),
        ([], "string"),
        (["1", ""], "string"),
        # Nothing that would not read back as it was written becomes a number.
        (["00501"], "string"),
        (["+49"], "string"),
        (["1234567890123456789"], "string"),
        (["123456789012345678"], "int64"),
        (["1", "1234567890123456", "0.5"], "string"),
        (["1 "], "string"),
        (["0x10"], "string"),
        (["1_000"], "string"),
        (["-"], "string"),
        (["1e"], "string"),
    ],
)
def test_texts_are_read_as_the_narrowest_type_that_loses_nothing(texts, expected):
    values = pa.array(texts, pa.string())
    kind = resolve(candidates_of_texts(values))
    assert str(kind) == expected
    assert values.cast(kind).null_count == values.null_count


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, None], "int64"),
        ([1, 0.5], "double"),
        ([True, None], "bool"),
        ([True, 1], "string"),
        (["1"], "string"),
        ([2**60], "int64"),
        ([2**60, 0.5], "string"),
        ([2**64], "string"),
        ([[1]], "string"),
        ([None], "string"),
    ],
)
def test_values_of_json_are_read_as_what_they_are(values, expected):
    assert str(resolve(candidates_of_values(values))) == expected


def test_candidates_survive_the_way_through_a_file():
    found = {"a": ALL, "b": frozenset({"double"}), "c": frozenset()}
    assert from_metadata(to_metadata(found)) == found
