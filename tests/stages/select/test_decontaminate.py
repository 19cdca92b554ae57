import hashlib
import io
import tarfile

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from copy_models import copy_model
from pictures import saved
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.images.delivery import DeliverySettings, deliver
from stages.encode.copies import DescribeCopies, DescribeCopiesConfig
from stages.fetch.decode import DecodeImagesConfig
from stages.fingerprint.images import Fingerprint, FingerprintConfig
from stages.select.decontaminate import Decontaminate, DecontaminateConfig


def digits(*bits):
    return f"{sum(1 << bit for bit in bits):064x}"


def sha(text):
    return hashlib.sha256(text).hexdigest()


def table(path, **columns):
    pl.DataFrame(columns).write_parquet(path)
    return str(path)


def made(*sets, **settings):
    named = tuple({"name": name, "path": str(path)} for name, path in sets)
    return Decontaminate(DecontaminateConfig.model_validate({"sets": named, **settings}, strict=False))


def rows_of(*rows):
    defaults = {"sha256": None, "pdq": None, "pdq_quality": 100, "copy_descriptor": None}
    columns = {"row": pl.Int64, "sha256": pl.String, "pdq": pl.String, "pdq_quality": pl.Int16}
    columns["copy_descriptor"] = pl.List(pl.Float16)
    return pl.DataFrame([{"row": row, **defaults, **values} for row, values in enumerate(rows)], schema=columns)


def decide(exchange, frame):
    return exchange.decide(frame.select("row", *exchange.spec.requires).lazy()).collect().sort("row")


def test_the_distance_decides_when_hashes_are_near_those_of_a_table(tmp_path):
    path = table(tmp_path / "t.parquet", key=["a", "b"], pdq=[digits(*range(100)), digits()])
    frame = rows_of(
        {"pdq": digits(*range(31))},
        {"pdq": digits(*range(32))},
        {"pdq": digits(*range(31)), "pdq_quality": 49},
        {"pdq": digits(*range(98))},
        {"pdq": None},
        {"pdq": digits(*range(98))},
    )
    verdicts = decide(made(("flickr", path)), frame)
    assert verdicts["reason"].to_list() == ["flickr_pdq", None, None, "flickr_pdq", None, "flickr_pdq"]
    assert verdicts["detail"][0] == "pdq distance 31 <= 31: b"
    assert verdicts["detail"][3] == "pdq distance 2 <= 31: a"
    assert verdicts["decontaminated_distance"].to_list() == [31, None, None, 2, None, 2]
    assert verdicts["decontaminated_by"].to_list() == [["flickr"], None, None, ["flickr"], None, ["flickr"]]


def test_the_first_set_names_the_rule_and_all_are_listed_when_several_have_a_picture(tmp_path):
    first = table(tmp_path / "a.parquet", pdq=[digits(1)], pdq_quality=[80])
    second = table(tmp_path / "b.parquet", sha256=[sha(b"x")], pdq=[digits(1)])
    verdicts = decide(
        made(("one", first), ("two", second)), rows_of({"sha256": sha(b"x"), "pdq": digits()}, {"sha256": sha(b"y")})
    )
    assert verdicts["reason"].to_list() == ["one_pdq", None]
    assert verdicts["decontaminated_by"].to_list() == [["one", "two"], None]
    turned = decide(made(("two", second), ("one", first)), rows_of({"sha256": sha(b"x"), "pdq": digits()}))
    assert turned["reason"].to_list() == ["two_sha256"]
    assert turned["detail"].to_list() == ["equal sha256: row 0"]


def test_pictures_of_little_detail_are_not_compared_when_a_table_says_so(tmp_path):
    path = table(tmp_path / "t.parquet", pdq=[digits(1)], pdq_quality=[20])
    assert decide(made(("dull", path)), rows_of({"pdq": digits(1)}))["reason"].to_list() == [None]


