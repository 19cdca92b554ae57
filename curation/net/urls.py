"""URLs as the web has them, made into what may be sent: http and https, no credentials, no fragment."""

from __future__ import annotations

import ipaddress
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
# Each stands for the folder itself or the one above it, quoted or not: the server takes them away, so rules must too.
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def web_url(text: str | None, base: URL | None = None) -> URL:
    """The URL to ask for.

    An IPv4 address in any spelling that the C library takes becomes a dotted quad, `.` and `..`
    are taken out of the path; user and password are dropped, and so is the fragment.

    Args:
        text: As a source or a Location header gives it.
        base: What a relative reference is relative to; None refuses relative references.

    Raises:
        FetchFailure: No URL, or one of another scheme than http and https.
    """
    text = (text or "").strip()
    if not text.isascii():
        text = _RAW_BYTE.sub(_quoted_byte, text)
    scheme = _SCHEME.match(text)
    if scheme and scheme.group().lower() not in ("http:", "https:"):
        raise FetchFailure(FailureReason.UNSUPPORTED_SCHEME, scheme.group()[:-1].lower())
    if not text or (base is None and scheme is None):
        raise FetchFailure(FailureReason.INVALID_URL, "empty" if not text else "no scheme")
    try:
        url = URL(text, encoded=_is_sendable(text))
        url = url if base is None else base.join(url)
        return _without_dot_segments(_without_secrets(url))
    except (ValueError, IndexError) as error:  # yarl raises IndexError for brackets in strange places
        raise FetchFailure(FailureReason.INVALID_URL, _reason_text(error)) from error


def _quoted_byte(character: re.Match[str]) -> str:
    return f"%{ord(character.group()) - 0xDC00:02X}"


def _is_sendable(text: str) -> bool:
    return _SENDABLE.fullmatch(text) is not None and ("%" not in text or _STRAY_PERCENT.search(text) is None)


def _without_secrets(url: URL) -> URL:
    host = url.raw_host
    if not host:
        raise ValueError("no host")
    if url.raw_user is not None or url.raw_password is not None:
        url = url.with_user(None)
    if url.raw_fragment:
        url = url.with_fragment(None)
    plain = _plain_host(host)
    if plain != host:
        url = url.with_host(plain)
    # Brackets are for IPv6 alone.
    if ":" in plain or "[" in url.raw_authority:
        ipaddress.IPv6Address(plain)
    if url.port is None or url.port == 0:
        raise ValueError("no port")
    return url


def _without_dot_segments(url: URL) -> URL:
    """The URL with the path that browsers send. Source: URL Standard, path state, https://url.spec.whatwg.org."""
    if not _DOT_SEGMENT.search(url.raw_path):
        return url
    kept: list[str] = []
    dots = ""
    for segment in url.raw_path[1:].split("/"):
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            del kept[-1:]
        elif dots != ".":
            kept.append(segment)
    if dots in (".", ".."):
        kept.append("")
    return url.with_path("/" + "/".join(kept), encoded=True, keep_query=True)


def _plain_host(host: str) -> str:
    """The host in the one spelling by which robots.txt, limits and connections know it."""
    if host.endswith("."):
        host = host[:-1]
    if not host or "%" in host or ".." in host:
        raise ValueError("no host name")
    return canonical_ipv4(host) or host.lower()


def _reason_text(error: ValueError | IndexError) -> str:
    if isinstance(error, IndexError):
        return "misplaced brackets"
    return "not encodable" if isinstance(error, UnicodeError) else str(error)[:100]
