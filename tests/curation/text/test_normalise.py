import polars as pl
import pytest

from curation.text.normalise import plain_texts, resolve_entities


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        ("a cat &amp; a dog", "a cat & a dog"),
        ("a cat &amp;amp; a dog", "a cat & a dog"),
        ("caf&eacute; &#8211; bar &#x27;M&#x27;", "café – bar 'M'"),
        ("5&nbsp 6 &NBSP; 7", "5 6 7"),
        ("fish&not chips, AT&T, R&D; &unknown;", "fish&not chips, AT&T, R&D; &unknown;"),
        ("&lt;p&gt;a red star&lt;/p&gt;", "a red star"),
        ("<div class='x'>a<br/>red</div><img src=y> star", "a red star"),
        ("s<b>ta</b>r", "star"),
        ("a <!-- hidden > --> star<script>alert(1)</script>", "a star"),
        ("1 < 2 and 3 > 2, I <3 you, <me@example.com>", "1 < 2 and 3 > 2, I <3 you, <me@example.com>"),
        ("  a\tred\r\n\u00a0\u3000star  ", "a red star"),
        ("re\u00add s\u200btar\ufeff \u202eno", "red star no"),
        ("a\x00\x07b\x1f \x9fc", "ab c"),
        ("cafe\u0301", "caf\u00e9"),
        ("family \U0001f468\u200d\U0001f469", "family \U0001f468\u200d\U0001f469"),
    ],
)
def test_plain_texts_show_what_a_reader_saw_when_the_page_was_marked_up(found: str, seen: str) -> None:
    assert plain_texts(pl.Series([found])).to_list() == [seen]


def test_plain_texts_keep_nulls_and_order_when_some_have_entities() -> None:
    texts = pl.Series(["&amp;", None, "b", "", "&lt;br&gt;"], dtype=pl.String)
    assert plain_texts(texts).to_list() == ["&", None, "b", "", ""]
    assert texts.to_list()[0] == "&amp;"


def test_plain_texts_change_nothing_more_when_applied_twice() -> None:
    once = plain_texts(pl.Series(["a &amp; b", "  <b>x</b> y", "naïve – “quoted”", "蓝色 正方形"]))
    assert plain_texts(once).to_list() == once.to_list()


def test_plain_texts_are_empty_when_there_are_none() -> None:
    assert plain_texts(pl.Series([], dtype=pl.String)).to_list() == []


def test_resolve_entities_stops_when_nothing_changes_any_more() -> None:
    assert resolve_entities("&amp;amp;amp;lt;") == "<"
    assert resolve_entities("&#0;") == "\ufffd"
