import pytest
from yarl import URL

from curation.net.failures import FetchFailure
from curation.net.urls import web_url
from schemas.outcomes import FailureReason


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("http://h.example/a%2Fb/%7Ec?x=%20&y=1+2", "http://h.example/a%2Fb/%7Ec?x=%20&y=1+2"),
        ("  HTTPS://h.example/ä b.jpg ", "https://h.example/%C3%A4%20b.jpg"),
        ("http://h.example/100%.jpg", "http://h.example/100%25.jpg"),
        ("http://user:pass@h.example/a#frag", "http://h.example/a"),
        ("http://h.example/caf\udce9.jpg", "http://h.example/caf%E9.jpg"),
        ("http://0x7f.1:8080/a", "http://127.0.0.1:8080/a"),
        ("http://h.example/a\r\nX-Evil: 1", "http://h.example/aX-Evil:%201"),
        ("http://H.Example./A", "http://h.example/A"),
        ("http://My_Host.Example/a", "http://my_host.example/a"),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://[2001:DB8::1]:8080/a", "http://[2001:db8::1]:8080/a"),
        ("http://h.example/[a]|b?[c]=|", "http://h.example/[a]|b?[c]=|"),
        # The path that browsers send, so that robots.txt is asked about what is sent.
        ("http://h.example/pub/../private/b?x=/../y%2F", "http://h.example/private/b?x=/../y%2F"),
        ("http://h.example/%2E/a/%2e%2E/.%2e/b", "http://h.example/b"),
        ("http://h.example/a/b/..", "http://h.example/a/"),
        ("http://h.example/a//../.b/..c/%2e%2ed", "http://h.example/a/.b/..c/%2e%2ed"),
    ],
)
def test_url_is_sendable_when_it_is_taken_from_the_wild(text: str, sent: str):
    assert str(web_url(text)) == sent


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", FailureReason.INVALID_URL),
        ("h.example/a.jpg", FailureReason.INVALID_URL),
        ("//h.example/a.jpg", FailureReason.INVALID_URL),
        ("http:", FailureReason.INVALID_URL),
        ("http://", FailureReason.INVALID_URL),
        ("http://[::1", FailureReason.INVALID_URL),
        ("http://h.example:0/", FailureReason.INVALID_URL),
        ("http://[v1.a]/", FailureReason.INVALID_URL),
        ("http://[::g]/", FailureReason.INVALID_URL),
        ("http://[fe80::1%25eth0]/", FailureReason.INVALID_URL),
        ("http://h%2eexample/", FailureReason.INVALID_URL),
        ("http://h..example/", FailureReason.INVALID_URL),
        ("http://./", FailureReason.INVALID_URL),
        ("http://][@", FailureReason.INVALID_URL),
        ("http://[]@", FailureReason.INVALID_URL),
        ("javascript:alert(1)", FailureReason.UNSUPPORTED_SCHEME),
        ("s3://bucket/a.jpg", FailureReason.UNSUPPORTED_SCHEME),
    ],
)
def test_url_is_refused_when_it_cannot_be_asked_for(text: str, reason: FailureReason):
    with pytest.raises(FetchFailure) as refusal:
        web_url(text)
    assert refusal.value.reason is reason


def test_location_is_resolved_when_it_is_relative():
    base = URL("http://h.example/a/b?q=1")
    assert [
        str(web_url(text, base)) for text in ("c", "/c", "?d", "//o.example/c", "https://o.example/", "%2e%2e/d")
    ] == [
        "http://h.example/a/c",
        "http://h.example/c",
        "http://h.example/a/b?d",
        "http://o.example/c",
        "https://o.example/",
        "http://h.example/d",
    ]