@pytest.mark.parametrize(
    ("qualities", "reasons"),
    [
        ([None, None, 49], ["plain_pdq", None]),
        ([None, None, 50], ["plain_pdq", "plain_pdq"]),
        ([None, None, None], ["plain_pdq", "plain_pdq"]),
    ],
)
def test_pictures_are_compared_when_a_table_does_not_know_their_quality(tmp_path, qualities, reasons):
    path = table(tmp_path / "t.parquet", pdq=[digits(1), None, digits(*range(100))], pdq_quality=qualities)
    verdicts = decide(made(("plain", path)), rows_of({"pdq": digits(1)}, {"pdq": digits(*range(100))}))
    assert verdicts["reason"].to_list() == reasons


@pytest.mark.parametrize(("degrees", "reason"), [(52, "copies_descriptor"), (54, None)])
def test_the_cosine_decides_when_descriptors_are_compared(tmp_path, degrees, reason):
    # cos(52 degrees) = 0.616, cos(54 degrees) = 0.588.
    vector = [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]
    path = table(tmp_path / "t.parquet", url=["u"], copy_descriptor=[[3.0, 0.0]])
    exchange = made(("copies", path), descriptor={}, sha256=False, pdq=None)
    verdicts = decide(exchange, rows_of({"copy_descriptor": vector}, {}))
    assert verdicts["reason"].to_list() == [reason, None]
    assert verdicts["decontaminated_cosine"][0] == pytest.approx(np.cos(np.radians(degrees)), abs=1e-3)


def textured(seed, size=(500, 400)):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (9, 11, 3)).astype(np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def measured(*bodies):
    """Rows as `decode_images`, `fingerprint` and `describe_copies` measure them."""
    images = [deliver(body, DeliverySettings()).image or body for body in bodies]
    given = pa.table({"image": pa.array(images, pa.large_binary())})
    hashed = Fingerprint(FingerprintConfig()).process(given)
    stage = DescribeCopies(DescribeCopiesConfig(model=copy_model(), side_px=32))
    stage.setup()
    described = pl.DataFrame(pl.from_arrow(stage.process(given).select(["copy_descriptor"])))
    return pl.DataFrame(pl.from_arrow(hashed.select(["pdq", "pdq_quality"]))).with_columns(
        described["copy_descriptor"],
        row=pl.int_range(pl.len(), dtype=pl.Int64),
        sha256=pl.Series([sha(body) for body in bodies]),
    )


def test_unreadable_and_dull_images_are_told_apart_when_a_set_is_described(tmp_path, caplog):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "b.png").write_bytes(saved(np.zeros((300, 300, 3), np.uint8), "png"))
    (tmp_path / "c.png").write_bytes(saved(textured(0), "png"))

    decide(made(("val", tmp_path)), rows_of({"pdq": digits(1)}))

    assert "1 of 3 images cannot be decoded, such as a.jpg" in caplog.text
    assert "1 of 3 images have too little detail for PDQ (quality below 50)" in caplog.text


