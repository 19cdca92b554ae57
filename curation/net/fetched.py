"""The record of a fetch: the body or the failure, and what the last response said of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.outcomes import FailureReason


@dataclass(slots=True)
class Timing:
    """Seconds that the last request spent in each phase; None for a phase that it did not come through.

    Attributes:
        dns: Name resolution, 0 for a name that was known, an address, or a connection that was open already.
        connect: Connecting and the TLS handshake, 0 on a connection that was open already.
        first_byte: From the request to the end of the response's headers.
        body: From there to the last byte.
    """

    dns: float | None = None
    connect: float | None = None
    first_byte: float | None = None
    body: float | None = None


@dataclass(frozen=True, slots=True)
class Validators:
    """What an earlier response said of the version of its body.

    Attributes:
        url: Of that response, after redirects: only this very URL is asked whether it has changed.
    """

    url: str
    etag: str | None = None
    last_modified: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a conditional request (RFC 9110, section 13.1)."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value is not None}


@dataclass(slots=True)
class Fetched:
    """What became of a URL: a body or a failure, and the last response there was, if any.

    Attributes:
        redirect_chain: URLs that were asked for before `final_url`, in order.
        etag: As sent; None too where it is longer than anybody needs it to be.
        unchanged: The server said that the body is the one that is known already.
        attempts: Requests for the row as such, redirects within one not counted.
        seconds: From the first attempt to the last byte, waits between attempts included.
    """

    body: bytes | None = None
    reason: FailureReason | None = None
    detail: str | None = None
    status: int | None = None
    final_url: str | None = None
    redirect_chain: list[str] = field(default_factory=list)
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    unchanged: bool = False
    attempts: int = 0
    seconds: float = 0.0
    timing: Timing = field(default_factory=Timing)

    @property
    def redirects(self) -> int | None:
        """Redirects followed, None when no response came."""
        return None if self.status is None else len(self.redirect_chain)

    def forget_response(self) -> None:
        """No response counts: none came, or how much of it came was a matter of chance."""
        self.status = self.final_url = self.content_type = self.etag = self.last_modified = None
        self.redirect_chain = []
        self.unchanged = False
