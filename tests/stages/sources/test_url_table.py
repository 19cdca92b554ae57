import gzip
import json
import os
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from curation.errors import CorruptionError, RecipeError, TransientError
from curation.row_keys import row_keys
from curation.storage.store import Store
from stages.sources.url_table import UrlTable, UrlTableConfig

ROWS = [(f"http://host/{number}.jpg", f"caption {number} ü") for number in range(10)]


@pytest.fixture
def workspace(tmp_path):
    return Store(str(tmp_path / "workspace"))


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "tables"
    made.mkdir()
    return made


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


class TestCarriedColumns:
    def test_they_keep_their_types_when_parquet(self, folder, workspace):
        extra = {
            "score": pa.array([0.5] * 10, pa.float32()),
            "tags": pa.array([["a"]] * 10),
            "kind": pa.array(["x"] * 10).dictionary_encode(),
            "note": pa.array(["n"] * 10, pa.large_string()),
        }
        parquet_of(ROWS, folder / "a.parquet", **extra)
        table = read_all(source(folder / "a.parquet", carry=("tags", "score", "kind", "note")), workspace)
        assert table.schema.names[4:] == ["tags", "score", "kind", "note"]
        assert [str(field.type) for field in table.schema][5:] == ["float", "string", "string"]
        assert table["tags"].to_pylist() == [["a"]] * 10

    def test_they_get_new_names_when_mapped(self, folder, workspace):
        parquet_of(ROWS, folder / "a.parquet", width=list(range(10)))
        built = source(folder / "a.parquet", carry={"source_width": "width", "address": "url"})
        assert built.carried == ("source_width", "address")
        table = read_all(built, workspace)
        assert table["source_width"].to_pylist() == list(range(10))
        assert table["address"].equals(table["url"])

    @pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
    def test_all_go_along_under_names_of_their_own(self, folder, workspace, ending):
        row = {"url": "http://a/1", "width": 640, "key": "k", "caption": "c", "source_width": 1, "licence": "cc"}
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist([row]), folder / "a.parquet")
        elif ending == "csv":
            (folder / "a.csv").write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")
        else:
            (folder / "a.jsonl").write_text(json.dumps(row))
        built = source(folder / f"a.{ending}", carry="all")
        assert built.carried == ("source_source_width", "source_key", "source_width", "licence")
        table = read_all(built, workspace)
        assert table.select(list(built.carried)).to_pylist() == [
            {"source_source_width": 640, "source_key": "k", "source_width": 1, "licence": "cc"}
        ]

    def test_types_are_widened_when_files_differ(self, folder, workspace):
        parquet_of(ROWS[:1], folder / "a.parquet", n=pa.array([1], pa.int32()), m=pa.nulls(1))
        parquet_of(ROWS[1:2], folder / "b.parquet", n=pa.array([2**40], pa.int64()), m=pa.array(["x"]))
        table = read_all(source(folder, carry=("n", "m")), workspace)
        assert table["n"].to_pylist() == [1, 2**40]
        assert table["m"].to_pylist() == [None, "x"]

    def test_types_that_do_not_go_together_are_refused(self, folder, workspace):
        parquet_of(ROWS[:1], folder / "a.parquet", n=pa.array([1], pa.int32()))
        parquet_of(ROWS[1:2], folder / "b.parquet", n=pa.array(["x"]))
        with pytest.raises(RecipeError, match=r"b\.parquet: a carried column has another type"):
            source(folder, carry=("n",)).index(workspace)

    def test_types_of_text_are_settled_over_all_files(self, folder, workspace):
        (folder / "a.csv").write_text("url,caption,n,z,e\nu,c,1,01,\n")
        (folder / "b.csv").write_text("url,caption,n,z,e\nu,c,2.5,02,\n")
        table = read_all(source(folder, carry=("n", "z", "e")), workspace)
        assert [str(table.schema.field(name).type) for name in "nze"] == ["double", "string", "string"]
        assert table.select(["n", "z", "e"]).to_pylist() == [
            {"n": 1.0, "z": "01", "e": None},
            {"n": 2.5, "z": "02", "e": None},
        ]

    def test_values_of_json_keep_their_kind(self, folder, workspace):
        lines = [
            {"url": "u", "caption": "c", "flag": True, "n": 1, "digits": "007", "mixed": 1, "deep": {"a": [1]}},
            {"url": "u", "caption": "c", "flag": None, "n": 0.5, "digits": "1", "mixed": "x", "deep": None},
        ]
        (folder / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
        table = read_all(source(folder / "a.jsonl", carry=("flag", "n", "digits", "mixed", "deep")), workspace)
        assert table.select(["flag", "n", "digits", "mixed", "deep"]).to_pylist() == [
            {"flag": True, "n": 1.0, "digits": "007", "mixed": "1", "deep": '{"a": [1]}'},
            {"flag": None, "n": 0.5, "digits": "1", "mixed": "x", "deep": None},
        ]

    @pytest.mark.parametrize("carry", [("width",), ("row",), ("outcome",), ("a", "a")])
    def test_names_of_the_pipeline_are_refused_with_the_remedy(self, carry):
        with pytest.raises(ValidationError, match=rf"carry: {{source_{carry[0]}: {carry[0]}}}|named twice"):
            UrlTableConfig(path="x", carry=carry)

    def test_a_list_of_urls_has_none(self, folder):
        (folder / "a.txt").write_text("http://a/1\n")
        with pytest.raises(RecipeError, match="has no column 'licence'; correct `carry`"):
            source(folder / "a.txt", carry=("licence",)).check()


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


class TestMistakes:
    @pytest.mark.parametrize("ending", ["parquet", "csv"])
    def test_a_missing_column_is_told_with_the_nearest(self, folder, ending):
        WRITERS[ending](ROWS, folder / f"a.{ending}")
        with pytest.raises(RecipeError, match=rf"a\.{ending}: has no column 'URL'; correct `url_column`.*mean url\?"):
            source(folder, url_column="URL").check()
        with pytest.raises(RecipeError, match=r"'captoin'; correct `caption_column`, or set it to null.*mean caption"):
            source(folder, caption_column="captoin").check()
        with pytest.raises(RecipeError, match="has no column 'licence'; correct `carry`; known are caption, url"):
            source(folder, carry=("licence",)).check()

    def test_a_missing_column_is_told_when_a_later_file_lacks_it(self, folder, workspace):
        parquet_of(ROWS, folder / "a.parquet", n=[1] * 10)
        parquet_of(ROWS, folder / "b.parquet")
        with pytest.raises(RecipeError, match=r"b\.parquet: has no column 'n'"):
            source(folder, carry=("n",)).index(workspace)

    def test_a_missing_key_is_told_when_no_line_has_it(self, folder, workspace):
        jsonl_of(ROWS, folder / "a.jsonl")
        with pytest.raises(RecipeError, match=r"a\.jsonl: has no column 'ulr'.*mean url"):
            source(folder, url_column="ulr").check()
        with pytest.raises(RecipeError, match=r"a\.jsonl: .*no line has the key 'captoin'; did you mean caption"):
            source(folder, caption_column="captoin").index(workspace)
        assert workspace.list("source") == []

    @pytest.mark.parametrize("values", [[1, 2], [b"x", b"y"], [["u"], ["v"]]])
    def test_a_url_that_is_no_text_is_told(self, folder, workspace, values):
        pq.write_table(pa.table({"url": values, "caption": ["a", "b"]}), folder / "a.parquet")
        with pytest.raises(RecipeError, match=r"a\.parquet: its column 'url' is .*, not text"):
            source(folder).check()

    def test_a_url_that_is_no_text_is_told_with_its_line(self, folder, workspace):
        (folder / "a.jsonl").write_text('{"url":"u","caption":"c"}\n{"url":5,"caption":"c"}\n')
        with pytest.raises(RecipeError, match=r"a\.jsonl: .*line 2: url is 5, not text"):
            source(folder).index(workspace)

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("a.parquet", b"no parquet", "check that it is a Parquet file"),
            ("a.csv", b"", "has no column 'url'"),
            ("a.csv", b"url,caption\nu,c,d\n", "Expected 2 columns, got 3"),
            ("a.csv", b"url,caption\nu,\xff\xfe\n", "`encoding`"),
            ("a.jsonl", b'{"url":"u","caption":"c"}\n{"url"\n', "line 2: not JSON"),
            ("a.jsonl", b'["u","c"]\n', "line 1: not an object"),
            ("a.jsonl", b'{"url":"\xff","caption":"c"}\n', "`encoding`"),
            ("a.txt", b"http://\xff\n", "`encoding`"),
            ("a.csv.gz", b"no gzip", "cannot be read"),
        ],
    )
    def test_a_broken_file_is_named_with_the_remedy(self, folder, workspace, name, content, said):
        (folder / name).write_bytes(content)
        with pytest.raises(RecipeError) as caught:
            source(folder).index(workspace)
        assert str(folder / name) in str(caught.value)
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("none.parquet", "there is no such file or folder"),
            ("*.parquet", "matches no file"),
            (".", "holds no table"),
        ],
    )
    def test_a_path_that_leads_nowhere_is_told(self, folder, path, said):
        with pytest.raises(RecipeError, match=said):
            source(folder / path).check()

    def test_an_unknown_protocol_is_told(self):
        with pytest.raises(RecipeError, match=r"nowhere://x\.parquet: cannot be read: Protocol not known"):
            source("nowhere://x.parquet").check()

    def test_an_unknown_encoding_is_told(self, folder):
        csv_of(ROWS, folder / "a.csv")
        with pytest.raises(RecipeError, match=r"unknown encoding: utf-9.*correct the `encoding`"):
            source(folder, encoding="utf-9").check()

    def test_several_formats_are_told(self, folder):
        parquet_of(ROWS, folder / "a.parquet")
        (folder / "readme.txt").write_text("hello")
        with pytest.raises(RecipeError, match=r"several formats .*state the one"):
            source(folder).check()
        source(folder, format="parquet").check()

    def test_an_unknown_ending_is_told(self, folder):
        (folder / "a.xlsx").touch()
        with pytest.raises(RecipeError, match=r"a\.xlsx: its ending does not tell its format"):
            source(folder / "a.xlsx").check()

    def test_a_changed_file_is_told_when_read(self, folder, workspace):
        parquet_of(ROWS, folder / "a.parquet")
        built = source(folder)
        index = built.index(workspace)
        parquet_of(ROWS[:5], folder / "a.parquet")
        with pytest.raises(CorruptionError, match=r"a\.parquet: it has changed"):
            built.read(index, 0, 2, workspace)
        os.remove(folder / "a.parquet")
        with pytest.raises(TransientError, match=r"a\.parquet: cannot be read"):
            built.read(index, 0, 2, workspace)


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
