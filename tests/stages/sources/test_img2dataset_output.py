import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from img2dataset_folders import row_of, write_shard
from pydantic import ValidationError
from s3_server import S3Server

from curation.errors import CorruptionError, RecipeError
from curation.references.stored import parse_stored_bytes
from curation.row_keys import row_keys
from curation.storage.store import Store
from stages.sources.img2dataset_output import Img2datasetOutput, Img2datasetOutputConfig

FORMATS = ("webdataset", "parquet", "files")
FIRST, SECOND = [1, 0, 3, 2, 5, 4, 7, 8, 6, 9], [12, 11, 13, 10]


@pytest.fixture
def workspace(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "workspace"))


@pytest.fixture(params=FORMATS)
def folder(request, tmp_path: Path) -> Path:
    made = tmp_path / "shards"
    write_shard(made, 0, FIRST, request.param)
    write_shard(made, 1, SECOND, request.param)
    return made


def source(path: object, **settings: object) -> Img2datasetOutput:
    given = path if isinstance(path, tuple) else str(path)
    return Img2datasetOutput(Img2datasetOutputConfig(path=given, **settings))


def read_all(built: Img2datasetOutput, workspace: Store) -> pa.Table:
    built.check()
    index = built.index(workspace)
    return built.read(index, 0, index.rows, workspace)


def test_every_row_and_every_column_is_given_in_the_order_of_the_files(folder: Path, workspace: Store):
    table = read_all(source(folder), workspace)
    expected = [row_of(number, shard) for shard, numbers in enumerate((FIRST, SECOND)) for number in numbers]
    assert table["row"].to_pylist() == list(range(14))
    for name, source_name in {
        "url": "url",
        "caption": "caption",
        "similarity": "similarity",
        "source_key": "key",
        "status": "status",
        "error_message": "error_message",
        "source_width": "width",
        "source_original_height": "original_height",
        "exif": "exif",
        "source_sha256": "sha256",
    }.items():
        assert table[name].to_pylist() == [row[source_name] for row in expected]
    pairs = [row["url"] for row in expected], [row["caption"] for row in expected]
    assert table["key"].to_pylist() == row_keys("web", *pairs)


def test_rows_say_where_their_image_is_or_why_there_is_none(folder: Path, workspace: Store):
    rows = read_all(source(folder), workspace).to_pylist()
    for row in rows:
        assert (row["reference"] is None) == (row["status"] != "success")
        if row["reference"] is None:
            assert row["reference_error"] == f"{row['status']}: {row['error_message']}"
        else:
            assert row["reference_error"] is None
            assert parse_stored_bytes(row["reference"]).url.startswith(folder.as_uri())


def test_every_slice_is_the_same_rows_as_the_whole(folder: Path, workspace: Store):
    built = source(folder)
    index = built.index(workspace)
    whole = built.read(index, 0, 14, workspace)
    for start in range(0, 15, 3):
        for stop in range(start, 15, 2):
            assert built.read(index, start, stop, workspace).equals(whole.slice(start, stop - start))
    assert built.index(workspace) == index
    assert pickle.loads(pickle.dumps(built)).read(index, 2, 12, workspace).equals(whole.slice(2, 10))


def test_the_schema_is_the_promised_one_when_read(folder: Path, workspace: Store):
    built = source(folder)
    index = built.index(workspace)
    table = built.read(index, 3, 3, workspace)
    assert table.schema == index.columns
    assert tuple(table.schema.names) == ("row", "key", "url", "caption", *built.carried)


def test_the_fingerprint_holds_when_the_folder_moves_and_not_when_a_row_changes(folder: Path, workspace: Store):
    before = source(folder).index(workspace).fingerprint
    moved = folder.rename(folder.parent / "moved")
    assert source(moved).index(workspace).fingerprint == before
    pq.write_table(pq.read_table(moved / "00001.parquet").slice(1), moved / "00001.parquet")
    assert source(moved).index(workspace).fingerprint != before


def test_a_success_without_an_image_fails_alone(tmp_path: Path, workspace: Store):
    folder = tmp_path / "shards"
    write_shard(folder, 0, FIRST, "webdataset")
    tar = folder / "00000.tar"
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    rows = read_all(source(folder), workspace).to_pylist()
    lost = [row for row in rows if row["status"] == "success" and row["reference"] is None]
    assert lost
    assert {row["reference_error"] for row in lost} == {"success: the shard holds no such image"}
    assert any(row["reference"] for row in rows)


def test_columns_and_rows_are_as_many_as_the_recipe_wants(folder: Path, workspace: Store):
    built = source(folder, carry=("similarity", "sha256"), caption_column=None, max_rows=11)
    table = read_all(built, workspace)
    assert built.carried == ("similarity", "source_sha256", "reference", "reference_error")
    assert (table.num_rows, table["caption"].null_count) == (11, 11)


