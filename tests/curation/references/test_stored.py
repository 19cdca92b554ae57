import pytest

from curation.references.stored import StoredBytes, parse_stored_bytes


@pytest.mark.parametrize(
    "place",
    [
        StoredBytes("file:///a/00000.tar", offset=1536, size=34605),
        StoredBytes("s3://b/a#b?c=d&e/00000.tar", offset=0, size=0),
        StoredBytes("file:///a/00000.parquet", row=17, column="jpg"),
        StoredBytes("file:///a b/ü/00000/000000001.jpg"),
    ],
)
def test_a_place_comes_back_when_it_was_written_down(place: StoredBytes):
    assert parse_stored_bytes(str(place)) == place
