"""Rows are those of the files, whatever their format, slices and order."""

import gzip
import json
import os
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from url_tables import ROWS, WRITERS, jsonl_of, pairs, parquet_of, read_all, source

from curation.errors import CorruptionError, RecipeError
from curation.row_keys import row_keys


@pytest.mark.parametrize("ending", WRITERS)
def test_rows_and_keys_are_those_of_the_file(folder, workspace, ending):
    WRITERS[ending](ROWS, folder / f"a.{ending}")
    built = source(folder / f"a.{ending}")
    built.check()
    table = read_all(built, workspace)
    assert pairs(table) == ROWS
    assert table["row"].to_pylist() == list(range(10))
    assert table["key"].to_pylist() == row_keys("web", *zip(*ROWS, strict=True))
    assert table.schema.names == ["row", "key", "url", "caption"]
    assert [str(field.type) for field in table.schema] == ["int64", "string", "string", "string"]


@pytest.mark.parametrize("ending", WRITERS)
def test_every_slice_is_the_same_rows_as_the_whole(folder, workspace, ending):
    for part, rows in enumerate((ROWS[:4], ROWS[4:4], ROWS[4:])):
        WRITERS[ending](rows, folder / f"{part}.{ending}")
    built = source(folder)
    index = built.index(workspace)
    assert index.rows == 10
    whole = built.read(index, 0, 10, workspace)
    assert pairs(whole) == ROWS
    for start in range(11):
        for stop in range(start, 11):
            assert built.read(index, start, stop, workspace).equals(whole.slice(start, stop - start))


def test_a_list_of_urls_has_no_captions(folder, workspace):
    (folder / "urls.txt").write_text("http://a/1\n\n  http://a/2  \r\nhttp://a/3")
    built = source(folder / "urls.txt")
    built.check()
    assert pairs(read_all(built, workspace)) == [(f"http://a/{number}", None) for number in (1, 2, 3)]


def test_captions_are_null_when_the_column_is_null(folder, workspace):
    parquet_of(ROWS, folder / "a.parquet")
    table = read_all(source(folder / "a.parquet", caption_column=None), workspace)
    assert table["caption"].null_count == 10
    assert table["key"].to_pylist() == row_keys("web", [row[0] for row in ROWS], [None] * 10)


def test_nulls_stay_null_and_empty_texts_empty(folder, workspace):
    rows = [("http://a/1", None), (None, "b"), ("", ""), (None, None)]
    parquet_of(rows, folder / "a.parquet")
    (folder / "a.csv").write_text('url,caption\nhttp://a/1,\n,b\n"",""\n,\n')
    jsonl_of(rows, folder / "a.jsonl")
    (folder / "b.jsonl").write_text('{"url":"http://a/1"}\n{"caption":"b"}\n{"url":"","caption":""}\n{}\n')
    for name in ("a.parquet", "a.csv", "a.jsonl", "b.jsonl"):
        assert pairs(read_all(source(folder / name), workspace)) == rows


def test_csv_is_read_as_written_when_fields_are_odd(folder, workspace):
    text = '\ufeffurl,caption,n\nhttp://a/1,"two\nlines, ""quoted""",1\nhttp://a/2,NA,2\nhttp://a/3,null,3\n'
    (folder / "a.csv").write_text(text)
    table = read_all(source(folder / "a.csv", carry=("n",)), workspace)
    assert pairs(table) == [("http://a/1", 'two\nlines, "quoted"'), ("http://a/2", "NA"), ("http://a/3", "null")]
    assert table["n"].to_pylist() == [1, 2, 3]


def test_jsonl_is_read_as_written_when_lines_are_odd(folder, workspace):
    lines = [
        '{"url":"http://a/1","caption":"\u2028 \x85 x"}',
        "",
        '{"url":"http://a/2","caption":"\\ud83c \\ud83c\\udf89"}',
    ]
    (folder / "a.jsonl").write_text("\ufeff" + "\n".join(lines))
    expected = [("http://a/1", "\u2028 \x85 x"), ("http://a/2", "\ufffd 🎉")]
    assert pairs(read_all(source(folder / "a.jsonl"), workspace)) == expected


def test_delimiter_and_encoding_are_as_stated(folder, workspace):
    (folder / "a.tsv").write_text("url\tcaption\nhttp://a/1\tone, two\n")
    assert pairs(read_all(source(folder / "a.tsv"), workspace)) == [("http://a/1", "one, two")]
    (folder / "b.csv").write_bytes("url;caption\nhttp://a/1;schön\n".encode("latin-1"))
    built = source(folder / "b.csv", delimiter=";", encoding="latin-1")
    assert pairs(read_all(built, workspace)) == [("http://a/1", "schön")]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_compressed_text_is_unpacked(folder, workspace, ending):
    WRITERS[ending](ROWS, folder / "plain")
    (folder / f"a.{ending}.gz").write_bytes(gzip.compress((folder / "plain").read_bytes()))
    assert pairs(read_all(source(folder / f"a.{ending}.gz"), workspace)) == ROWS


