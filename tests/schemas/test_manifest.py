"""The manifest of a delivery as others will read it."""

import json

import pytest
from pydantic import ValidationError

from schemas.manifest import ColumnRecord, DeliveryManifest, ShardRecord, TextRule
from schemas.records import FileRecord


def _manifest(**changes):
    def file(path):
        return FileRecord(path=path, rows=2, size_bytes=9, sha256="00" * 32)

    values = {
        "rows": 2,
        "shard_rows": 5,
        "text": TextRule(choice="alt", pick="first", synthetic_share=0.5, seed=0),
        "columns": (ColumnRecord(name="key", type="string"),),
        "left_out": (),
        "shards": (ShardRecord(shard=0, rows=2, tar=file("000000.tar"), parquet=file("000000.parquet")),),
        "files": (file("sizes.json"),),
    }
    return DeliveryManifest(**{**values, **changes})


def test_it_is_plain_json_with_its_version_when_written():
    document = json.loads(_manifest().to_bytes())
    assert document["version"] == 1
    assert document["shards"][0]["tar"]["path"] == "000000.tar"
    assert DeliveryManifest.model_validate_json(json.dumps(document)) == _manifest()


def test_an_unknown_choice_of_texts_is_refused_when_read():
    with pytest.raises(ValidationError, match="choice"):
        TextRule(choice="any", pick="first", synthetic_share=0.5, seed=0)
