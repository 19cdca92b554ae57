"""Which rows a removal means."""

import contextlib
from string import ascii_letters

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.net.failures import FetchFailure
from curation.net.urls import web_url
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


ODD = [
    "http://\nexample.org/a.jpg",
    "http:\n//example.org/a.jpg",
    "http:/\t/example.org/a.jpg",
    "http://exa\tmple.org/a.jpg",
    "http://example.org\r\n/a.jpg",
    "http://example.org\n:80/a.jpg",
    "http://user name@example.org/a.jpg",
    "http://us\ner:pw@example.org/a.jpg",
    "http://example.org /a.jpg",
    "http:// example.org/a.jpg",
    "\u00a0\u2003http://EXAMPLE\u3002org./a.jpg\n",
    "http://\uff45xample.org/b/../a.jpg",
    "http://user@example.org:/a.jpg#\n",
]


@pytest.mark.parametrize("spelling", ODD)
def test_the_host_that_is_asked_is_meant_when_its_url_is_oddly_spelled(spelling):
    assert web_url(spelling).raw_host.strip() == "example.org"
    for asked in (removal(domains=["example.org"]), removal(urls=["http://example.org/a.jpg"])):
        assert Matcher([asked]).by_url(pl.Series(["http://a.org/", spelling])).tolist() == [0, 1]


HOSTS = ["example.org", "img.example.org", "notexample.org", "example.org.evil.com", "a.org"]
WHITE = st.text("\t\n\r \x0b\x0c\x1f\u00a0\u2028\u3000", max_size=2)
ANYTHING = st.text(f"{ascii_letters}0189.:@/?#[]%\\\t\n\r -_~\u00ad\uff45\u3002\u00df", max_size=6)


@st.composite
def spellings(draw):
    """A URL with white space, user, port and whatever else at places where programs read it differently."""
    host = draw(st.sampled_from(HOSTS))
    host = "".join(draw(st.sampled_from([letter, letter.upper(), chr(ord(letter) + 0xFEE0)])) for letter in host)
    parts = [
        *draw(
            st.sampled_from([["http", ":", "/", "/"], ["HTTPS", ":", "/", "/"], ["http", ":"], ["s3", ":", "/", "/"]])
        ),
        draw(st.sampled_from(["", "user@", "us er:p w@", "@"])) or draw(ANYTHING),
        *host,
        draw(st.sampled_from(["", ".", ":80", ":", ":8080"])),
        draw(st.sampled_from(["", "/", "?", "#", "/a.jpg"])),
        draw(ANYTHING),
    ]
    for place in draw(st.lists(st.integers(0, len(parts)), max_size=3)):
        parts.insert(place, draw(WHITE))
    return "".join(parts)


@settings(deadline=None)
@given(st.lists(spellings(), min_size=1, max_size=40))
@example(ODD)
def test_a_url_is_meant_exactly_when_the_fetcher_would_ask_a_removed_host(urls):
    def asks_removed_host(url):
        try:
            host = web_url(url).raw_host.strip()
        except FetchFailure:
            return 0
        return int(host == "example.org" or host.endswith(".example.org"))

    matcher = Matcher([removal(domains=["example.org"])])
    assert matcher.by_url(pl.Series(urls)).tolist() == [asks_removed_host(url) for url in urls]


@settings(deadline=None)
@given(spellings())
def test_a_url_is_meant_when_the_very_url_is_removed(url):
    removed = Matcher([removal(urls=[url])])
    sent = [url]
    with contextlib.suppress(FetchFailure):
        sent.append(str(web_url(url)))
    assert removed.by_url(pl.Series(sent)).tolist() == [1] * len(sent)
