"""Which edits of real photos are copies to `deduplicate`, measured as a run does, and which it cannot see."""

import io
import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from pictures import saved
from PIL import Image

from stages.catalogue import CATALOGUE

_DATA = Path(__file__).parents[4] / "shared" / "data"
_BRIDGE = _DATA / "neardup_pdq" / "bridge-mods"
_MIXED = _DATA / "neardup_ukbench" / "mixed_images"
_PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"
_TURNED = "^pdq_(turned|flipped)_.*$"


def _bodies(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        pytest.skip(f"no photos in {folder}")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _measured(bodies: Mapping[str, bytes]) -> pl.DataFrame:
    """What `decode_images` and `fingerprint` say of files: `row`, `key` (the file's name) and their columns."""
    decode, fingerprint = CATALOGUE.stages["decode_images"], CATALOGUE.stages["fingerprint"]
    decoding = decode(decode.Config())
    decoding.setup()
    try:
        decoded = decoding.process(pa.table({"body": pa.array(list(bodies.values()), pa.large_binary())}))
    finally:
        decoding.close()
    hashing = fingerprint(fingerprint.Config(inner_hash=True, dihedral=True))
    alive = decoded["outcome"].is_null()
    hashed = hashing.process(decoded.filter(alive).drop_columns(["outcome", "reason", "detail"]))
    frame = pl.DataFrame(pl.from_arrow(hashed.drop_columns(["body", "image"])))
    names = pl.Series("key", list(bodies)).filter(pl.Series(alive.to_pylist()))
    # The bodies are all different, so no two have one SHA-256.
    return frame.with_columns(names, pl.int_range(len(names), dtype=pl.Int64).alias("row"), sha256=names)


def _rejected(photos: pl.DataFrame, **settings: object) -> dict[str, tuple[str, str]]:
    """By the name of each file that goes: the reason, and the file that stays in its place."""
    step = CATALOGUE.exchanges["deduplicate"]
    exchange = step(step.Config.model_validate(settings, strict=False))
    verdicts = exchange.decide(photos.select("row", "key", *exchange.spec.requires).lazy()).collect()
    assert sorted(verdicts["row"]) == list(range(len(photos)))
    gone = verdicts.filter(pl.col("reason").is_not_null()).sort("row")
    return {photos["key"][row]: (reason, of) for row, reason, of in gone.select("row", "reason", "duplicate_of").rows()}


def _bits(photos: pl.DataFrame, edit: str, original: str, columns: str = "^pdq$") -> int:
    """The least distance between one of the two photos, whole, and the other by hashes of these columns."""
    distances = []
    for one, other in ((edit, original), (original, edit)):
        whole = int(photos.filter(key=one)["pdq"].item(), 16)
        hashes = photos.filter(key=other).select(pl.col(columns)).row(0)
        distances += [(int(digits, 16) ^ whole).bit_count() for digits in hashes]
    return min(distances)


def test_largest_photo_takes_all_its_edits_when_they_are_blurred_sharpened_recoloured_or_resized() -> None:
    photos = _measured(_bodies(_BRIDGE))
    assert photos["pdq_quality"].min() == 100
    # The originals of the recoloured and sharpened ones are as large: `first` lets the unedited one stay.
    gone = _rejected(photos, prefer=("largest", "first"))
    assert gone == {name: ("perceptual", "aaa-orig.jpg") for name in photos["key"] if name != "aaa-orig.jpg"}
    assert len(gone) == 11


def test_mirror_images_are_copies_when_variants_are_compared_and_odd_turns_never() -> None:
    photos = _measured(_bodies(_MIXED))
    # `ukbench09268_corrupt.jpg` cannot be decoded, and is no copy of anything.
    assert "ukbench09268_corrupt.jpg" not in photos["key"]
    assert len(photos) == 5
    resized = {"ukbench00120_resize.jpg": ("perceptual", "ukbench00120.jpg")}
    assert _rejected(photos) == resized
    assert _rejected(photos, perceptual={"variants": ["pdq_inner"]}) == resized
    with_mirror = _rejected(photos, perceptual={"variants": ["dihedral"]})
    assert with_mirror == {**resized, "ukbench00120_hflip.jpg": ("perceptual", "ukbench00120.jpg")}


def test_different_photos_are_no_copies_when_all_variants_are_compared() -> None:
    photos = _measured(_bodies(_DATA / "neardup_ukbench" / "base_images"))
    assert len(photos) == 10
    assert _rejected(photos, perceptual={"variants": ["dihedral", "pdq_inner"]}) == {}


def test_formats_of_one_photo_are_copies_when_they_can_be_decoded() -> None:
    photos = _measured(_bodies(_DATA / "neardup_ukbench" / "formats_images"))
    # Two pictures of their own are there, and three in formats of which nothing is decoded. The `.svg` is a JPEG.
    assert {"copyleft.tiff", "giphy.gif"} < set(photos["key"])
    gone = _rejected(photos, prefer=("first",))
    assert gone == {
        f"ukbench09380.{kind}": ("perceptual", "ukbench09380.bmp") for kind in ("jpeg", "png", "svg", "webp")
    }


def _range(bits: list[int]) -> str:
    return f"{min(bits)} to {max(bits)}" if len(bits) > 1 else str(bits[0])


def test_page_on_copies_says_which_edits_are_seen() -> None:
    bridge, mixed = _measured(_bodies(_BRIDGE)), _bodies(_MIXED)
    photo = Image.open(io.BytesIO(mixed["ukbench00120.jpg"]))
    width, height = photo.size
    inside = (width // 40, height // 40, width - width // 40, height - height // 40)
    mixed["quarter.jpg"] = saved(photo.rotate(90, expand=True), "jpg", quality=95)
    mixed["cropped.jpg"] = saved(photo.crop(inside), "jpg", quality=95)
    photos = _measured(mixed)

    def of_bridge(*edits: str) -> list[int]:
        return [_bits(bridge, f"{edit}.jpg", "aaa-orig.jpg") for edit in edits]

    def told(edit: str) -> list[int]:
        return [_bits(photos, edit, "ukbench00120.jpg", columns) for columns in ("^pdq$", _TURNED, "^pdq_inner$")]

    look = of_bridge(
        *("blur-a-little", "blur-a-lot", "high-contrast", "high-saturation", "sharpen-a-little", "sharpen-a-lot")
    )
    size = of_bridge("shrink-a-little", "shrink-a-lot", "square-128x128", "square-256x256", "square-512x512")
    mirrored, quarter, odd, cropped = map(
        told, ("ukbench00120_hflip.jpg", "quarter.jpg", "ukbench00120_rotation.jpg", "cropped.jpg")
    )
    table = {
        "blurred, sharpened, contrast or saturation raised": (_range(look), "yes"),
        "shrunk to as little as a tenth; squeezed to a square": (
            _range([*size, *told("ukbench00120_resize.jpg")[:1]]),
            "yes",
        ),
        "mirrored": (str(mirrored[0]), f"with `variants: [dihedral]` ({mirrored[1]})"),
        "turned by a quarter": (str(quarter[0]), f"with `variants: [dihedral]` ({quarter[1]})"),
        "cropped by a fortieth at each side": (str(cropped[0]), f"with `variants: [pdq_inner]` ({cropped[2]})"),
        "turned by an odd angle, without crop": (
            str(odd[0]),
            f"no ({odd[1]} with `dihedral`, {odd[2]} with `pdq_inner`)",
        ),
    }
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {edit: (bits, found) for edit, bits, found in rows if edit in table} == table
    seen = {bits <= 31 for bits in (*look, *size, mirrored[1], quarter[1], cropped[2])}
    assert seen == {True}
    assert {bits > 31 for bits in (mirrored[0], quarter[0], cropped[0], *odd)} == {True}
