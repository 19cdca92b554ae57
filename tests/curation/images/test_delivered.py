import io

import numpy as np
import pytest
from PIL import Image

from curation.images.delivered import UnreadableImageError, open_delivered


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(mode="RGB"):
    rough = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return rough.resize((61, 47), Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"quality": 90}),
        ("RGB", "JPEG", {"quality": 75, "subsampling": 0, "progressive": True}),
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {}),
        ("P", "PNG", {}),
        ("RGB", "WEBP", {"lossless": True}),
    ],
)
def test_pixels_are_pillow_s_when_opened(mode, kind, options):
    data = encoded(gradient(mode), kind, **options)
    opened = open_delivered(data)
    assert opened.mode == "RGB"
    assert np.array_equal(np.asarray(opened), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("cut", [0, 1, 3, 10, 200])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_cut_off_bytes_are_told(kind, cut):
    with pytest.raises(UnreadableImageError):
        open_delivered(encoded(gradient(), kind)[:cut])


def test_no_bytes_are_told():
    with pytest.raises(UnreadableImageError):
        open_delivered(None)
