"""What a removal notes of URLs and domains: salted hashes, by which they are known again and cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from yarl import URL

from curation.net.failures import FetchFailure
from curation.net.urls import web_url

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Salted:
    """Hashes of one folder. Its salt keeps them from being compared with ready tables, and with other folders'."""

    salt: str

    def hash(self, text: str) -> str:
        """32 hexadecimal digits."""
        data = text.encode("utf-8", "surrogatepass")
        return blake2b(data, digest_size=_DIGEST_BYTES, key=bytes.fromhex(self.salt)).hexdigest()


def url_host(url: str) -> str:
    """The host that is asked for a web address, in its one spelling; empty for everything else."""
    try:
        return _host(web_url(url))
    except FetchFailure:
        return ""


def _host(sent: URL) -> str:
    # Whether a name server takes white space around a name is not for a takedown to guess.
    return (sent.raw_host or "").strip()


def url_form(url: str) -> str:
    """One text for all spellings of a URL: http and https, quoted or not, with or without a fragment."""
    try:
        sent = web_url(url)
        # Unlike `web_url`, which sends a URL as it was found, this resolves quoting that is not needed.
        plain = URL(str(sent))
    except (FetchFailure, ValueError):
        return url.strip()
    port = "" if plain.is_default_port() else f":{plain.explicit_port}"
    return f"{_host(plain)}{port}{plain.raw_path_qs}"


def parent_domains(host: str) -> Iterator[str]:
    """The host and every domain above it."""
    labels = host.split(".")
    for start in range(len(labels)):
        yield ".".join(labels[start:])