def test_shards_of_several_folders_follow_each_other(tmp_path: Path, workspace: Store):
    write_shard(tmp_path / "b", 0, [1, 2], "webdataset")
    write_shard(tmp_path / "a", 0, [4], "parquet")
    table = read_all(source((str(tmp_path / "b"), str(tmp_path / "a"))), workspace)
    assert table["url"].to_pylist() == [f"http://host/{number}.jpg" for number in (1, 2, 4)]
    assert table["reference"].null_count == 0


def test_a_bucket_is_read_like_a_folder(folder: Path, workspace: Store, s3_server: S3Server):
    local = read_all(source(folder), workspace)
    prefix = folder.parent.name
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        s3_server.put(f"{prefix}/{path.relative_to(folder)}", path.read_bytes())
    table = read_all(source(f"s3://pictures/{prefix}", storage_options=s3_server.options), workspace)
    assert table.drop_columns("reference").equals(local.drop_columns("reference"))
    assert table["reference"].to_pylist() == [
        text and text.replace(folder.as_uri(), f"s3://pictures/{prefix}") for text in local["reference"].to_pylist()
    ]


def refusal(built: Img2datasetOutput, workspace: Store) -> str:
    def start() -> None:
        built.check()
        built.index(workspace)

    with pytest.raises(RecipeError) as caught:
        start()
    return str(caught.value)


def test_the_remedy_is_named_when_the_folder_is_not_what_it_should_be(tmp_path: Path, workspace: Store):
    folder = tmp_path / "shards"
    folder.mkdir()
    assert "holds no NNNNN.parquet" in refusal(source(folder), workspace)
    assert "cannot be read" in refusal(source(tmp_path / "missing"), workspace)
    pq.write_table(pa.table({"url": ["a"], "caption": ["b"]}), folder / "00000.parquet")
    assert "img2dataset did not write it" in refusal(source(folder), workspace)
    write_shard(folder, 0, FIRST, "webdataset")
    (folder / "00000.tar").rename(folder / "00002.tar")
    assert "00002.tar has no Parquet file beside it" in refusal(source(folder), workspace)
    (folder / "00002.tar").unlink()
    assert "copy the images" in refusal(source(folder), workspace)
    (folder / "00000.tfrecord").touch()
    assert "TFRecords are not read" in refusal(source(folder), workspace)


def test_an_unfinished_shard_is_refused_with_its_name(tmp_path: Path, workspace: Store):
    folder = tmp_path / "shards"
    write_shard(folder, 0, FIRST, "webdataset")
    write_shard(folder, 1, SECOND, "webdataset")
    # So img2dataset leaves a shard that it was killed in.
    (folder / "00001.parquet").write_bytes(b"PAR1")
    said = refusal(source(folder), workspace)
    assert "00001.parquet" in said
    assert "let img2dataset finish it" in said


def test_wrong_columns_are_named_with_what_would_be_right(folder: Path, workspace: Store):
    assert "did you mean caption?" in refusal(source(folder, caption_column="captoin"), workspace)
    assert "did you mean similarity?" in refusal(source(folder, carry=("similarty",)), workspace)


def test_a_column_of_later_shards_alone_is_not_lost_in_silence(tmp_path: Path, workspace: Store):
    folder = tmp_path / "shards"
    write_shard(folder, 0, FIRST, "webdataset")
    write_shard(folder, 1, SECOND, "webdataset")
    table = pq.read_table(folder / "00001.parquet")
    pq.write_table(table.append_column("more", pa.array(["x"] * 4)), folder / "00001.parquet")
    assert "has the column 'more', which the first shard lacks" in refusal(source(folder), workspace)
    assert read_all(source(folder, carry=("similarity",)), workspace).num_rows == 14


def test_a_change_is_noticed_when_it_came_after_indexing(folder: Path, workspace: Store):
    built = source(folder)
    index = built.index(workspace)
    pq.write_table(pq.read_table(folder / "00001.parquet").slice(1), folder / "00001.parquet")
    with pytest.raises(CorruptionError, match="has changed since"):
        built.read(index, 0, 14, workspace)


@pytest.mark.parametrize("settings", [{"path": ""}, {"path": ()}, {"path": "a", "carry": "some"}, {}])
def test_config_is_refused_when_a_setting_makes_no_sense(settings: dict):
    with pytest.raises(ValidationError):
        Img2datasetOutputConfig(**settings)


@pytest.mark.parametrize(
    "key", ["../outside", "../../etc/passwd", "/etc/passwd", "00000/../../x", ".", "..", "a/b", ""]
)
def test_no_file_outside_of_the_folder_is_named_when_a_key_leads_there(tmp_path: Path, workspace: Store, key: str):
    write_shard(tmp_path / "shards", 0, [0, 1, 2], "files")
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    table = pq.read_table(tmp_path / "shards" / "00000.parquet")
    keys = pa.array([key, *table["key"].to_pylist()[1:]])
    changed = table.set_column(table.schema.get_field_index("key"), "key", keys)
    pq.write_table(changed, tmp_path / "shards" / "00000.parquet")
    rows = read_all(source(tmp_path / "shards"), workspace)
    assert [reference is None for reference in rows["reference"].to_pylist()] == [True, False, False]
    assert rows["reference_error"][0].as_py() == "success: the shard holds no such image"
