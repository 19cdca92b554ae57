import io
import shutil
import tarfile

import pytest

from curation.storage.hashing import HashingReader
from curation.storage.store import Store
from schemas.manifest import DeliveryManifest
from stages.deliver.shards import WriteShards, WriteShardsConfig
from stages.deliver.validate import verify_shards


@pytest.fixture
def shards(store, survivors, deliver):
    deliver(WriteShards(WriteShardsConfig(shard_rows=4)), survivors(10), store)
    return store


def rewrite_tar(store, path, change):
    """Changes the members of a tar and makes the manifest agree with the new bytes."""
    with tarfile.open(fileobj=io.BytesIO(store.read_bytes(path))) as tar:
        members = [(entry.name, tar.extractfile(entry).read()) for entry in tar]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in change(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    store.write_bytes(path, file.getvalue())
    accept(store, path)


def accept(store, path):
    manifest = DeliveryManifest.model_validate_json(store.read_bytes("manifest.json"))
    document = manifest.model_dump()
    for shard in document["shards"]:
        for record in (shard["tar"], shard["parquet"]):
            if record["path"] == path:
                data = io.BytesIO(store.read_bytes(path))
                record.update(HashingReader(data).record(path, record["rows"]).model_dump())
    store.write_bytes("manifest.json", DeliveryManifest.model_validate(document).to_bytes())


def edit_manifest(store, change):
    document = DeliveryManifest.model_validate_json(store.read_bytes("manifest.json")).model_dump()
    change(document)
    store.write_bytes("manifest.json", DeliveryManifest.model_validate(document).to_bytes())


def test_a_delivery_is_whole_when_nothing_was_touched(shards):
    assert verify_shards(shards) == []


def test_a_delivery_is_whole_when_moved(shards, tmp_path):
    shutil.move(shards.url, tmp_path / "elsewhere")
    assert verify_shards(Store(str(tmp_path / "elsewhere"))) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"caption": "prefer_synthetic", "synthetic_pick": "best_score"},
        {"caption": "mixed"},
        {"leave_out": ("caption", "captions")},
        {"leave_out": ("row", "image_embedding", "text_embedding")},
    ],
)
def test_a_delivery_is_whole_when_written_with_other_settings(store, survivors, deliver, settings):
    deliver(WriteShards(WriteShardsConfig(shard_rows=3, **settings)), survivors(8), store)
    assert verify_shards(store) == []


def test_an_empty_delivery_is_whole(store, survivors, deliver):
    deliver(WriteShards(WriteShardsConfig()), survivors(0), store)
    assert verify_shards(store) == []


def test_an_unfinished_delivery_is_told(shards):
    shards.delete("manifest.json")
    assert verify_shards(shards) == ["manifest.json: there is none, so the delivery never finished"]


def test_a_manifest_of_another_version_is_told(shards):
    shards.write_bytes("manifest.json", b'{"version": 99}')
    assert "not a manifest of this version" in verify_shards(shards)[0]


@pytest.mark.parametrize("path", ["000001.tar", "000001.parquet", "sizes.json"])
def test_a_missing_file_is_told(shards, path):
    shards.delete(path)
    assert verify_shards(shards) == [f"{path}: missing"]


@pytest.mark.parametrize("path", ["000001.parquet", "sizes.json"])
def test_a_flipped_bit_is_told_by_its_checksum(shards, path):
    data = bytearray(shards.read_bytes(path))
    data[len(data) // 2] ^= 1
    shards.write_bytes(path, bytes(data))
    assert [problem.split(" is ")[0] for problem in verify_shards(shards)] == [f"{path}: its SHA-256"]


def test_a_truncated_tar_is_told(shards):
    data = shards.read_bytes("000000.tar")
    shards.write_bytes("000000.tar", data[:1500])
    problems = verify_shards(shards)
    assert problems[0] == f"000000.tar: 1500 bytes, not {len(data)}"
    assert len(problems) == 2


def test_a_tar_that_is_none_is_told(shards):
    shards.write_bytes("000000.tar", b"x" * 2048)
    accept(shards, "000000.tar")
    assert "cannot be read as a tar" in verify_shards(shards)[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda members: members[3:], "stands where"),
        (lambda members: members[:-3], "the tar ends before it"),
        (lambda members: members[:3] + members, "stands where"),
        (lambda members: [*members, ("extra.txt", b"")], "extra.txt is one file too many"),
        (lambda members: members[3:6] + members[:3] + members[6:], "stands where"),
        (lambda members: [(members[0][0], b"no image"), *members[1:]], "image"),
        (lambda members: [members[0], (members[1][0], b"other"), *members[2:]], "differs from the row"),
        (lambda members: [*members[:2], (members[2][0], b"{}"), *members[3:]], "differs from the row"),
    ],
)
def test_wrong_samples_are_told_when_the_checksums_agree(shards, change, expected):
    rewrite_tar(shards, "000000.tar", change)
    problems = verify_shards(shards)
    assert len(problems) == 1
    assert problems[0].startswith("000000.tar: ")
    assert expected in problems[0]


def test_a_shard_of_another_run_is_told(shards):
    shards.write_bytes("000003.tar", shards.read_bytes("000000.tar"))
    assert verify_shards(shards) == ["000003.tar: looks like a shard, but the manifest does not list it"]


def test_a_ragged_shard_is_told(shards):
    edit_manifest(shards, lambda document: document.update(shard_rows=5))
    assert [problem.split(":")[0] for problem in verify_shards(shards)] == ["000000.tar", "000001.tar"]


def test_a_wrong_count_is_told(shards):
    edit_manifest(shards, lambda document: document.update(rows=11))
    assert verify_shards(shards) == ["manifest.json: says 11 rows, but its shards have 10"]


def test_a_key_in_two_shards_is_told(store, survivors):
    sink = WriteShards(WriteShardsConfig(shard_rows=3))
    sink.finish([sink.write(unit, survivors(3), store) for unit in range(2)], store)
    assert verify_shards(store) == ["a key comes twice in the delivery"]
