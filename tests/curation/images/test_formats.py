import pytest
from pictures import FORMATS, gradient, saved

from curation.images.failures import ImageFailure
from curation.images.formats import image_format
from schemas.outcomes import FailureReason


@pytest.mark.parametrize("name", FORMATS)
def test_format_is_told_by_the_bytes_when_it_is_supported(name: str):
    assert image_format(saved(gradient(9, 7), name)) == name


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", FailureReason.UNSUPPORTED_FORMAT, "svg"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg width="9">', FailureReason.UNSUPPORTED_FORMAT, "svg"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", FailureReason.UNSUPPORTED_FORMAT, "heif"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", FailureReason.UNSUPPORTED_FORMAT, "jxl"),
        (b"\0\0\x01\0\x01\0", FailureReason.UNSUPPORTED_FORMAT, "ico"),
        (b"8BPS\0\x01", FailureReason.UNSUPPORTED_FORMAT, "psd"),
        (b"P6\n3 2\n255\n", FailureReason.UNSUPPORTED_FORMAT, "netpbm"),
        (b"\n<!DOCTYPE html><html><svg/>", FailureReason.NOT_AN_IMAGE, "markup"),
        (b"  <HTML><body>", FailureReason.NOT_AN_IMAGE, "markup"),
        (b"%PDF-1.7", FailureReason.NOT_AN_IMAGE, "pdf"),
        (b' {"error": 1}', FailureReason.NOT_AN_IMAGE, "json"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", FailureReason.NOT_AN_IMAGE, "begins with 0000001866747970"),
        (b"BMW is a maker of cars", FailureReason.NOT_AN_IMAGE, "begins with 424d572069732061"),
        (b"", FailureReason.NOT_AN_IMAGE, "begins with "),
        (b"\xff", FailureReason.NOT_AN_IMAGE, "begins with ff"),
    ],
)
def test_body_is_refused_when_no_decoder_should_see_it(body: bytes, reason: FailureReason, detail: str):
    with pytest.raises(ImageFailure) as refusal:
        image_format(body)
    assert (refusal.value.reason, refusal.value.detail) == (reason, detail)
