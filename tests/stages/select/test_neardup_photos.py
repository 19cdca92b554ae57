"""Which edits of real photos `fingerprint` and `deduplicate` see as copies, and which they cannot see."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from stages.catalogue import CATALOGUE

_DATA = Path(__file__).parents[4] / "shared" / "data"


def _kept(folder: Path, **perceptual: object) -> set[str]:
    """Names of the files that remain, of which the largest comes first."""
    if not folder.is_dir():
        pytest.skip(f"no photos in {folder}")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    bodies = [path.read_bytes() for path in files]
    step = CATALOGUE.stages["fingerprint"]
    stage = step(step.Config(inner_hash=True, dihedral=True))
    hashed = stage.process(pa.table({"image": pa.array(bodies, pa.large_binary())})).drop_columns("image")
    frame = pl.DataFrame(pl.from_arrow(hashed)).with_columns(
        row=pl.int_range(len(files), dtype=pl.Int64), key=pl.Series([path.name for path in files])
    )
    exchange = CATALOGUE.exchanges["deduplicate"]
    settings = {"exact": False, "prefer": (), "perceptual": perceptual}
    made = exchange(exchange.Config.model_validate(settings, strict=False))
    verdicts = made.decide(frame.select("row", "key", *made.spec.requires).lazy()).collect()
    return {files[row].name for row in verdicts.filter(pl.col("reason").is_null())["row"]}


def test_every_edit_of_a_photo_is_a_copy_when_it_is_blurred_sharpened_recoloured_or_resized() -> None:
    assert _kept(_DATA / "neardup_pdq" / "bridge-mods") == {"aaa-orig.jpg"}


def test_only_flips_and_quarter_turns_are_found_when_asked_for() -> None:
    folder = _DATA / "neardup_ukbench" / "mixed_images"
    # The file that cannot be decoded has no hash. A turn by anything but quarters is not seen by PDQ.
    others = {"ukbench00120_rotation.jpg", "ukbench09268.jpg", "ukbench09268_corrupt.jpg"}
    assert _kept(folder) == {"ukbench00120.jpg", "ukbench00120_hflip.jpg", *others}
    assert _kept(folder, variants=["pdq_inner"]) == {"ukbench00120.jpg", "ukbench00120_hflip.jpg", *others}
    assert _kept(folder, variants=["dihedral"]) == {"ukbench00120.jpg", *others}


def test_different_photos_are_no_copies_when_all_variants_are_compared() -> None:
    assert len(_kept(_DATA / "neardup_ukbench" / "base_images", variants=["dihedral", "pdq_inner"])) == 10


def test_formats_of_one_photo_are_copies() -> None:
    assert _kept(_DATA / "neardup_ukbench" / "formats_images") == {"ukbench09380.jpeg"}
