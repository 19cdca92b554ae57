import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.errors import CorruptionError
from stages.sources.parquet_slices import group_rows, read_slice


def parquet(rows, row_group_size):
    file = io.BytesIO()
    table = pa.table({"n": pa.array(range(rows), pa.int64()), "t": [str(number) for number in range(rows)]})
    pq.write_table(table, file, row_group_size=row_group_size)
    return file


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 20_000), (0, 1), (8_191, 8_193), (9_999, 10_001), (19_999, 20_000), (5, 5)]
)
def test_slice_is_exact_across_pages_and_row_groups(start, stop):
    file = parquet(20_000, 10_000)
    groups = group_rows(pq.ParquetFile(file))
    assert groups == [10_000, 10_000]
    found = read_slice(file, {"number": "n", "text": "t", "again": "n"}, groups, start, stop)
    assert found["number"].to_pylist() == found["again"].to_pylist() == list(range(start, stop))
    assert found["text"].to_pylist() == [str(number) for number in range(start, stop)]


def test_only_the_row_groups_of_the_slice_are_read():
    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    whole = parquet(200_000, 10_000)
    file = Counting(whole.getvalue())
    read_slice(file, {"t": "t"}, [10_000] * 20, 100_000, 100_500)
    assert file.count < len(whole.getvalue()) / 5


def test_a_file_with_other_row_groups_is_told():
    with pytest.raises(CorruptionError, match="has changed since"):
        read_slice(parquet(10, 5), {"n": "n"}, [10], 0, 1)
