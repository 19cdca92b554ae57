import cv2
import numpy as np
import pytest
import simplejpeg
from pictures import gradient, png_of_size, saved
from PIL import Image

from curation.images.failures import ImageFailure
from curation.images.headers import read_header
from curation.images.pixels import Pixels, decode_pixels
from schemas.outcomes import FailureReason

PICTURE = gradient(64, 48)


def _decode(body: bytes, least_size: tuple[int, int] | None = None) -> Pixels:
    pixels = decode_pixels(body, read_header(body), least_size)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    return pixels


def _error(found: Pixels, expected: Pixels) -> float:
    assert found.shape == expected.shape
    return float(np.abs(found.astype(int) - expected).mean())


@pytest.mark.parametrize("name", ["png", "bmp", "tiff"])
def test_pixels_are_exact_when_the_format_is_lossless(name: str):
    assert np.array_equal(_decode(saved(PICTURE, name)), PICTURE)


@pytest.mark.parametrize("name", ["jpg", "webp", "avif"])
def test_pixels_are_close_when_the_format_is_lossy(name: str):
    assert _error(_decode(saved(PICTURE, name, quality=95)), PICTURE) < 2


@pytest.mark.parametrize("name", ["png", "jpg", "tiff", "bmp"])
def test_gray_becomes_three_equal_channels(name: str):
    pixels = _decode(saved(PICTURE[..., 0], name))
    assert pixels.shape == (48, 64, 3)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    assert _error(pixels[..., 0], PICTURE[..., 0]) < 1


def test_jpeg_is_decoded_smaller_when_that_suffices():
    body = saved(gradient(640, 480), "jpg", quality=95)
    assert _decode(body, (150, 100)).shape == (120, 160, 3)
    assert _decode(body, (641, 481)).shape == (480, 640, 3)
    assert _error(_decode(body, (160, 120)), gradient(160, 120)) < 2


def test_colours_are_the_same_when_a_jpeg_is_decoded_with_a_spare_channel():
    body = saved(gradient(640, 480), "jpg", quality=95)
    header = read_header(body)
    four = decode_pixels(body, header, (150, 100), spare_channel=True)
    assert four.shape == (120, 160, 4)
    assert np.array_equal(four[..., :3], decode_pixels(body, header, (150, 100)))


@pytest.mark.parametrize("model", ["CMYK", "YCCK"])
def test_cmyk_is_converted_when_a_jpeg_has_four_channels(model: str):
    inks = Image.fromarray(PICTURE).convert("CMYK")
    body = saved(inks, "jpg", quality=95)
    if model == "YCCK":
        body = _as_ycck(inks)
    assert _error(_decode(body), PICTURE) < 3


def _as_ycck(inks: Image.Image) -> bytes:
    """The same inks with their colours as luma and chroma, which Adobe's marker tells, by transform 2."""
    layers = np.asarray(inks)
    chroma = Image.fromarray(np.ascontiguousarray(layers[..., :3])).convert("YCbCr")
    stored = np.dstack([255 - np.asarray(chroma), layers[..., 3]])  # Pillow inverts what it writes
    body = saved(Image.frombytes("CMYK", inks.size, stored.tobytes()), "jpg", quality=95)
    at = body.index(b"Adobe") + 11
    return body[:at] + b"\x02" + body[at + 1 :]


