import io
import json
import os
import pickle
import tarfile
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset as wds
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.storage.store import Store
from schemas.columns import schema_of
from schemas.manifest import DeliveryManifest
from stages.deliver.shards import WriteShards, WriteShardsConfig


def sink(**settings):
    return WriteShards(WriteShardsConfig(**settings))


def tar_names(store, unit):
    with tarfile.open(fileobj=io.BytesIO(store.read_bytes(f"{unit:06d}.tar"))) as tar:
        return tar.getnames()


def test_shards_hold_exactly_n_but_the_last_when_rows_do_not_divide(store, survivors, deliver):
    records, _ = deliver(sink(shard_rows=4), survivors(10), store)
    assert [record.rows for unit in records for record in unit] == [4, 4, 4, 4, 2, 2]
    assert store.list("") == sorted(
        [*(f"{unit:06d}.{kind}" for unit in range(3) for kind in ("tar", "parquet")), "manifest.json", "sizes.json"]
    )
    names = [name for unit in range(3) for name in tar_names(store, unit)]
    keys = {name.split(".")[0] for name in names}
    assert keys == set(survivors(10)["key"].to_pylist())
    assert len(names) == 30


def test_bytes_are_equal_when_written_twice_from_other_chunks(tmp_path, survivors, deliver):
    table = survivors(9)
    chunked = pa.concat_tables([table.slice(0, 2), table.slice(2, 3), table.slice(5)])
    stores = [Store(str(tmp_path / name)) for name in "ab"]
    deliver(sink(shard_rows=4), table, stores[0])
    deliver(sink(shard_rows=4), chunked, stores[1])
    assert stores[0].list("") == stores[1].list("")
    for name in stores[0].list(""):
        assert stores[0].read_bytes(name) == stores[1].read_bytes(name)


def test_records_match_the_files_when_read_back(store, survivors, deliver):
    records, last = deliver(sink(shard_rows=4), survivors(6), store)
    for record in [*(record for unit in records for record in unit), *last]:
        data = store.read_bytes(record.path)
        assert (record.size_bytes, record.sha256) == (len(data), sha256(data).hexdigest())


def test_parquet_holds_every_column_but_the_image(store, survivors, deliver):
    table = survivors(5)
    records, _ = deliver(sink(), table, store)
    read = pq.read_table(io.BytesIO(store.read_bytes(records[0][1].path)))
    assert set(read.column_names) == set(table.column_names) - {"image"}
    assert read.schema.field("clip_score").type == pa.float32()
    assert read["image_embedding"].type.value_type == pa.float16()
    by_row = read.sort_by("row")
    assert by_row["captions"].to_pylist() == table["captions"].to_pylist()
    assert by_row["rank"].to_pylist() == list(range(5))
    first = pl.read_parquet(io.BytesIO(store.read_bytes(records[0][1].path)))
    assert first["key"].to_list() == read["key"].to_pylist()


def test_plain_webdataset_reads_the_samples(store, survivors, deliver):
    table = survivors(7)
    deliver(sink(shard_rows=3), table, store)
    shards = f"{store.url}/{{000000..000002}}.tar"
    samples = list(wds.WebDataset(shards, shardshuffle=False).decode("pilrgb"))
    rows = {row["key"]: row for row in table.drop(["image", "image_embedding", "text_embedding"]).to_pylist()}
    assert len(samples) == 7
    for sample in samples:
        row = rows.pop(sample["__key__"])
        assert sample["txt"] == (row["caption"] or "")
        assert sample[row["image_format"]].size == (8, 6)
        assert sample["json"]["captions"] == row["captions"]
        assert sample["json"]["licence"] == "cc"
        if row["row"] == 1:
            assert sample["json"]["clip_score"] is None
        else:
            assert np.float32(sample["json"]["clip_score"]) == np.float32(row["clip_score"])
    assert not rows


def test_open_clip_s_loader_reads_the_shards_without_being_told_the_count(store, survivors, deliver):
    get_wds_dataset = pytest.importorskip("open_clip_train.data").get_wds_dataset
    deliver(sink(shard_rows=4), survivors(12), store)
    settings = SimpleNamespace(
        train_data=f"{store.url}/{{000000..000002}}.tar",
        train_num_samples=None,
        train_data_upsampling_factors=None,
        dataset_resampled=False,
        batch_size=4,
        workers=0,
        world_size=1,
        seed=0,
    )
    loaded = get_wds_dataset(
        settings,
        lambda image: np.asarray(image, np.float32),
        is_train=True,
        tokenizer=lambda text: [text],
    ).dataloader
    assert (loaded.num_samples, loaded.num_batches) == (12, 3)
    texts = [text for images, batch in loaded for text in batch if images.shape == (4, 6, 8, 3)]
    assert sorted(texts) == sorted(text or "" for text in survivors(12)["caption"].to_pylist())


