import csv
import pickle
import random
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from dying_decoder import asking
from pictures import FORMATS, gradient, png_of_size, saved, with_orientation
from PIL import Image
from pydantic import ValidationError

from curation.images.headers import read_header
from curation.images.pixels import decode_pixels
from schemas.columns import schema_of
from stages.fetch.decode import DecodeImages, DecodeImagesConfig

_MALFORMED = Path(__file__).parents[4] / "shared" / "data" / "malformed"
PICTURE = gradient(400, 300)


class _Dying(DecodeImages):
    """The stage, with decoders that die of bodies which ask for it."""

    decoder_module = "dying_decoder"


def _table(bodies: list[bytes]) -> pa.Table:
    columns = {"row": range(len(bodies)), "key": [f"k{row}" for row in range(len(bodies))], "body": bodies}
    fields = schema_of("row", "key", "body")
    return pa.table([pa.array(columns[field.name], field.type) for field in fields], schema=fields)


def _decode(*bodies: bytes, stage_class: type[DecodeImages] = DecodeImages, **settings: object) -> list[dict]:
    stage = stage_class(DecodeImagesConfig(**settings))
    stage.setup()
    try:
        done = stage.process(_table(list(bodies)))
    finally:
        stage.close()
    assert done.column_names == ["row", "key", "body", *stage.spec.adds, "outcome", "reason", "detail"]
    assert done.select(stage.spec.adds).schema == schema_of(*stage.spec.adds)
    assert done["row"].to_pylist() == list(range(len(bodies)))
    return done.to_pylist()


def _pixels(row: dict) -> np.ndarray:
    header = read_header(row["image"])
    assert header.plain
    assert (header.format, header.width, header.height) == (row["image_format"], row["width"], row["height"])
    assert len(row["image"]) == row["image_bytes"]
    return decode_pixels(row["image"], header).astype(int)


@pytest.mark.parametrize("name", FORMATS)
def test_image_is_brought_to_size_and_format_when_it_is_of_any_kind(name: str):
    (row,) = _decode(saved(PICTURE, name), side_px=120)
    assert (row["width"], row["height"], row["image_format"], row["original_kept"]) == (160, 120, "jpg", False)
    assert (row["original_format"], row["original_width"], row["original_height"]) == (name, 400, 300)
    # A GIF has only 256 colours.
    assert np.abs(_pixels(row) - gradient(160, 120)).mean() < (9 if name == "gif" else 3)


@pytest.mark.parametrize("target", ["jpg", "png", "webp"])
def test_image_is_delivered_in_the_format_asked_for(target: str):
    (row,) = _decode(saved(PICTURE, "jpg", quality=95), side_px=200, resize="longest", format=target)
    assert (row["width"], row["height"], row["image_format"]) == (200, 150, target)
    assert np.abs(_pixels(row) - gradient(200, 150)).mean() < 3


def test_image_is_turned_upright_when_its_exif_says_so():
    turned = np.ascontiguousarray(np.rot90(PICTURE))
    (row,) = _decode(with_orientation(turned, "jpg", 6), side_px=150)
    assert (row["width"], row["height"]) == (200, 150)
    assert (row["original_width"], row["original_height"]) == (400, 300)
    assert np.abs(_pixels(row) - gradient(200, 150)).mean() < 3


def test_original_bytes_are_kept_when_nothing_has_to_change():
    small = gradient(90, 70)
    bodies = {
        "kept": saved(small, "jpg"),
        "progressive": saved(small, "jpg", progressive=True),
        "gray": saved(small[..., 0], "jpg"),
        "png": saved(small, "png"),
        "turned": with_orientation(small, "jpg", 3),
        "larger": saved(PICTURE, "jpg"),
        "ballast": saved(small, "jpg") + bytes(100_000),
    }
    rows = dict(zip(bodies, _decode(*bodies.values(), side_px=256), strict=True))
    kept = {name for name, row in rows.items() if row["original_kept"]}
    assert kept == {"kept", "progressive"}
    assert rows["kept"]["image"] == bodies["kept"]
    assert len(rows["ballast"]["image"]) < 10_000