def test_sixteen_bits_are_rounded_to_eight_not_cut_off():
    values = np.array([[0, 127, 128, 129, 256, 257, 32_768, 65_406, 65_407, 65_535]], np.uint16)
    expected = [0, 0, 0, 1, 1, 1, 128, 254, 255, 255]  # v / 257, to the nearest
    gray = cv2.imencode(".png", values)[1].tobytes()
    colour = cv2.imencode(".png", np.dstack([values, values // 2, values]))[1].tobytes()
    assert _decode(gray)[0, :, 1].tolist() == expected
    assert _decode(colour)[0, :, 0].tolist() == expected
    assert _decode(saved(Image.fromarray(values), "tiff"))[0, :, 0].tolist() == expected


def test_channels_keep_their_order_when_a_png_has_sixteen_bits():
    deep = PICTURE.astype(np.uint16)[..., ::-1] * 257
    assert np.array_equal(_decode(cv2.imencode(".png", deep)[1].tobytes()), PICTURE)


def test_transparency_is_composited_on_white():
    layers = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], np.uint8)
    expected = [[200, 100, 0], [255, 255, 255], [244, 224, 204]]  # the last: 255 - (255 - v) / 5
    deep = cv2.imencode(".png", layers[..., [2, 1, 0, 3]].astype(np.uint16) * 257)[1].tobytes()
    assert _decode(saved(Image.fromarray(layers), "png"))[0].tolist() == expected
    assert _decode(deep)[0].tolist() == expected
    webp = saved(Image.fromarray(layers), "webp", lossless=True, exact=True)
    assert _decode(webp)[0].tolist() == expected


def test_palette_and_its_transparency_are_resolved():
    picture = Image.new("P", (3, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.putdata([0, 1, 2])
    assert _decode(saved(picture, "png"))[0].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    assert _decode(saved(picture, "png", transparency=1))[0].tolist() == [[10, 20, 30], [255] * 3, [70, 80, 90]]
    assert _decode(saved(picture, "gif", transparency=1))[0].tolist() == [[10, 20, 30], [255] * 3, [70, 80, 90]]


@pytest.mark.parametrize("name", ["gif", "webp", "png"])
def test_first_frame_is_taken_when_the_image_is_animated(name: str):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    options = {"lossless": True} if name == "webp" else {}
    body = saved(frames[0], name, save_all=True, append_images=frames[1:], duration=90, **options)
    assert _decode(body)[8, 8].tolist() == [250, 0, 0]


def test_jpeg_is_damaged_when_its_scan_is_not_what_its_header_says():
    body = saved(gradient(200, 200), "jpg", quality=90)
    scan = body.index(b"\xff\xda") + 14
    hole = body[: scan + 400] + body[scan + 900 :]
    cut = body[: scan + 900] + b"\xff\xd9"
    reasons = []
    for damaged in (hole, cut):
        with pytest.raises(ImageFailure) as failure:
            _decode(damaged)
        reasons.append(failure.value.reason)
    assert reasons == [FailureReason.CORRUPT_IMAGE, FailureReason.CORRUPT_IMAGE]


def test_jpeg_is_accepted_when_an_encoder_was_only_odd():
    body = bytearray(simplejpeg.encode_jpeg(PICTURE))
    scan = body.index(b"\xff\xda")
    body[scan + 12] = 1  # "spectral selection ends at 1", which a baseline decoder remarks on and ignores
    assert _error(_decode(bytes(body)), PICTURE) < 6


def _damaged(name: str) -> bytes:
    """A file whose header and length are right and whose pixels are not."""
    body = saved(PICTURE, name)
    if name == "png":
        return png_of_size(64, 48)
    if name == "bmp":
        return body[:-700]
    if name == "gif":
        at = body.index(b"\x2c\0\0\0\0") + 10
        return body[:at] + b"\x0c\x02\x00\x00\x00;"
    if name == "webp":
        data = body[20 : 20 + (len(body) - 20) // 4 * 2]
        return b"RIFF" + (len(data) + 12).to_bytes(4, "little") + b"WEBPVP8 " + len(data).to_bytes(4, "little") + data
    middle = len(body) // 2
    return body[:middle] + bytes(len(body) - middle)


@pytest.mark.parametrize("name", ["png", "gif", "webp", "avif", "bmp"])
def test_pixels_are_damaged_when_only_they_are(name: str):
    with pytest.raises(ImageFailure) as failure:
        _decode(_damaged(name))
    assert failure.value.reason in (FailureReason.CORRUPT_IMAGE, FailureReason.TRUNCATED_IMAGE)
