"""The registrable domain of a host: the part of its name that somebody has bought, and that stands for an owner."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=1)
def _public_suffixes() -> PublicSuffixList:
    # The list that comes with the package, as of its release: nothing is downloaded.
    return PublicSuffixList(accept_unknown=True)


@lru_cache(maxsize=65_536)
def registrable_domain(host: str) -> str:
    """`example.co.uk` for `img.example.co.uk`; the host itself where it is an address or a public suffix.

    Args:
        host: In lower case, without a port, names in their ASCII form.

    Source: https://publicsuffix.org/list/, private suffixes (`github.io`) included.
    """
    name = host.rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return _public_suffixes().privatesuffix(name) or name
    return name