def test_small_image_is_enlarged_only_when_asked_for():
    body = saved(gradient(80, 60), "jpg")
    (kept,), (grown,) = _decode(body, side_px=120), _decode(body, side_px=120, upscale=True)
    assert (kept["width"], kept["original_kept"]) == (80, True)
    assert (grown["width"], grown["height"], grown["original_kept"]) == (160, 120, False)


def test_size_stays_when_no_side_is_given():
    (row,) = _decode(saved(PICTURE, "png"), side_px=None)
    assert (row["width"], row["height"], row["image_format"]) == (400, 300, "jpg")


def test_rows_are_rejected_by_their_upright_header_when_rules_are_broken():
    bodies = [
        saved(gradient(1, 1), "gif"),
        saved(gradient(400, 20), "jpg"),
        with_orientation(gradient(40, 100), "jpg", 6),
        saved(PICTURE, "jpg"),
    ]
    rows = _decode(*bodies, min_side=20, max_aspect=2.5)
    assert [(row["outcome"], row["reason"], row["detail"]) for row in rows] == [
        ("rejected", "min_side", "1 < 20"),
        ("rejected", "max_aspect", "20.000 > 2.5"),
        (None, None, None),
        (None, None, None),
    ]
    assert (rows[0]["original_format"], rows[0]["original_width"], rows[0]["image"]) == ("gif", 1, None)


