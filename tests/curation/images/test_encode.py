import numpy as np
import pytest
from pictures import gradient

from curation.images.encode import TargetFormat, encode_pixels
from curation.images.failures import ImageFailure
from curation.images.headers import read_header
from curation.images.pixels import decode_pixels
from schemas.outcomes import FailureReason

PICTURE = gradient(64, 48)


@pytest.mark.parametrize(("name", "tolerance"), [("jpg", 2.0), ("png", 0.0), ("webp", 3.0)])
def test_picture_comes_back_when_it_is_encoded(name: TargetFormat, tolerance: float):
    body = encode_pixels(PICTURE, name, 95)
    header = read_header(body)
    assert (header.format, header.plain) == (name, True)
    assert np.abs(decode_pixels(body, header).astype(int) - PICTURE).mean() <= tolerance
    assert encode_pixels(PICTURE.copy(), name, 95) == body


@pytest.mark.parametrize("name", ["jpg", "png", "webp"])
def test_a_fourth_channel_changes_nothing_when_a_picture_is_encoded(name: TargetFormat):
    four = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 7, np.uint8)])
    assert encode_pixels(four, name, 95) == encode_pixels(PICTURE, name, 95)


@pytest.mark.parametrize(("name", "side"), [("webp", 16_384), ("jpg", 65_536)])
def test_encoding_fails_with_a_reason_when_a_side_is_too_long(name: TargetFormat, side: int):
    with pytest.raises(ImageFailure) as failure:
        encode_pixels(np.zeros((1, side, 3), np.uint8), name, 80)
    assert failure.value.reason is FailureReason.ENCODE_FAILED
