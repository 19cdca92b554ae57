import datetime
import io
import json
import math
import tarfile

import numpy as np
import pyarrow as pa
import pytest

from curation.errors import CorruptionError
from schemas.columns import COLUMNS
from stages.deliver.samples import json_documents, sample_members, write_tar


def documents(**columns):
    return [json.loads(text) for text in json_documents(pa.table(columns))]


def test_a_number_that_json_lacks_becomes_null():
    values = pa.array([1.5, math.nan, math.inf, -math.inf, None], pa.float32())
    assert [row["x"] for row in documents(x=values)] == [1.5, None, None, None, None]
    assert [row["x"] for row in documents(x=values.cast(pa.float64()))] == [1.5, None, None, None, None]


def test_a_float32_reads_back_the_same_when_written_shortly():
    values = np.array([0.1, 1 / 3, 1e-30, 16777217.0, -0.29843], np.float32)
    texts = json_documents(pa.table({"x": values}))
    assert texts[0] == b'{"x":0.1}'
    assert [np.float32(json.loads(text)["x"]) for text in texts] == values.tolist()


def test_captions_read_back_when_scores_are_odd():
    captions = [
        [
            {"text": "ein Häuschen 🏠", "model": "m", "prompt": None, "score": -0.1},
            {"text": '"quoted"\n\u2028', "model": "m", "prompt": "a", "score": math.nan},
        ],
        [],
        None,
    ]
    rows = documents(captions=pa.array(captions, COLUMNS["captions"].type))
    assert rows[0]["captions"][0] == captions[0][0]
    assert rows[0]["captions"][1] == {**captions[0][1], "score": None}
    assert [row["captions"] for row in rows[1:]] == [[], None]


def test_unicode_is_written_as_it_is():
    assert json_documents(pa.table({"text": ["日本 🎌"]})) == ['{"text":"日本 🎌"}'.encode()]


def test_carried_columns_of_any_type_are_json():
    rows = documents(
        blob=pa.array([b"\x00\xff"]),
        day=pa.array([datetime.date(2024, 2, 29)]),
        at=pa.array([datetime.datetime(2024, 2, 29, 12, 30)], pa.timestamp("ns")),
        took=pa.array([datetime.timedelta(seconds=90)], pa.duration("ms")),
        big=pa.array([2**63 - 1], pa.int64()),
        sure=pa.array([True]),
        nested=pa.array([{"a": [0.1, math.nan]}], pa.struct([("a", pa.list_(pa.float32()))])),
        kind=pa.array(["x"]).dictionary_encode(),
        none=pa.nulls(1),
    )
    assert rows == [
        {
            "blob": "AP8=",
            "day": "2024-02-29",
            "at": "2024-02-29 12:30:00.000000000",
            "took": 90.0,
            "big": 2**63 - 1,
            "sure": True,
            "nested": {"a": [0.1, None]},
            "kind": "x",
            "none": None,
        }
    ]


def test_keys_stand_in_the_registry_s_order_then_the_source_s():
    table = pa.table({"zebra": [1], "width": [2], "ant": [3], "key": ["k"], "row": [0]})
    assert list(json.loads(json_documents(table)[0])) == ["row", "key", "width", "zebra", "ant"]


def test_embeddings_and_images_stay_out_of_the_json():
    table = pa.table({"row": [0], "image": [b"x"], "image_embedding": [[1.0]], "text_embedding": [[1.0]]})
    assert json_documents(table) == [b'{"row":0}']


@pytest.mark.parametrize(
    ("key", "kind", "image"),
    [
        ("../../../../../../../../../etc/xyz", "jpg", b"x"),
        ("A" * 32, "jpg", b"x"),
        (None, "jpg", b"x"),
        ("a" * 32, "gif", b"x"),
        ("a" * 32, None, b"x"),
        ("a" * 32, "jpg", b""),
        ("a" * 32, "jpg", None),
    ],
)
def test_no_member_is_made_when_a_row_is_not_the_engine_s(key, kind, image):
    table = pa.table({"key": pa.array([key], pa.string()), "image_format": pa.array([kind], pa.string())})
    with pytest.raises(CorruptionError):
        list(sample_members(table, [image], [""]))


def test_tar_says_nothing_of_time_or_user():
    file = io.BytesIO()
    write_tar(file, [[("a.txt", b"hello")]])
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as tar:
        entry = tar.getmember("a.txt")
    assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode) == (0, 0, 0, "", "", 0o644)


def test_tar_is_what_tarfile_writes_whatever_the_lengths():
    lengths = (0, 1, 511, 512, 513, 10_240, 70_000)
    samples = [
        [(f"{length:032x}.{kind}", bytes([length % 251]) * length) for kind in ("jpg", "txt")] for length in lengths
    ]
    for count in (0, 1, len(samples)):
        expected, written = io.BytesIO(), io.BytesIO()
        with tarfile.open(fileobj=expected, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in [member for members in samples[:count] for member in members]:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))
        write_tar(written, samples[:count])
        assert written.getvalue() == expected.getvalue()


def test_tar_refuses_a_name_when_it_is_longer_than_its_header_holds():
    with pytest.raises(ValueError, match="does not fit"):
        write_tar(io.BytesIO(), [[("a" * 101, b"x")]])
