"""Files that are no picture in the end: cut off, damaged, or far too many pixels."""

import io
import struct
import zlib
from functools import cache

from PIL import Image as Pictures

from jobs.sandbox.draw import Image
from jobs.sandbox.formats import jpeg, png, webp, webp_lossless
from jobs.sandbox.seeded import Draws

BOMB_SIDE_PX = 30_000

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ADLER_MODULUS = 65_521
_DHT, _SOF0, _SOS = 0xC4, 0xC0, 0xDA


def truncated(image: Image, draws: Draws) -> bytes:
    """Returns the first 40 to 80 % of a JPEG, PNG or WebP file of a picture."""
    form = draws.below(3)
    body = jpeg(image, 85) if form == 0 else png(image) if form == 1 else webp(image, 80)
    return body[: round(len(body) * draws.between(0.4, 0.8))]


def corrupt(image: Image, draws: Draws) -> bytes:
    """Returns a whole JPEG, PNG or WebP file whose header is right and whose pixels cannot be decoded."""
    damage = draws.pick((_jpeg_with_bad_tables, _jpeg_with_bad_frame, _png_with_bad_stream, _webp_with_bad_stream))
    return damage(image, draws)


@cache
def pixel_bomb() -> bytes:
    """Returns a valid PNG of 30,000 x 30,000 black pixels, one bit each, in about 110 kB."""
    row = 1 + BOMB_SIDE_PX // 8
    rows_per_block = 500
    blocks = BOMB_SIDE_PX // rows_per_block
    # A fully flushed block does not depend on what came before it, so it can be repeated.
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(row * rows_per_block)) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = BOMB_SIDE_PX * row
    adler = ((zeros % _ADLER_MODULUS) << 16) | 1
    stream = b"\x78\xda" + block * blocks + b"\x03\x00" + adler.to_bytes(4, "big")
    header = struct.pack(">IIBBBBB", BOMB_SIDE_PX, BOMB_SIDE_PX, 1, 0, 0, 0, 0)
    return _PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def _noise(draws: Draws, size: int) -> bytes:
    return bytes(draws.below(256) for _ in range(size))


def _segments(body: bytes | bytearray) -> dict[int, int]:
    """Returns the offset of the first JPEG segment of each kind, up to the scan."""
    found: dict[int, int] = {}
    at = 2
    while at < len(body):
        marker, length = body[at + 1], int.from_bytes(body[at + 2 : at + 4], "big")
        found.setdefault(marker, at)
        if marker == _SOS:
            break
        at += 2 + length
    return found


def _jpeg_with_bad_tables(image: Image, draws: Draws) -> bytes:
    body = bytearray(jpeg(image, 85))
    counts = _segments(body)[_DHT] + 5
    # More codes of one to four bits than there can be.
    body[counts : counts + 4] = b"\xff\xff\xff\xff"
    return bytes(body)


def _jpeg_with_bad_frame(image: Image, draws: Draws) -> bytes:
    body = bytearray(jpeg(image, 85))
    sampling = _segments(body)[_SOF0] + 11
    # No component may be sampled 0 times.
    body[sampling] = 0
    return bytes(body)


def _png_with_bad_stream(image: Image, draws: Draws) -> bytes:
    body = png(image)
    at = len(_PNG_SIGNATURE)
    out = [_PNG_SIGNATURE]
    while at < len(body):
        length, name = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8]
        data = body[at + 8 : at + 8 + length]
        if name == b"IDAT":
            start, size = length // 4, min(length // 2, 512)
            data = data[:start] + _noise(draws, size) + data[start + size :]
        out.append(_chunk(name, data))
        at += 12 + length
    return b"".join(out)


def _webp_with_bad_stream(image: Image, draws: Draws) -> bytes:
    body = webp_lossless(image)
    # RIFF header 12, chunk header 8, then a signature byte and 4 bytes of width, height and version.
    header, size = body[:25], len(body) - 25
    while True:
        damaged = header + _noise(draws, 256) + body[25 + 256 :]
        if size > 256 and not _decodes(damaged):
            return damaged


def _decodes(body: bytes) -> bool:
    # Random bits are a valid stream once in a while.
    try:
        with Pictures.open(io.BytesIO(body)) as picture:
            picture.load()
    except OSError:
        return False
    return True
