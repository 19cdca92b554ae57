"""The source and the stage together: folders made by hand, and those that img2dataset wrote itself."""

import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from img2dataset_folders import ERRORS, body_of, write_shard
from pictures import gradient, saved
from pydantic import ValidationError
from raw_web import RawWeb
from s3_server import S3Server

from curation.contracts.source import SourceIndex
from curation.errors import RecipeError
from curation.storage.store import Store
from stages.fetch.read_img2dataset import ReadImg2dataset, ReadImg2datasetConfig
from stages.sources.img2dataset_output import Img2datasetOutput, Img2datasetOutputConfig

FORMATS = ("webdataset", "parquet", "files")
NUMBERS = list(range(250))
REACH = {"allow_public": False, "allow_networks": ("127.0.0.0/8",), "allow_ports": None, "robots": False}


def rows_of(path: object, workspace: Path, **settings: object) -> pa.Table:
    source = Img2datasetOutput(Img2datasetOutputConfig(path=str(path), **settings))
    store = Store(str(workspace))
    index: SourceIndex = source.index(store)
    return source.read(index, 0, index.rows, store)


def read(table: pa.Table, **settings: object) -> pa.Table:
    stage = ReadImg2dataset(ReadImg2datasetConfig(**settings))
    stage.check()
    stage.setup()
    try:
        return stage.process(table.select(["row", "key", *stage.spec.requires]))
    finally:
        stage.close()


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_image_is_what_it_was_and_every_other_row_says_why(tmp_path: Path, output_format: str):
    write_shard(tmp_path / "shards", 0, NUMBERS[:150], output_format)
    write_shard(tmp_path / "shards", 1, NUMBERS[150:], output_format)
    done = read(rows_of(tmp_path / "shards", tmp_path / "workspace"))
    assert done["row"].to_pylist() == NUMBERS
    for number, row in zip(NUMBERS, done.to_pylist(), strict=True):
        assert row["body"] == (None if number % 10 in ERRORS else body_of(number))
        assert row["body_bytes"] == (None if row["body"] is None else len(row["body"]))
        assert (row["sha256"] is None) == (row["body"] is None)
    ends = list(zip(done["outcome"].to_pylist(), done["reason"].to_pylist(), strict=True))[:10]
    fine = (None, None)
    assert ends[3:8] == [
        ("failed", "http_not_found"),
        fine,
        ("failed", "corrupt_image"),
        fine,
        ("rejected", "min_side"),
    ]
    assert done["detail"].to_pylist()[3] == "img2dataset: HTTP Error 404: Not Found"


@pytest.mark.parametrize("output_format", FORMATS)
def test_images_come_from_a_bucket_like_from_a_folder(tmp_path: Path, output_format: str, s3_server: S3Server):
    write_shard(tmp_path / "shards", 0, NUMBERS[:30], output_format)
    for path in (tmp_path / "shards").rglob("*"):
        if path.is_file():
            s3_server.put(f"{tmp_path.name}/{path.relative_to(tmp_path / 'shards')}", path.read_bytes())
    options = s3_server.options
    table = rows_of(f"s3://pictures/{tmp_path.name}", tmp_path / "workspace", storage_options=options)
    done = read(table, storage_options=options)
    assert [body for body in done["body"].to_pylist() if body] == [
        body_of(number) for number in range(30) if number % 10 not in ERRORS
    ]


def test_what_img2dataset_could_not_get_is_fetched_when_the_recipe_says_so(tmp_path: Path, web: RawWeb):
    write_shard(tmp_path / "shards", 0, NUMBERS[:10], "webdataset")
    table = rows_of(tmp_path / "shards", tmp_path / "workspace")
    body = saved(gradient(20, 10), "jpg")
    urls = [web.on("/healed", body=body) if number == 3 else web.url(f"/{number}") for number in range(10)]
    table = table.set_column(table.schema.get_field_index("url"), "url", pa.array(urls))
    done = read(table, refetch={"kind": "fetch_images", **REACH})
    assert done["row"].to_pylist() == list(range(10))
    assert done["body"].to_pylist()[3] == body
    assert [done["reason"].to_pylist()[number] for number in (3, 5, 7)] == [None, "http_not_found", "http_not_found"]
    assert done["http_status"].to_pylist() == [None, None, None, 200, None, 404, None, 404, None, None]
    assert sum(web.asked.values()) == 3


