import pytest

from stages.fetch.img2dataset_errors import mark_of_row, reason_of_download

# As its parquet files have them, of Python 3.8 to 3.12.
MESSAGES = {
    "HTTP Error 401: Unauthorized": "http_unauthorized",
    "HTTP Error 403: Forbidden": "http_forbidden",
    "HTTP Error 404: Not Found": "http_not_found",
    "HTTP Error 410: Gone": "http_gone",
    "HTTP Error 429: Too Many Requests": "http_too_many_requests",
    "HTTP Error 451: Unavailable For Legal Reasons": "http_client_error",
    "HTTP Error 500: Internal Server Error": "http_server_error",
    "HTTP Error 304: Not Modified": "http_unexpected_status",
    "HTTP Error 302: The HTTP server returned a redirect error that would lead to an infinite loop.\n"
    "The last 30x error message was:\nFound": "redirect_loop",
    "Use of image disallowed by X-Robots-Tag directive": "opted_out",
    "hash mismatch": "hash_mismatch",
    "opted out: X-Robots-Tag: noai": "opted_out",
    "opted out: tdm-reservation: 1": "opted_out",
    "<urlopen error [Errno -2] Name or service not known>": "dns_not_found",
    "<urlopen error [Errno -5] No address associated with hostname>": "dns_not_found",
    "<urlopen error [Errno -3] Temporary failure in name resolution>": "dns_failed",
    "<urlopen error [Errno 111] Connection refused>": "connection_refused",
    "<urlopen error [Errno 113] No route to host>": "connection_failed",
    "<urlopen error [Errno 110] Connection timed out>": "connect_timeout",
    "<urlopen error timed out>": "connect_timeout",
    "<urlopen error _ssl.c:1112: The handshake operation timed out>": "connect_timeout",
    "timed out": "read_timeout",
    "The read operation timed out": "read_timeout",
    "[Errno 104] Connection reset by peer": "connection_reset",
    "Remote end closed connection without response": "connection_reset",
    "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:997)>": "tls_failed",
    "<urlopen error [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1129)>": "tls_failed",
    "IncompleteRead(3 bytes read, 97 more expected)": "truncated_body",
    "got more than 100 headers": "http_malformed",
    "unknown url type: 'a/b.jpg'": "invalid_url",
    "<urlopen error unknown url type: ftps>": "unsupported_scheme",
    "<urlopen error no host given>": "invalid_url",
    "nonnumeric port: 'x'": "invalid_url",
    "URL can't contain control characters. '/a b' (found at least ' ')": "invalid_url",
    "'ascii' codec can't encode character '\\xfc' in position 5: ordinal not in range(128)": "invalid_url",
    "encoding with 'idna' codec failed (UnicodeError: label empty or too long)": "invalid_url",
    "<urlopen error blocked address: a is 10.0.0.1>": "blocked_address",
    "<urlopen error blocked port 22>": "blocked_port",
    "something that nobody has seen": "connection_failed",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_download_failed_for_the_reason_that_its_error_tells(message: str):
    assert reason_of_download(message) == MESSAGES[message]


@pytest.mark.parametrize(
    ("status", "message", "outcome", "reason"),
    [
        ("failed_to_download", "HTTP Error 404: Not Found", "failed", "http_not_found"),
        ("failed_to_download", None, "failed", "connection_failed"),
        ("failed_to_resize", "Image decoding error", "failed", "corrupt_image"),
        ("failed_to_resize", "image too small", "rejected", "min_side"),
        ("failed_to_resize", "aspect ratio too large", "rejected", "max_aspect"),
        ("failed_to_resize", "image area too large", "rejected", "max_pixels"),
        ("success", "the tar has no such image", "failed", "reference_not_found"),
        (None, None, "failed", "reference_not_found"),
    ],
)
def test_a_row_ends_as_its_status_says(status: str | None, message: str | None, outcome: str, reason: str):
    mark = mark_of_row(status, message)
    assert (mark.outcome, mark.reason) == (outcome, reason)
    assert str(mark.detail).startswith("img2dataset: ")


def test_a_detail_is_short_when_a_message_is_long():
    assert len(str(mark_of_row("failed_to_download", "x" * 1000).detail)) == 200
