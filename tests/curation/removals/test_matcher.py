"""Which rows a removal means."""

import polars as pl
import pytest

from curation.removals.hashes import Salted, url_form, url_host
from curation.removals.matcher import Matcher
from schemas.records import Removal

SALT = "0011"


def removal(number=1, keys=(), urls=(), domains=()):
    salted = Salted(SALT)
    return Removal(
        number=number,
        time="",
        lists=(),
        salt=SALT,
        keys=keys,
        urls=tuple(salted.hash(url_form(url)) for url in urls),
        hosts=tuple(salted.hash(url_host(url)) for url in urls),
        domains=tuple(map(salted.hash, domains)),
    )


@pytest.mark.parametrize(
    "spelling",
    [
        "http://example.org/a%20b/~x.jpg?q=1",
        " HTTPS://user:secret@EXAMPLE.org.:443/c/../a%20b/%7Ex.jpg?q=1#part",
        "http://example.org:80/a b/~x.jpg?q=1",
    ],
)
def test_a_url_is_meant_in_any_spelling_when_it_is_removed(spelling):
    matcher = Matcher([removal(urls=["https://example.org/a%20b/~x.jpg?q=1"])])
    assert matcher.by_url(pl.Series([spelling])).tolist() == [1]


@pytest.mark.parametrize(
    "other",
    [
        "http://example.org/a%20b/~X.jpg?q=1",
        "http://example.org/a%20b/~x.jpg?q=2",
        "http://example.org:8080/a%20b/~x.jpg?q=1",
        "http://www.example.org/a%20b/~x.jpg?q=1",
        "not a url",
        "",
        None,
    ],
)
def test_another_url_is_not_meant_when_one_is_removed(other):
    matcher = Matcher([removal(urls=["https://example.org/a%20b/~x.jpg?q=1"])])
    assert matcher.by_url(pl.Series([other], dtype=pl.String)).tolist() == [0]


def test_subdomains_are_meant_and_lookalikes_are_not_when_a_domain_is_removed():
    matcher = Matcher([removal(domains=["example.co.uk"])])
    urls = [
        "http://example.co.uk/x",
        "https://img.eu.EXAMPLE.co.uk:8443/x",
        "http://notexample.co.uk/x",
        "http://other.co.uk/example.co.uk",
        "http://example.co.uk.evil.org/x",
        "s3://example.co.uk/x",
    ]
    assert matcher.by_url(pl.Series(urls)).tolist() == [1, 1, 0, 0, 0, 0]


def test_what_is_no_web_address_is_meant_as_it_stands_when_it_is_removed():
    matcher = Matcher([removal(urls=["s3://bucket/a.jpg"])])
    assert matcher.by_url(pl.Series(["s3://bucket/a.jpg", "s3://bucket/b.jpg"])).tolist() == [1, 0]


def test_the_first_removal_counts_when_several_mean_a_row():
    first, second = removal(2, urls=["http://a.org/x"]), removal(3, keys=["k1", "k2"], domains=["a.org"])
    table = pl.DataFrame(
        {
            "key": ["k1", "k2", "k3", "k4"],
            "url": ["http://a.org/x", None, "http://b.org/", "http://b.org/"],
            "redirect_chain": [None, [], ["http://c.org/", "http://a.org/y"], ["http://c.org/"]],
        }
    )
    assert Matcher([first, second]).by_any(table, ["url", "redirect_chain"]).tolist() == [2, 3, 3, 0]


def test_no_row_is_meant_when_nothing_was_removed():
    assert Matcher([]).by_any(pl.DataFrame({"key": ["k"], "url": ["http://a.org/"]}), ["url"]).tolist() == [0]
