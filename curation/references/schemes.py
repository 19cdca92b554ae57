"""Which schemes references may have, and what must be installed for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import fsspec

from curation.errors import RecipeError
from curation.recipe.mistakes import did_you_mean

WEB = frozenset({"http", "https"})
"""Read by the HTTP client alone: what fsspec does with them knows no manners and no blocked addresses."""

_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_WRAPPERS = frozenset(
    {
        *("async_wrapper", "asynclocal", "asyncwrapper", "blockcache", "cached", "dask", "dir", "filecache", "generic"),
        *("libarchive", "reference", "simplecache", "tar", "zip"),
    }
)


def scheme_of(text: str | None) -> str | None:
    """The scheme of a URL in lower case, None where it has none."""
    match = _SCHEME.match(text or "")
    return match.group(1).lower() if match else None


def require_scheme(scheme: str) -> None:
    """Raises ValueError for a scheme that no reference can have, saying why."""
    if scheme in WEB or scheme in ("data", "file"):
        return
    if scheme == "local":
        raise ValueError("local: say `file`")
    if scheme in _WRAPPERS:
        raise ValueError(f"{scheme}: reads through other file systems, which the list would choose; name those")
    known = [name for name in fsspec.available_protocols() if name not in _WRAPPERS and name != "local"]
    if scheme not in known:
        raise ValueError(f"{scheme}: fsspec knows no such scheme{did_you_mean(scheme, known)}")


def require_installed(scheme: str) -> None:
    """Raises RecipeError where the package that reads a scheme is missing, naming it."""
    if scheme in WEB or scheme in ("data", "file"):
        return
    try:
        fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        raise RecipeError(f"{scheme}: {error}; {_remedy(scheme)}") from error


_PACKAGES: Mapping[str, str] = {
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("abfs", "az", "adl"), "adlfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    "hf": "huggingface_hub",
    "smb": "smbprotocol",
}


def _remedy(scheme: str) -> str:
    package = _PACKAGES.get(scheme)
    install = f"`pip install {package}`" if package else "install its package"
    return f"{install} on every machine, or take {scheme} out of `allow_schemes`"