def test_rows_fail_with_a_reason_when_there_is_no_intact_image():
    whole = saved(PICTURE, "jpg")
    bodies = {
        "too_many_pixels": png_of_size(30_000, 30_000),
        "not_an_image": b"<!doctype html><title>404</title>",
        "unsupported_format": b"<svg/>",
        "truncated_image": whole[: len(whole) // 2],
        "corrupt_image": png_of_size(300, 300),
        "encode_failed": saved(gradient(17_000, 40), "png"),
    }
    rows = _decode(*bodies.values(), whole, format="webp", side_px=None)
    assert [row["reason"] for row in rows] == [*bodies, None]
    assert [row["image"] is None for row in rows] == [True] * 6 + [False]
    assert rows[0]["original_width"] == 30_000


def test_results_are_the_same_when_several_processes_decode():
    bodies = [saved(gradient(200 + 9 * step, 150), name) for step in range(4) for name in ("jpg", "png", "webp")]
    one, three = ([steady(row) for row in _decode(*bodies, processes=number)] for number in (1, 3))
    assert one == three


def steady(row: dict) -> dict:
    """What does not differ from run to run."""
    return {name: value for name, value in row.items() if name != "decode_s"}


def test_time_is_measured_when_a_decoder_has_seen_the_file():
    rows = _decode(
        saved(gradient(2000, 1500), "png"), b"no image", asking(saved(PICTURE, "jpg"), "abort"), stage_class=_Dying
    )
    assert rows[0]["decode_s"] > rows[1]["decode_s"] >= 0
    assert rows[2]["decode_s"] is None


@pytest.mark.parametrize(
    ("wish", "detail"), [("segfault", "signal SIGSEGV"), ("loop", "more than 0.5 s"), ("memory", "more than 200 MB")]
)
def test_one_row_fails_and_its_neighbours_are_kept_when_a_file_kills_its_decoder(wish: str, detail: str):
    bodies = [saved(PICTURE, "jpg"), asking(saved(PICTURE, "jpg"), wish), saved(PICTURE, "png")]
    # Filling 200 MB can take a while where other work runs.
    timeout_s = 0.5 if wish == "loop" else 20.0
    rows = _decode(*bodies, stage_class=_Dying, decode_timeout_s=timeout_s, decode_memory_bytes=200_000_000)
    assert [(row["outcome"], row["reason"], row["detail"]) for row in rows] == [
        (None, None, None),
        ("failed", "decoder_crash", detail),
        (None, None, None),
    ]
    assert [row["image"] for row in rows[::2]] == [row["image"] for row in _decode(*bodies[::2])]


@pytest.mark.slow
def test_a_picture_is_decoded_within_the_usual_limits_when_it_has_as_many_pixels_as_are_usually_allowed():
    ramp = np.arange(7071, dtype=np.uint16) * 9
    picture = np.dstack(np.broadcast_arrays(ramp, ramp[:, None], ramp, ramp[:, None]))
    quick = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    (row,) = _decode(cv2.imencode(".png", picture, quick)[1].tobytes())
    assert (row["reason"], row["width"]) == (None, 256)


def test_columns_are_complete_when_the_table_is_empty():
    assert _decode() == []


def test_stage_works_when_it_was_pickled_before_setup():
    stage = pickle.loads(pickle.dumps(DecodeImages(DecodeImagesConfig(processes=2))))
    stage.setup()
    try:
        assert stage.process(_table([saved(PICTURE, "jpg")]))["width"].to_pylist() == [341]
    finally:
        stage.close()


def test_every_malformed_file_is_an_image_or_has_a_reason():
    if not _MALFORMED.is_dir():
        pytest.skip(f"no malformed files in {_MALFORMED}")
    known = list(csv.DictReader((_MALFORMED / "pillow_outcomes.csv").open()))
    rows = _decode(*((_MALFORMED / entry["path"]).read_bytes() for entry in known))
    differing = {}
    for entry, row in zip(known, rows, strict=True):
        assert (row["image"] is None) == (row["reason"] is not None)
        assert row["reason"] not in ("decoder_crash", "encode_failed")
        # Formats that are not decoded here are none of Pillow's errors.
        if entry["outcome"] == "ok" and entry["format"] in ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"):
            if row["reason"] is not None:
                differing[entry["path"]] = row["reason"]
            else:
                assert {row["original_width"], row["original_height"]} == {int(entry["width"]), int(entry["height"])}
        elif entry["path"] != "unknown_compression_method.png":  # of a text: the pixels are whole
            assert row["reason"] is not None, entry["path"]
    assert differing == {
        "test_extents_transparency.gif": "corrupt_image",  # garbage between its blocks
        "tiff_wrong_bits_per_sample.tiff": "truncated_image",  # says that its pixels reach beyond the end
        "truncated_app14.jpg": "corrupt_image",  # a byte is missing in its header
        **{entry: "unsupported_format" for entry in differing if _has_no_white(entry)},
    }


@pytest.mark.parametrize("name", FORMATS)
def test_every_mutated_file_is_an_image_or_has_a_reason(name: str):
    chance, body = random.Random(name), saved(gradient(90, 70), name)
    mutants = []
    for _ in range(30):
        mutant = bytearray(body)
        for _ in range(chance.randrange(1, 6)):
            mutant[int(len(mutant) * chance.random() ** 2)] = chance.randrange(256)
        mutants.append(bytes(mutant[: chance.choice((None, chance.randrange(1, len(mutant))))]))
    for row in _decode(*mutants, max_pixels=1_000_000):
        assert (row["image"] is None) == (row["outcome"] == "failed")
        if row["image"] is not None:
            assert _pixels(row).shape == (row["height"], row["width"], 3)


def _has_no_white(name: str) -> bool:
    with Image.open(_MALFORMED / name) as picture:
        return picture.mode in ("I", "F")


@pytest.mark.parametrize(
    "settings",
    [
        {"side_px": 0},
        {"format": "gif"},
        {"quality": 101},
        {"max_pixels": 10**9},
        {"max_frames": 0},
        {"max_aspect": 0.5},
        {"formats": ("svg",)},
        {"formats": ()},
        {"decode_timeout_s": 0.0},
        {"processes": 0},
    ],
)
def test_config_is_refused_when_a_setting_makes_no_sense(settings: dict[str, object]):
    with pytest.raises(ValidationError):
        DecodeImagesConfig(**settings)