def test_synthetic_caption_is_the_text_when_preferred(store, survivors, deliver):
    table = survivors(8)
    deliver(sink(caption="prefer_synthetic"), table, store)
    texts = {
        sample["json"]["row"]: sample["txt"]
        for sample in wds.WebDataset(f"{store.url}/000000.tar", shardshuffle=False).decode()
    }
    assert texts == {row: f"made {row} 🎨" if row % 4 else ("alt 0 ü" if row == 0 else "") for row in range(8)}


def test_manifest_describes_the_delivery_in_relative_paths(store, survivors, deliver):
    deliver(sink(shard_rows=4), survivors(6), store)
    text = store.read_bytes("manifest.json").decode()
    manifest = DeliveryManifest.model_validate_json(text)
    assert (manifest.rows, manifest.shard_rows) == (6, 4)
    assert [(shard.tar.path, shard.rows) for shard in manifest.shards] == [("000000.tar", 4), ("000001.tar", 2)]
    columns = {column.name: column for column in manifest.columns}
    assert (columns["clip_score"].type, columns["clip_score"].unit) == ("float", "-1 to 1")
    assert columns["rank"].type == "int16"
    assert columns["rank"].meaning is None
    assert os.path.dirname(store.url) not in text
    assert json.loads(store.read_bytes("sizes.json")) == {"000000.tar": 4, "000001.tar": 2}


def test_manifest_is_valid_when_nothing_survived(store, survivors, deliver):
    records, _ = deliver(sink(), survivors(0), store)
    assert records == []
    assert store.list("") == ["manifest.json", "sizes.json"]
    manifest = DeliveryManifest.model_validate_json(store.read_bytes("manifest.json"))
    assert (manifest.rows, manifest.shards, manifest.columns) == (0, (), ())


def test_a_column_is_not_delivered_when_left_out(store, survivors, deliver):
    deliver(sink(leave_out=("url", "image_embedding")), survivors(3), store)
    read = pq.read_schema(io.BytesIO(store.read_bytes("000000.parquet")))
    assert not {"url", "image_embedding"} & set(read.names)
    assert "text_embedding" in read.names
    assert b"http://host" not in store.read_bytes("000000.tar")


def test_unknown_column_is_refused_when_left_out(store, survivors):
    with pytest.raises(RecipeError, match="no column is called ulr; did you mean url"):
        sink(leave_out=("ulr",)).write(0, survivors(2), store)
    assert store.list("") == []


@pytest.mark.parametrize(
    "settings",
    [
        {"leave_out": ("key",)},
        {"synthetic_share": 0.2},
        {"caption": "synthetic", "synthetic_share": 0.2},
        {"synthetic_pick": "best_score"},
        {"shard_rows": 0},
        {"synthetic_share": 1.5, "caption": "mixed"},
    ],
)
def test_settings_are_refused_when_they_do_not_fit_together(settings):
    with pytest.raises(ValidationError):
        WriteShardsConfig(**settings)


def test_captions_are_asked_for_only_when_used():
    assert "captions" not in sink().spec.requires
    assert "captions" in sink(caption="mixed").spec.requires


def test_added_columns_have_the_registered_types():
    verdicts = sink().assign(pl.LazyFrame({"row": [0], "key": ["0" * 32]})).collect().to_arrow()
    for field in schema_of(*sink().spec.adds):
        assert verdicts.schema.field(field.name).type == field.type


def test_sink_can_be_pickled_and_leaves_its_input_alone(store, survivors):
    table = survivors(3)
    before = pickle.dumps(table)
    pickle.loads(pickle.dumps(sink())).write(0, table, store)
    assert pickle.dumps(table) == before


def test_no_file_is_left_when_a_row_cannot_be_written(store, survivors):
    table = survivors(3)
    broken = table.set_column(
        table.column_names.index("image"), "image", pa.array([b"x", None, b"x"], pa.large_binary())
    )
    with pytest.raises(Exception, match="0 bytes"):
        sink().write(0, broken, store)
    assert store.list("") == []
