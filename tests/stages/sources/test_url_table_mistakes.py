"""What is wrong with a table is told with its place and the remedy."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from url_tables import ROWS, WRITERS, csv_of, jsonl_of, parquet_of, source

from curation.errors import CorruptionError, RecipeError, TransientError


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