def test_files_are_read_in_the_stated_order_and_by_name_within_it(folder, workspace):
    for number in (3, 1, 2):
        parquet_of([(f"http://a/{number}", "x")], folder / f"{number}.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".hidden.parquet").write_text("no table")
    urls = ["http://a/1", "http://a/2", "http://a/3"]
    assert read_all(source(folder), workspace)["url"].to_pylist() == urls
    assert read_all(source(f"{folder}/[0-9].parquet"), workspace)["url"].to_pylist() == urls
    listed = (str(folder / "2.parquet"), str(folder))
    assert read_all(source(listed), workspace)["url"].to_pylist() == ["http://a/2", "http://a/1", "http://a/3"]


def test_folders_are_read_to_their_depth(folder, workspace):
    (folder / "b" / "_temporary").mkdir(parents=True)
    parquet_of(ROWS[:2], folder / "b" / "x.parquet")
    parquet_of(ROWS[2:4], folder / "c.parquet")
    parquet_of(ROWS, folder / "b" / "_temporary" / "x.parquet")
    assert pairs(read_all(source(folder), workspace)) == ROWS[:4]


def test_files_without_an_ending_are_read_when_the_format_is_stated(folder, workspace):
    parquet_of(ROWS, folder / "part-0000")
    assert pairs(read_all(source(folder, format="parquet"), workspace)) == ROWS


def test_only_the_first_rows_are_read_when_limited(folder, workspace):
    parquet_of(ROWS, folder / "a.parquet")
    built = source(folder / "a.parquet", max_rows=4)
    index = built.index(workspace)
    assert index.rows == 4
    assert pairs(built.read(index, 2, 10, workspace)) == ROWS[2:4]
    assert index.fingerprint != source(folder / "a.parquet").index(workspace).fingerprint


class TestIndex:
    def test_it_is_the_same_and_writes_nothing_when_made_again(self, folder, workspace):
        jsonl_of(ROWS, folder / "a.jsonl")
        first = source(folder).index(workspace)
        stored = [(name, workspace.read_bytes(f"source/{name}")) for name in workspace.list("source")]
        times = [os.stat(workspace.locate(f"source/{name}")).st_mtime_ns for name, _ in stored]
        assert source(folder).index(workspace) == first
        assert [os.stat(workspace.locate(f"source/{name}")).st_mtime_ns for name, _ in stored] == times
        assert len(stored) == len(workspace.list("source")) == 1

    def test_it_is_json_and_goes_to_a_worker(self, folder, workspace):
        parquet_of(ROWS, folder / "a.parquet")
        built = source(folder)
        index = built.index(workspace)
        assert json.loads(json.dumps(index.state)) == index.state
        sent, sent_index = pickle.loads(pickle.dumps((built, index)))
        assert pairs(sent.read(sent_index, 3, 5, workspace)) == ROWS[3:5]

    @pytest.mark.parametrize("ending", ["parquet", "csv"])
    def test_fingerprint_stays_when_the_files_are_copied_elsewhere(self, folder, workspace, tmp_path, ending):
        WRITERS[ending](ROWS, folder / f"a.{ending}")
        shutil.copytree(folder, tmp_path / "elsewhere")
        assert (
            source(tmp_path / "elsewhere").index(workspace).fingerprint == source(folder).index(workspace).fingerprint
        )

    @pytest.mark.parametrize("ending", WRITERS)
    def test_fingerprint_changes_with_the_content_and_the_reading(self, folder, workspace, ending):
        path = folder / f"a.{ending}"
        WRITERS[ending](ROWS, path)
        prints = {source(path).index(workspace).fingerprint, source(path, name="other").index(workspace).fingerprint}
        prints.add(source(path, caption_column=None).index(workspace).fingerprint)
        prints.add(source(path, carry={"again": "url"}).index(workspace).fingerprint)
        WRITERS[ending]([*ROWS[:9], ("http://host/other", "x")], path)
        prints.add(source(path).index(workspace).fingerprint)
        assert len(prints) == 5

    def test_a_source_without_rows_is_read(self, folder, workspace):
        parquet_of([], folder / "a.parquet", n=pa.array([], pa.int32()))
        table = read_all(source(folder, carry=("n",)), workspace)
        assert (table.num_rows, table.schema.names) == (0, ["row", "key", "url", "caption", "n"])


def test_any_file_system_of_fsspec_is_read(workspace):
    import fsspec

    memory = fsspec.filesystem("memory")
    for number in range(2):
        with memory.open(f"/tables/{number}.csv", "wb") as file:
            file.write(f"url,caption\nhttp://a/{number},c\n".encode())
    try:
        expected = [("http://a/0", "c"), ("http://a/1", "c")]
        assert pairs(read_all(source("memory://tables"), workspace)) == expected
        assert pairs(read_all(source("memory://tables/*.csv"), workspace)) == expected
    finally:
        memory.rm("/tables", recursive=True)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("http://a/1,a boat\n", "in CSV the first line names the columns"),
        ("url\tcaption\nhttp://a/1\ta boat\n", "and `delimiter` parts them"),
    ],
)
def test_hint_tells_of_the_header_when_a_csv_has_no_such_column(tmp_path, text, hint):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(RecipeError, match=hint):
        source(tmp_path / "list.csv").check()


def test_real_alt_texts_are_read_when_at_hand(workspace):
    path = Path(__file__).parents[4] / "shared" / "data" / "alt_texts" / "laion_10000.parquet"
    if not path.exists():
        pytest.skip("the data of ../shared is not there")
    built = source(path, url_column="URL", caption_column="TEXT")
    index = built.index(workspace)
    table = built.read(index, 9_000, 11_000, workspace)
    assert index.rows == 10_000
    assert table.num_rows == 1_000
    assert table["url"].to_pylist() == pq.read_table(path)["URL"].slice(9_000).to_pylist()


def test_the_file_is_named_when_a_page_of_a_parquet_source_is_damaged(folder, workspace):
    path = folder / "a.parquet"
    rows = {"url": [f"http://a/{number}" for number in range(99)], "caption": ["a caption"] * 99}
    pq.write_table(pa.table(rows), path, use_dictionary=False, compression="none", write_page_checksum=True)
    built = source(path)
    index = built.index(workspace)
    path.write_bytes(path.read_bytes().replace(b"http://a/77", b"http://a/76"))
    with pytest.raises(CorruptionError, match=r"a\.parquet: cannot be read as Parquet: .*CRC"):
        built.read(index, 0, 99, workspace)
