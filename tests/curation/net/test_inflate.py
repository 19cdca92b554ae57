import gzip
import tracemalloc
import zlib

import brotli
import pytest
from pictures import gradient, saved

from curation.net.failures import FetchFailure
from curation.net.inflate import BodyReader, zstd
from schemas.outcomes import FailureReason as Reason

BODY = bytes(range(256)) * 40
CAP = 20_000


def _deflate(data: bytes) -> bytes:
    raw = zlib.compressobj(wbits=-15)
    return raw.compress(data) + raw.flush()


ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstd.compress}


def _read(encodings: str, data: bytes, step: int = 1 << 16, cap: int = CAP) -> bytes:
    reader = BodyReader(encodings, cap)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
    return reader.finish()


def _reason(encodings: str, data: bytes, **options: int) -> Reason:
    with pytest.raises(FetchFailure) as refusal:
        _read(encodings, data, **options)
    return refusal.value.reason


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
@pytest.mark.parametrize("name", ENCODERS)
def test_body_is_what_was_compressed_when_it_comes_in_pieces(name: str, step: int):
    assert _read(name, ENCODERS[name](BODY), step) == BODY


@pytest.mark.parametrize(
    ("encodings", "data"),
    [
        ("", BODY),
        ("identity", BODY),
        ("X-GZIP", gzip.compress(BODY)),
        ("deflate", _deflate(BODY)),
        ("gzip", gzip.compress(BODY[:999]) + gzip.compress(BODY[999:])),
        ("gzip", gzip.compress(BODY) + bytes(512)),
        ("zstd", zstd.compress(BODY[:999]) + zstd.compress(BODY[999:])),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY))),
        ("gzip,identity , br", brotli.compress(gzip.compress(BODY))),
        ("deflate, br, zstd", zstd.compress(brotli.compress(zlib.compress(BODY)))),
        ("gzip", b""),
    ],
)
def test_body_is_whole_when_it_is_encoded_in_any_way_that_is_allowed(encodings: str, data: bytes):
    for step in (5, 1 << 16):
        assert _read(encodings, data, step) == (BODY if data else b"")


@pytest.mark.parametrize("name", ENCODERS)
def test_cap_holds_to_the_byte_when_a_body_is_inflated(name: str):
    data = ENCODERS[name](BODY)
    assert _read(name, data, cap=len(BODY)) == BODY
    assert _reason(name, data, cap=len(BODY) - 1) is Reason.BODY_TOO_LARGE


@pytest.mark.parametrize("name", ENCODERS)
def test_cap_holds_as_sent_when_what_is_compressed_is_longer_than_what_comes_out(name: str):
    assert _reason("", BODY, cap=len(BODY) - 1) is Reason.BODY_TOO_LARGE
    small = ENCODERS[name](b"abc")
    assert _reason(name, small, cap=len(small) - 1) is Reason.BODY_TOO_LARGE


def _peak_of(encodings: str, bomb: bytes) -> int:
    tracemalloc.start()
    try:
        assert _reason(encodings, bomb, cap=1_000_000) is Reason.BODY_TOO_LARGE
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encodings", [*ENCODERS, "gzip, gzip", "zstd, gzip", "br, br", "gzip, zstd, br"])
def test_bomb_is_noticed_while_it_is_small_when_it_goes_off(encodings: str):
    bomb = bytes(60_000_000)
    for name in encodings.split(", "):
        bomb = brotli.compress(bomb, quality=4) if name == "br" else ENCODERS[name](bomb)
    assert len(bomb) < 1_000_000
    assert _peak_of(encodings, bomb) < 12_000_000


