import polars as pl
import pytest

from curation.text.remains import MARKUP


@pytest.mark.parametrize(
    "text",
    [
        "Boat <a href=",
        "[caption id=12] Boat",
        "{{ product.title }}",
        "Tea &#38",
        "Dalamatia%20%C3%A9",
        "[[File:boat]]",
        r"caf\u00e9",
        "[b]Boat[/b]",
        "![boat](http://a/b)",
        'Boat" width="20"',
        "Boat &unknownentity; here",
        "function() { return }",
    ],
)
def test_text_has_remains_when_markup_was_not_resolved(text):
    assert pl.Series([text]).str.contains(MARKUP).item()


@pytest.mark.parametrize(
    "text",
    [
        "AT&T store & more",
        "100% cotton, 50% off",
        "x < y",
        "A <3 B",
        "[Kids] shoes",
        "$5 {set of 2}",
        'Philips 43" TV',
        "<PERSON>",
    ],
)
def test_text_has_none_when_signs_are_meant(text):
    assert not pl.Series([text]).str.contains(MARKUP).item()
