"""What can become of a row: the outcome, and the closed list of reasons for which a row fails."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """Every input row has exactly one of these in the ledger."""

    KEPT = "kept"
    REJECTED = "rejected"
    FAILED = "failed"


class FailureReason(StrEnum):
    """Why a row could not be measured. A rejection is no failure: its reason is the rule's name."""

    # The row itself.
    INVALID_URL = "invalid_url"
    UNSUPPORTED_SCHEME = "unsupported_scheme"
    INVALID_DIGEST = "invalid_digest"
    # Reaching the host.
    BLOCKED_ADDRESS = "blocked_address"
    BLOCKED_PORT = "blocked_port"
    DNS_NOT_FOUND = "dns_not_found"
    DNS_FAILED = "dns_failed"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    HOST_DOWN = "host_down"
    # The response.
    READ_TIMEOUT = "read_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    HTTP_UNAUTHORIZED = "http_unauthorized"
    HTTP_FORBIDDEN = "http_forbidden"
    HTTP_NOT_FOUND = "http_not_found"
    HTTP_GONE = "http_gone"
    HTTP_TOO_MANY_REQUESTS = "http_too_many_requests"
    HTTP_CLIENT_ERROR = "http_client_error"
    HTTP_SERVER_ERROR = "http_server_error"
    HTTP_UNEXPECTED_STATUS = "http_unexpected_status"
    HTTP_MALFORMED = "http_malformed"
    REDIRECT_LOOP = "redirect_loop"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    BODY_TOO_LARGE = "body_too_large"
    EMPTY_BODY = "empty_body"
    TRUNCATED_BODY = "truncated_body"
    BAD_CONTENT_ENCODING = "bad_content_encoding"
    HASH_MISMATCH = "hash_mismatch"
    # References that are no web addresses: files, object stores, hubs.
    REFERENCE_NOT_FOUND = "reference_not_found"
    REFERENCE_DENIED = "reference_denied"
    REFERENCE_FAILED = "reference_failed"
    # What the site's owner asks for.
    ROBOTS_DISALLOWED = "robots_disallowed"
    OPTED_OUT = "opted_out"
    # The bytes.
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    TRUNCATED_IMAGE = "truncated_image"
    CORRUPT_IMAGE = "corrupt_image"
    ENCODE_FAILED = "encode_failed"
    DECODER_CRASH = "decoder_crash"
    # The models.
    NON_FINITE_SCORE = "non_finite_score"
    EMPTY_GENERATION = "empty_generation"
    # The engine.
    DEADLINE = "deadline"
    QUARANTINED = "quarantined"


TEMPORARY = frozenset(
    {
        FailureReason.DNS_FAILED,
        FailureReason.CONNECTION_REFUSED,
        FailureReason.CONNECTION_RESET,
        FailureReason.CONNECTION_FAILED,
        FailureReason.CONNECT_TIMEOUT,
        FailureReason.HOST_DOWN,
        FailureReason.READ_TIMEOUT,
        FailureReason.TOTAL_TIMEOUT,
        FailureReason.HTTP_TOO_MANY_REQUESTS,
        FailureReason.HTTP_SERVER_ERROR,
        FailureReason.TRUNCATED_BODY,
        FailureReason.REFERENCE_FAILED,
        FailureReason.DEADLINE,
    }
)
"""Failures that say nothing of the row but that it could not be reached just now."""
