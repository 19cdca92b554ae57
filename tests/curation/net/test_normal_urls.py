import polars as pl
import pytest

from curation.net.normal_urls import normal_url, normal_urls


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("http://a.example/x.jpg", "http://a.example/x.jpg"),
        (" HTTP://A.Example.:80/x.jpg#part ", "http://a.example/x.jpg"),
        ("https://a.example:443", "https://a.example/"),
        ("https://a.example:80/", "https://a.example:80/"),
        ("http://user:secret@a.example/", "http://a.example/"),
        ("http://a.example/b/../c/./d.jpg", "http://a.example/c/d.jpg"),
        ("http://a.example/%7e%c3%a9%2f.jpg", "http://a.example/~%C3%A9%2F.jpg"),
        ("http://a.example/é.jpg", "http://a.example/%C3%A9.jpg"),
        ("http://a.example/x?", "http://a.example/x"),
        ("http://a.example/x?b=1&a=2", "http://a.example/x?b=1&a=2"),
        ("http://0x7f.1/x", "http://127.0.0.1/x"),
        ("ftp://a.example/x ", "ftp://a.example/x"),
        ("no address", "no address"),
    ],
)
def test_spelling_is_the_normal_one_when_another_says_the_same(text: str, normal: str) -> None:
    assert normal_url(text) == normal
    assert normal_url(normal) == normal
    assert normal_urls(pl.Series([text, None])).to_list() == [normal, None]


def test_parameters_are_dropped_or_sorted_when_asked() -> None:
    url = "http://a.example/x?utm_source=a&b=1&a=2&utm_medium=c&B=3"
    assert normal_url(url, ("utm_*",)) == "http://a.example/x?b=1&a=2&B=3"
    assert normal_url(url, ("utm_*", "b"), sort_parameters=True) == "http://a.example/x?B=3&a=2"
    assert normal_url("http://a.example/x?utm_source=a", ("utm_*",)) == "http://a.example/x"
    assert normal_urls(pl.Series([url]), ("utm_*",)).to_list() == ["http://a.example/x?b=1&a=2&B=3"]