def test_images_are_described_as_the_rows_are_when_a_folder_and_shards_are_given(tmp_path):
    known, shared, other = (saved(textured(seed), "png") for seed in range(3))
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "1.png").write_bytes(known)
    (tmp_path / "val" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name, body in (("a.jpg", saved(textured(1), "jpg", quality=60)), ("a.txt", b"text")):
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    rows = measured(known, shared, other, saved(cv2.resize(textured(0), (900, 720)), "jpg", quality=80))
    sets = (("val", tmp_path / "val"), ("shards", tmp_path / "0.tar"))
    descriptor = {"model": copy_model(), "side_px": 32, "min_cosine": 0.98}
    verdicts = decide(made(*sets, descriptor=descriptor), rows)
    assert verdicts["reason"].to_list() == ["val_sha256", "shards_pdq", None, "val_pdq"]
    assert verdicts["decontaminated_distance"][0] == 0
    assert verdicts["detail"][1].endswith(": 0.tar/a.jpg")
    assert verdicts["decontaminated_cosine"][0] == pytest.approx(1, abs=1e-3)
    alone = decide(made(*sets, descriptor=descriptor, sha256=False, pdq=None), rows)
    assert alone["reason"].to_list() == ["val_descriptor", "shards_descriptor", None, "val_descriptor"]


def test_the_digest_changes_when_a_set_does(tmp_path):
    folder = tmp_path / "val"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(b"12")
    exchange = made(("val", folder))
    before = exchange.content_digest()
    assert exchange.content_digest() == before
    (folder / "2.jpg").write_bytes(b"1")
    added = exchange.content_digest()
    (folder / "1.jpg").write_bytes(b"123")
    assert len({before, added, exchange.content_digest()}) == 3


def test_the_remedy_is_told_when_a_set_cannot_be_used(tmp_path):
    cases = [
        (made(("val", tmp_path / "missing")), "sets.0 .val.: .*no images, .tar shards or .parquet tables are there"),
        (made(("val", table(tmp_path / "t.parquet", label=[1]))), "none of the columns sha256, pdq, but label"),
    ]
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    cases.append((made(("val", tmp_path / "x.parquet")), "cannot be read: .*Parquet"))
    cases.append((made(("val", table(tmp_path / "e.parquet", sha256=[]))), "its tables have no rows"))
    with tarfile.open(tmp_path / "e.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    cases.append((made(("val", tmp_path / "e.tar")), "its shards hold no images, so it would keep nothing out"))
    (tmp_path / "1.jpg").write_bytes(b"")
    cases.append((made(("val", tmp_path)), "holds images and shards and tables; state which is meant as `format`"))
    cases.append((made(("val", tmp_path / "1.jpg"), descriptor={}), "state `descriptor.model`, or give a table"))
    cases.append(
        (made(("val", tmp_path / "1.jpg"), descriptor={"model": "/no.pt"}), "no such file; give the path of a Torch")
    )
    for exchange, message in cases:
        with pytest.raises(RecipeError, match=message):
            exchange.check()


@pytest.mark.parametrize(
    ("settings", "decoding", "told"),
    [
        ({}, {}, None),
        (
            {},
            {"side_px": 320},
            "delivered_as.side_px is 256, but decode_images has 320: .* state `delivered_as: {side_",
        ),
        ({"delivered_as": {"side_px": 320}}, {"side_px": 320, "min_side": 200}, None),
        ({"delivered_as": {"format": "webp"}}, {}, "delivered_as.format is webp, but decode_images has jpg"),
        ({"descriptor": {"model": "other.pt"}}, {}, "descriptor.model is other.pt, but describe_copies has a.pt"),
        ({"descriptor": {"model": "a.pt", "side_px": 64}}, {}, "descriptor.side_px is 64, but describe_copies has 320"),
    ],
)
def test_a_difference_is_told_when_rows_and_sets_would_go_different_ways(tmp_path, settings, decoding, told):
    (tmp_path / "1.jpg").write_bytes(b"")
    steps = [DecodeImagesConfig(**decoding), DescribeCopiesConfig(model="a.pt")]
    exchange = made(("val", tmp_path / "1.jpg"), **settings)
    if told is None:
        exchange.check_behind(steps)
    else:
        with pytest.raises(RecipeError, match=told):
            exchange.check_behind(steps)
    # What a table knows of its images was found elsewhere.
    path = table(tmp_path / "t.parquet", pdq=[digits(1)])
    made(("val", path), **settings).check_behind(steps)


def test_clip_is_refused_when_it_is_to_tell_copies(tmp_path):
    with pytest.raises(ValidationError, match=r"is of CLIP, .* finds 2 % of the copies, a copy detector 80 %"):
        made(("val", tmp_path), descriptor={"column": "image_embedding"})
    with pytest.raises(ValidationError, match="two sets are called 'val'"):
        made(("val", tmp_path), ("val", tmp_path))


def test_a_wrong_hash_is_told_when_a_table_has_one(tmp_path):
    exchange = made(("val", table(tmp_path / "t.parquet", pdq=["zz"])))
    with pytest.raises(RecipeError, match="'zz' in its column pdq is not 64 digits"):
        decide(exchange, rows_of({"pdq": digits(1)}))