def test_the_settings_of_refetch_are_checked_like_those_of_a_step():
    with pytest.raises(ValidationError, match="retries"):
        ReadImg2datasetConfig(refetch={"kind": "fetch_images", "retries": -1})
    with pytest.raises(RecipeError, match="contact"):
        ReadImg2dataset(ReadImg2datasetConfig(refetch={"kind": "fetch_images"})).check()
    stage = ReadImg2dataset(ReadImg2datasetConfig(refetch={"kind": "fetch_images", "verify_md5": "crc"}))
    with pytest.raises(RecipeError, match="verify_md5: column crc is of type int64"):
        stage.check_source(pa.schema({"crc": pa.int64()}))
    assert ReadImg2dataset(ReadImg2datasetConfig()).check_source(pa.schema({"crc": pa.int64()})) is None


PYTHON = os.environ.get("IMG2DATASET_PYTHON") or None


@pytest.mark.slow
@pytest.mark.skipif(
    PYTHON is None and importlib.util.find_spec("img2dataset") is None,
    reason="img2dataset is not installed: `pip install 'curation[img2dataset]'`, or name a Python that has it",
)
@pytest.mark.parametrize("output_format", FORMATS)
def test_what_img2dataset_itself_wrote_is_read_without_a_loss(tmp_path: Path, web: RawWeb, output_format: str):
    pictures = {number: saved(gradient(20 + number, 300), "jpg") for number in range(60)}
    urls = [web.on(f"/{number}", body=body) for number, body in pictures.items()]
    urls += [web.url("/missing"), web.on("/page", body=b"<html>")]
    captions = [f"caption {number} ü" for number in range(61)] + [None]
    pq.write_table(pa.table({"link": urls, "alt": captions, "score": [0.5] * 62}), tmp_path / "list.parquet")
    run_img2dataset(tmp_path, output_format)
    table = rows_of(tmp_path / "out", tmp_path / "workspace")
    assert sorted(table["url"].to_pylist()) == sorted(urls)
    assert dict(zip(table["url"].to_pylist(), table["caption"].to_pylist(), strict=True)) == dict(
        zip(urls, captions, strict=True)
    )
    assert table["score"].to_pylist() == [0.5] * 62
    done = read(table)
    by_url = dict(zip(done["url"].to_pylist(), done.to_pylist(), strict=True))
    assert by_url[urls[60]]["reason"] == "http_not_found"
    assert by_url[urls[61]]["reason"] == "corrupt_image"
    # Nothing was resized and nothing encoded anew, so the bytes are those that the server sent.
    assert [by_url[url]["body"] for url in urls[:60]] == list(pictures.values())


def run_img2dataset(folder: Path, output_format: str) -> None:
    settings = {
        **{"url_list": "list.parquet", "input_format": "parquet", "url_col": "link", "caption_col": "alt"},
        **{"output_folder": "out", "output_format": output_format, "save_additional_columns": "['score']"},
        **{"processes_count": "1", "thread_count": "8", "number_sample_per_shard": "40"},
        **{"resize_mode": "no", "skip_reencode": "True", "enable_wandb": "False"},
    }
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    subprocess.run(
        [PYTHON or sys.executable, "-c", "from img2dataset import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"},
        check=True,
        capture_output=True,
        timeout=150,
    )


def test_a_folder_made_by_hand_is_as_img2dataset_makes_it(tmp_path: Path):
    """What the other tests stand on: three files a sample, in the order of the rows that succeeded."""
    rows = write_shard(tmp_path, 0, NUMBERS[:20], "webdataset")
    with tarfile.open(tmp_path / "00000.tar") as tar:
        names = tar.getnames()
    keys = [row["key"] for row in rows if row["status"] == "success"]
    assert names == [f"{key}.{ending}" for key in keys for ending in ("jpg", "txt", "json")]
