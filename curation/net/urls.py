"""URLs as the web has them, made into what may be sent: http and https, no credentials, no fragment."""

from __future__ import annotations

import re

from yarl import URL

from curation.net.addresses import canonical_ipv4
from curation.net.failures import FetchFailure
from schemas.outcomes import FailureReason

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# What may stand in a URL as it is sent. Anything else is quoted; what is quoted already is left alone.
_SENDABLE = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~|]*")
# A header's bytes that are no UTF-8, as aiohttp decodes them.
_RAW_BYTE = re.compile("[\udc80-\udcff]")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def web_url(text: str | None, base: URL | None = None) -> URL:
    """The URL to ask for.

    An IPv4 address in any spelling that the C library takes becomes a dotted quad; user and
    password are dropped, and so is the fragment.

    Args:
        text: As a source or a Location header gives it.
        base: What a relative reference is relative to; None refuses relative references.

    Raises:
        FetchFailure: No URL, or one of another scheme than http and https.
    """
    text = _RAW_BYTE.sub(_quoted_byte, (text or "").strip())
    scheme = _SCHEME.match(text)
    if scheme and scheme.group().lower() not in ("http:", "https:"):
        raise FetchFailure(FailureReason.UNSUPPORTED_SCHEME, scheme.group()[:-1].lower())
    if not text or (base is None and scheme is None):
        raise FetchFailure(FailureReason.INVALID_URL, "empty" if not text else "no scheme")
    try:
        url = URL(text, encoded=_is_sendable(text))
        url = url if base is None else base.join(url)
        return _without_secrets(url)
    except ValueError as error:
        raise FetchFailure(FailureReason.INVALID_URL, _reason_text(error)) from error


def _quoted_byte(character: re.Match[str]) -> str:
    return f"%{ord(character.group()) - 0xDC00:02X}"


def _is_sendable(text: str) -> bool:
    return _SENDABLE.fullmatch(text) is not None and _STRAY_PERCENT.search(text) is None


def _without_secrets(url: URL) -> URL:
    host = url.raw_host
    if not host:
        raise ValueError("no host")
    if url.user is not None or url.password is not None:
        url = url.with_user(None)
    if url.raw_fragment:
        url = url.with_fragment(None)
    address = canonical_ipv4(host)
    if address is not None and address != host:
        url = url.with_host(address)
    if url.port is None or url.port == 0:
        raise ValueError("no port")
    return url


def _reason_text(error: ValueError) -> str:
    return "not encodable" if isinstance(error, UnicodeError) else str(error)[:100]
