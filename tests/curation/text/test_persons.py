import polars as pl
import pytest

from curation.text.lexicon import load_lexicon
from curation.text.persons import replace_persons


def replaced(*texts):
    made, counts = replace_persons(pl.Series(texts, dtype=pl.String), load_lexicon())
    return made.to_list(), counts.to_list()


@pytest.mark.parametrize(
    ("text", "expected", "count"),
    [
        ("Portrait of Anna Kowalski in Berlin", "Portrait of <PERSON> in Berlin", 1),
        ("Actress Christina Applegate and Joe Biden", "Actress <PERSON> and <PERSON>", 2),
        ("Michael J. Fox at the gala", "<PERSON> at the gala", 1),
        ("Robert de Niro", "<PERSON>", 1),
        ("ELIZABETH TAYLOR poster", "<PERSON> poster", 1),
    ],
)
def test_token_takes_the_place_when_a_name_is_known(text, expected, count):
    assert replaced(text) == ([expected], [count])


@pytest.mark.parametrize(
    "text",
    [
        "anna kowalski",
        "Charlotte Dress in Blue",
        "Paris Fashion Week",
        "New York Yankees",
        "Red Leather Bag",
        "Anna",
        "",
    ],
)
def test_text_stays_when_no_name_is_sure(text):
    assert replaced(text) == ([text], [0])


def test_null_stays_null_when_there_is_no_text():
    assert replaced(None, "Joe Biden") == ([None, "<PERSON>"], [None, 1])