@pytest.mark.parametrize("name", ENCODERS)
def test_body_is_truncated_when_the_stream_has_no_end(name: str):
    data = ENCODERS[name](BODY)
    for length in (1, len(data) // 2, len(data) - 1):
        assert _reason(name, data[:length]) is Reason.TRUNCATED_BODY


@pytest.mark.parametrize("name", ENCODERS)
def test_encoding_is_bad_when_the_body_is_not_what_the_header_says(name: str):
    damaged = bytearray(ENCODERS[name](BODY))
    damaged[0] ^= 0xFF
    assert _reason(name, bytes(damaged) + BODY) is Reason.BAD_CONTENT_ENCODING


_NOT_UNDONE = ["compress", "gzip, dcz", "exi", "x-compress;q=1", "bzip2", "x-bzip2", "lzma", "xz", "snappy", "lz4"]


@pytest.mark.parametrize("encodings", [*_NOT_UNDONE, "gzip, gzip, gzip, gzip"])
def test_encoding_is_refused_when_it_cannot_be_undone_or_is_too_deep(encodings: str):
    assert _reason(encodings, BODY) is Reason.BAD_CONTENT_ENCODING
    assert _reason(encodings, BODY, step=1) is Reason.BAD_CONTENT_ENCODING


@pytest.mark.parametrize("encodings", [*_NOT_UNDONE, *ENCODERS])
def test_nothing_is_nothing_when_it_is_said_to_be_encoded(encodings: str):
    assert _read(encodings, b"") == b""


@pytest.mark.parametrize(
    "name", ["aws-chunked", "utf-8", "none", "binary", "image/jpeg", "8bit", "chunked", "\udcff", "*"]
)
def test_name_stands_for_nothing_when_it_is_no_encodings(name: str):
    assert _read(name, BODY) == BODY
    assert _read(f"gzip,{name}", gzip.compress(BODY)) == BODY
    assert _read(f"{name} , br;q=1", brotli.compress(BODY)) == BODY
    assert _reason(name, BODY, cap=len(BODY) - 1) is Reason.BODY_TOO_LARGE


PICTURES = {kind: saved(gradient(50, 40), kind) for kind in ("jpg", "png", "gif", "webp", "bmp", "tiff", "avif")}


@pytest.mark.parametrize("encodings", [*ENCODERS, "gzip, gzip", "compress", "bzip2", "br, utf-8"])
@pytest.mark.parametrize("kind", PICTURES)
def test_image_is_kept_as_it_came_when_it_is_not_encoded_as_the_header_says(kind: str, encodings: str):
    for step in (1, 63, 64, 1 << 16):
        assert _read(encodings, PICTURES[kind], step) == PICTURES[kind]
    assert _reason(encodings, PICTURES[kind], cap=len(PICTURES[kind]) - 1) is Reason.BODY_TOO_LARGE
    assert _reason(encodings, PICTURES[kind], cap=1) is Reason.BODY_TOO_LARGE
    # Shorter than what is looked at, and all the same told by its first bytes.
    assert _read(encodings, PICTURES[kind][:40]) == PICTURES[kind][:40]


@pytest.mark.parametrize("name", ENCODERS)
def test_image_is_undone_when_it_is_encoded_as_the_header_says(name: str):
    for picture in PICTURES.values():
        assert _read(name, ENCODERS[name](picture)) == picture
        twice = ENCODERS[name](ENCODERS[name](picture))
        assert _read(f"{name}, {name}", twice) == picture


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_encoding_is_bad_when_a_few_bytes_hold_very_many_streams(name: str):
    encode = ENCODERS[name]
    assert _read(name, encode(b"a") * 64) == b"a" * 64
    assert _reason(name, encode(b"a") * 65) is Reason.BAD_CONTENT_ENCODING
    wire = encode(encode(encode(b"") * 100_000))
    with pytest.raises(FetchFailure, match="64 streams"):
        _read(f"{name}, {name}, {name}", wire, cap=50_000_000)


def test_evidence_can_be_stored_when_the_header_is_no_text():
    with pytest.raises(FetchFailure) as refusal:
        _read("gzip, \udcff", BODY)
    assert refusal.value.detail == "gzip, ?"


def test_zstd_window_is_capped_when_a_frame_asks_for_more_memory_than_rfc_9659_allows():
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.enable_long_distance_matching: 1}
    compressor = zstd.ZstdCompressor(options=options)
    frame = compressor.compress(bytes(1000)) + compressor.flush()
    assert _reason("zstd", frame) is Reason.BAD_CONTENT_ENCODING
