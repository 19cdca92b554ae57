"""Columns that the source carries along."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from url_tables import ROWS, parquet_of, read_all, source

from curation.errors import RecipeError
from curation.internal_columns import PREFIX, internal
from curation.plan.checks import checked_plan
from curation.recipe.load import parse_recipe
from stages.catalogue import CATALOGUE
from stages.sources.url_table import UrlTableConfig


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

    def test_a_name_that_steps_keep_for_themselves_is_refused_before_the_start_and_changed_where_all_go_along(
        self, folder
    ):
        taken = internal("cap")
        parquet_of(ROWS, folder / "a.parquet", **{taken: list(range(10))})
        assert source(folder / "a.parquet", carry="all").carried == (f"source_{taken}",)
        refused = f"carries the column {taken}, but names that begin with {PREFIX} are for columns that steps make"
        for carry in (f"[{taken}]", f"{{{taken}: url}}"):
            text = f"source: {{kind: url_table, path: {folder}, carry: {carry}}}\nsteps: [{{kind: text_rules}}]"
            with pytest.raises(RecipeError, match=refused):
                checked_plan(parse_recipe(text, "r.yaml", CATALOGUE))

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
