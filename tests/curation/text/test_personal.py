import time

import polars as pl
import pytest

from curation.text.personal import find_personal_data


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to joe.doe+art@mail.example.co.uk!", "Write to <EMAIL>!"),
        ("joe [at] example.com", "<EMAIL>"),
        ("a@b.org or c@d.de", "<EMAIL> or <EMAIL>"),
        ("info@müller.de", "<EMAIL>"),
        ("call +49 (0)30 1234-567 now", "call <PHONE> now"),
        ("Info +306974312345", "Info <PHONE>"),
        ("Plumber (212) 555-0187", "Plumber <PHONE>"),
        ("Plumber 212.555.0187", "Plumber <PHONE>"),
        ("1-800-555-0187 toll free", "<PHONE> toll free"),
        ("Tel: 030 1234567", "Tel: <PHONE>"),
        ("WhatsApp us on 0171 2345678", "WhatsApp us on <PHONE>"),
    ],
)
def test_data_is_masked_when_it_is_personal(text, masked):
    found = find_personal_data(pl.Series([text]))

    assert found.masked.to_list() == [masked]
    assert found.found.to_list() == [masked.count("<")]
    assert found.first.to_list() == ["email" if "EMAIL" in masked else "phone"]


@pytest.mark.parametrize(
    "text",
    [
        "logo@2x.png",
        "follow @curator",
        "tickets @ noon",
        "ISBN 978-3-16-148410-0",
        "Killing Floor (0399142533)",
        "Royalty Free Stock Photo - 13836925",
        "For 2006-2010 Hummer H3, 1999 2000 2001 2002",
        "1920 x 1080, 1200x800",
        "A Railway Station in 1874 (519 Pieces)",
        "EDI-9966***850816 TAX*5-6777867",
        "2019-03-21 12:34:56",
        "call of duty 2",
    ],
)
def test_text_stays_when_its_numbers_are_of_products_and_years(text):
    found = find_personal_data(pl.Series([text]))

    assert (found.masked.to_list(), found.found.to_list(), found.first.to_list()) == ([text], [0], [None])


def test_null_stays_null_when_there_is_no_text():
    found = find_personal_data(pl.Series([None, "x@y.org", ""], dtype=pl.String))

    assert found.masked.to_list() == [None, "<EMAIL>", ""]
    assert found.found.to_list() == [None, 1, 0]


@pytest.mark.parametrize("pattern", ["1234567 a ", "1 ", "1-2 3.4/", "call us 1234567 x ", "a@", "a(at)", "a."])
def test_time_grows_with_the_text_alone_when_a_text_is_very_long(pattern):
    long = pl.Series([(pattern * 100_000)[:100_000]])

    began = time.process_time()
    find_personal_data(long)

    # Looking back over the whole text from every number took minutes.
    assert time.process_time() - began < 2


def test_number_stays_when_the_word_that_announces_it_is_the_end_of_another():
    text = "x" * 100 + "hotel" + " " * 61 + "1234567"

    assert find_personal_data(pl.Series([text])).found.to_list() == [0]
