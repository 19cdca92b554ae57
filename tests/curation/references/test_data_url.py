import base64

import pytest

from curation.net.failures import FetchFailure
from curation.references.data_url import read_data_url
from schemas.outcomes import FailureReason

BODY = bytes(range(256))
ENCODED = base64.b64encode(BODY).decode()


@pytest.mark.parametrize(
    ("text", "body", "kind"),
    [
        (f"data:image/png;base64,{ENCODED}", BODY, "image/png"),
        (f"DATA:image/png;BASE64,{ENCODED}", BODY, "image/png"),
        (f"data:image/png; base64 ,{ENCODED}", BODY, "image/png"),
        (f"data:image/png;name=a.png;charset=x;base64,{ENCODED}", BODY, "image/png;name=a.png;charset=x"),
        ("data:;base64,QUJD", b"ABC", "text/plain;charset=US-ASCII"),
        ("data:,A%20B", b"A B", "text/plain;charset=US-ASCII"),
        ("data:;charset=utf-8,a", b"a", "text/plain;charset=utf-8"),
        ("data:image/svg+xml,%3Csvg%2F%3E", b"<svg/>", "image/svg+xml"),
        ("data:image/svg+xml,<svg ü/>", "<svg ü/>".encode(), "image/svg+xml"),
        ("data:text/plain,a,b", b"a,b", "text/plain"),
        ("data:text/plain,a%2", b"a%2", "text/plain"),
        ("data:text/plain,a#b", b"a", "text/plain"),
        ("data:text/plain;base64x,QUJD", b"QUJD", "text/plain;base64x"),
        ("data:a/b;base64,QU JD\n QQ", b"ABCA", "a/b"),
        ("data:a/b;base64,QUI", b"AB", "a/b"),
        ("data:a/b;base64,QUI=", b"AB", "a/b"),
        ("data:a/b;base64,QUJD%51%51%3D%3D", b"ABCA", "a/b"),
        ("data:a/b;base64,", b"", "a/b"),
    ],
)
def test_bytes_and_type_come_back_when_the_url_is_one(text: str, body: bytes, kind: str):
    assert read_data_url(text, 1000) == (body, kind)


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;base64",
        "data:",
        "data:a/b;base64,QUJ*",
        "data:a/b;base64,QUJDQ",
        "data:a/b;base64,QU=JD",
        "data:a/b;base64,QUJD====",
        "data:a/b;base64,QU-_",
        "data:a/b;base64,ÜÜÜÜ",
    ],
)
def test_url_is_refused_when_it_is_not_what_it_says(text: str):
    with pytest.raises(FetchFailure) as caught:
        read_data_url(text, 1000)
    assert caught.value.reason is FailureReason.INVALID_URL


@pytest.mark.parametrize(
    "text", ["data:,abcd", "data:;base64,QUJDRA==", "data:,%61%62%63%64", "data:," + "%61" * 100, "data:," + "a" * 100]
)
def test_data_is_refused_when_it_is_longer_than_the_cap(text: str):
    with pytest.raises(FetchFailure) as caught:
        read_data_url(text, 3)
    assert caught.value.reason is FailureReason.BODY_TOO_LARGE


@pytest.mark.parametrize("text", ["data:,abc", "data:;base64,QUJD", "data:,%61%62%63", "data:;base64,%51%55%4A%44"])
def test_data_is_taken_when_it_is_as_long_as_the_cap(text: str):
    assert len(read_data_url(text, 3)[0]) == 3
