"""Tables of URLs and captions in all formats, and what `url_table` reads of them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from stages.sources.url_table import UrlTable, UrlTableConfig

ROWS = [(f"http://host/{number}.jpg", f"caption {number} ü") for number in range(10)]


def source(path, **settings):
    return UrlTable(UrlTableConfig(path=path if isinstance(path, tuple) else str(path), **settings))


def read_all(built, workspace):
    index = built.index(workspace)
    return built.read(index, 0, index.rows, workspace)


def pairs(table):
    return list(zip(table["url"].to_pylist(), table["caption"].to_pylist(), strict=True))


def parquet_of(rows, path, row_group_size=3, **extra):
    table = pa.table({"url": [row[0] for row in rows], "caption": [row[1] for row in rows], **extra})
    pq.write_table(table, path, row_group_size=row_group_size)


def csv_of(rows, path):
    path.write_text("url,caption\n" + "".join(f"{url},{caption}\n" for url, caption in rows))


def jsonl_of(rows, path):
    path.write_text("".join(json.dumps({"url": url, "caption": caption}) + "\n" for url, caption in rows))


WRITERS = {"parquet": parquet_of, "csv": csv_of, "jsonl": jsonl_of}
