"""One spelling for each URL, so that addresses can be compared as text."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import polars as pl
from yarl import URL

from curation.net.failures import FetchFailure
from curation.net.urls import web_url

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SEGMENT = r"(?:[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*)"
# No port, no percent sign, no dot segment, and a host that is no number. Nine of ten URLs of the web are like this.
_NORMAL = (
    rf"^https?://(?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*/(?:{_SEGMENT}?/)*{_SEGMENT}?"
    r"(?:\?[A-Za-z0-9._~!$&'()*,;=:@/?-]+)?$"
)


def normal_urls(urls: pl.Series, drop_parameters: Sequence[str] = (), sort_parameters: bool = False) -> pl.Series:
    """URLs in the spelling of `normal_url`.

    Args:
        urls: (n,) String; null stays null.
        drop_parameters: As of `normal_url`.
        sort_parameters: As of `normal_url`.

    Returns:
        (n,) String.
    """
    normal = urls.str.contains(_NORMAL)
    if drop_parameters or sort_parameters:
        normal &= ~urls.str.contains("?", literal=True)
    others = (~normal).fill_null(False).arg_true()
    if others.is_empty():
        return urls
    spelled = [normal_url(url, drop_parameters, sort_parameters) for url in urls.gather(others).to_list()]
    return urls.clone().scatter(others, spelled)


def normal_url(text: str, drop_parameters: Sequence[str] = (), sort_parameters: bool = False) -> str:
    """The URL as it is compared: what differs without making another address is made the same.

    Scheme and host are in lower case and the host in its plain spelling, without the scheme's own port, user, password
    and fragment; dot segments are resolved; what needs no percent sign has none, and digits after one are in upper
    case; an empty path is `/`. What is no web URL is left as it is, without white space at either end.

    Args:
        text: An absolute URL.
        drop_parameters: Names of query parameters that say nothing about the picture, `*` for any characters, as
            `utm_*`.
        sort_parameters: Whether the order of the parameters says nothing.

    Source: RFC 3986, section 6.2.
    """
    try:
        # What may be sent already is not touched by `web_url`; the second parse spells percent signs in one way.
        url = URL(str(web_url(text)))
        if url.explicit_port == _DEFAULT_PORTS[url.scheme]:
            url = url.with_port(None)
    except (FetchFailure, ValueError):
        return text.strip()
    base, _, query = str(url).partition("?")
    if base.count("/") == len("//"):
        base += "/"
    if not query:
        return base
    parameters = [each for each in query.split("&") if not _is_dropped(each, drop_parameters)]
    kept = "&".join(sorted(parameters) if sort_parameters else parameters)
    return f"{base}?{kept}" if kept else base


def _is_dropped(parameter: str, patterns: Sequence[str]) -> bool:
    name = parameter.partition("=")[0]
    return any(fnmatchcase(name, pattern) for pattern in patterns)
