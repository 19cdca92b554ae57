"""`data:` URLs, which hold what they name."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason

_DEFAULT_TYPE = "text/plain;charset=US-ASCII"
_BASE64 = re.compile(r";\s*base64\s*$", re.IGNORECASE)
_WHITE_SPACE = b" \t\n\f\r"
_MAX_ESCAPE = 3
"""Characters that a byte takes at most: `%41`."""


def read_data_url(text: str, max_bytes: int) -> tuple[bytes, str]:
    """The bytes and the media type of a `data:` URL.

    Read as browsers do: white space and missing padding of Base64 are forgiven, a fragment is none of the data.

    Raises:
        FetchFailure: Not a `data:` URL, not the Base64 it says it is, or more than `max_bytes`.

    Source: RFC 2397, and for what is forgiven the WHATWG's Fetch ("data: URL processor") and Infra
        ("forgiving-base64 decode").
    """
    head, comma, rest = text.partition(":")[2].partition("#")[0].partition(",")
    if not comma:
        raise FetchFailure(FailureReason.INVALID_URL, "data: without a comma")
    is_base64 = _BASE64.search(head)
    media_type = (head[: is_base64.start()] if is_base64 else head).strip()
    if not media_type or media_type.startswith(";"):
        media_type = f"text/plain{media_type}" if media_type else _DEFAULT_TYPE
    # What is too long in any case is not even decoded.
    if len(rest) > _MAX_ESCAPE * (max_bytes + 2) * (4 if is_base64 else 3) // 3:
        raise _too_large(max_bytes)
    data = unquote_to_bytes(rest) if "%" in rest or not rest.isascii() else rest.encode("ascii")
    if is_base64:
        data = _decoded(data, max_bytes)
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data, media_type


def _decoded(data: bytes, max_bytes: int) -> bytes:
    data = data.translate(None, _WHITE_SPACE)
    if len(data) % 4 == 0:
        data = data.removesuffix(b"==") if data.endswith(b"==") else data.removesuffix(b"=")
    if len(data) * 3 // 4 > max_bytes:
        raise _too_large(max_bytes)
    try:
        if b"=" in data:
            raise binascii.Error("more padding than there can be")
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except binascii.Error as error:
        raise FetchFailure(FailureReason.INVALID_URL, "data: not the Base64 that it says it is") from error


def _too_large(max_bytes: int) -> FetchFailure:
    return FetchFailure(FailureReason.BODY_TOO_LARGE, f"data: above {max_bytes} bytes")
