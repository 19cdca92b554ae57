"""What img2dataset says of images that it has not got, as reasons of this project."""

from __future__ import annotations

import re

from curation.contracts.marks import Mark, failed, rejected
from curation.net.failures import failure_of_status
from schemas.outcomes import FailureReason

_DETAIL_CHARS = 200
_STATUS = re.compile(r"HTTP Error (\d{3})")

# Its downloader keeps the text of urllib's errors; the first pattern that is found counts.
_DOWNLOAD: tuple[tuple[str, FailureReason], ...] = (
    (r"infinite loop|redirect error", FailureReason.REDIRECT_LOOP),
    (r"^opted out|X-Robots-Tag", FailureReason.OPTED_OUT),
    (r"^hash mismatch", FailureReason.HASH_MISMATCH),
    (r"blocked address", FailureReason.BLOCKED_ADDRESS),
    (r"blocked port", FailureReason.BLOCKED_PORT),
    (r"Errno -3\b|Temporary failure in name resolution", FailureReason.DNS_FAILED),
    (r"Errno -[25]\b|not known|No address associated|getaddrinfo failed", FailureReason.DNS_NOT_FOUND),
    (r"label (empty|too long)|idna", FailureReason.INVALID_URL),
    (r"handshake operation timed out|<urlopen error timed out>", FailureReason.CONNECT_TIMEOUT),
    (r"Errno 110\b", FailureReason.CONNECT_TIMEOUT),
    (r"timed out", FailureReason.READ_TIMEOUT),
    (r"\bSSL\b|_ssl\.c|CERTIFICATE_VERIFY_FAILED|certificate", FailureReason.TLS_FAILED),
    (r"Errno 111\b|Connection refused", FailureReason.CONNECTION_REFUSED),
    (r"Errno 104\b|Errno 32\b|reset by peer|Remote end closed", FailureReason.CONNECTION_RESET),
    (r"IncompleteRead", FailureReason.TRUNCATED_BODY),
    (r"BadStatusLine|got more than \d+ (headers|bytes)|LineTooLong", FailureReason.HTTP_MALFORMED),
    (r"urlopen error unknown url type", FailureReason.UNSUPPORTED_SCHEME),
    (r"unknown url type|no host given|nonnumeric port|Port out of range", FailureReason.INVALID_URL),
    (r"control characters|can't encode|Invalid IPv6", FailureReason.INVALID_URL),
)
_DOWNLOAD_PATTERNS = tuple((re.compile(pattern), reason) for pattern, reason in _DOWNLOAD)

# Bounds of its own, which its user set: no failures.
_RULES = {
    "image too small": "min_side",
    "image area too large": "max_pixels",
    "aspect ratio too large": "max_aspect",
}


def reason_of_download(message: str | None) -> FailureReason:
    """The reason for which a download failed, from the text of its error."""
    text = message or ""
    status = _STATUS.search(text)
    if status and "redirect" not in text:
        return failure_of_status(int(status.group(1)))
    for pattern, reason in _DOWNLOAD_PATTERNS:
        if pattern.search(text):
            return reason
    return FailureReason.CONNECTION_FAILED


def mark_of_row(status: str | None, message: str | None) -> Mark:
    """The end of a row that img2dataset has no image of, from the columns `status` and `error_message`."""
    detail = f"img2dataset: {message or status or 'no status'}"[:_DETAIL_CHARS]
    if status == "failed_to_download":
        return failed(reason_of_download(message), detail)
    rule = _RULES.get(message or "")
    if rule is not None:
        return rejected(rule, detail)
    if status == "failed_to_resize":
        return failed(FailureReason.CORRUPT_IMAGE, detail)
    return failed(FailureReason.REFERENCE_NOT_FOUND, detail)
