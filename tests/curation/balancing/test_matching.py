import random

import polars as pl
import pytest

from curation.balancing import matching
from curation.balancing.matching import EntryList, named_entries


def _named(entry_list, texts):
    return entry_list.named_in(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}))["entries"].to_list()


def _plain_loop(text, entries):
    """MetaCLIP's algorithm as its paper and first code have it: each entry looked for in each text."""
    for mark in ",.;:?!`":
        text = text.replace(mark, f" {mark} ")
    for char in "\t\n\r":
        text = text.replace(char, " ")
    text = f" {text} "
    return [number for number, entry in enumerate(entries) if f" {entry} " in text]


def test_entries_are_found_when_they_overlap_and_stand_between_spaces():
    entries = EntryList(pl.Series(["red", "car", "red car", "new york", ",", "york new"]))
    assert _named(entries, ["red car, cars", "reds", "", "new york new york", "new  york"]) == [
        [0, 1, 2, 4],
        [],
        [],
        [3, 5],
        [],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_matches_equal_the_plain_loop_when_texts_are_random(seed):
    draws = random.Random(seed)
    pieces = ["a", "b", "ab", "é", ",", ".", "!", "\t", "\n", " ", " ", " ", "猫"]
    texts = ["".join(draws.choices(pieces, k=draws.randrange(25))) for _ in range(400)]
    entries = list(dict.fromkeys("".join(draws.choices(pieces, k=draws.randrange(1, 6))).strip() for _ in range(150)))
    entries = [entry for entry in entries if entry]
    assert _named(EntryList(pl.Series(entries)), texts) == [_plain_loop(text, entries) for text in texts]


def test_entries_without_spaces_around_are_found_when_the_script_has_none():
    entries = EntryList(pl.Series(["黑猫", "猫", "cat"]), first_id=10, by_script=True)
    assert _named(entries, ["一只黑猫", "a cat猫", "concat 猫"]) == [[10, 11], [11], [11]]


def test_entries_are_one_when_they_differ_in_case_that_does_not_matter():
    entries = EntryList(pl.Series(["Paris", "paris", "Été"]), case_sensitive=False)
    assert _named(entries, ["PARIS", "été"]) == [[0], [2]]


@pytest.mark.parametrize(("at_once", "waiting"), [(1, 1), (2**20, 40), (2**20, 2**20)])
def test_each_text_is_searched_once_for_its_language_when_batches_flow(monkeypatch, at_once, waiting):
    monkeypatch.setattr(matching, "_TEXT_BYTES_AT_ONCE", at_once)
    monkeypatch.setattr(matching, "_TEXT_BYTES_WAITING", waiting)
    lists = {"en": EntryList(pl.Series(["a", "b"])), "de": EntryList(pl.Series(["a"]), first_id=2)}
    rows = [
        (row, ["en", "de", "fr", None][row % 4], None if row % 9 == 0 else ["a", "b a", "c"][row % 3])
        for row in range(100)
    ]
    schema = {"row": pl.Int64, "language": pl.String, "text": pl.String}
    batches = [pl.DataFrame(rows[start : start + 13], schema=schema, orient="row") for start in range(0, 100, 13)]
    found = pl.concat(list(named_entries(batches, lists))).sort("row")
    known = {("en", "a"): [0], ("en", "b a"): [0, 1], ("de", "a"): [2], ("de", "b a"): [2]}
    assert found.rows() == [(row, known.get((language, text), [])) for row, language, text in rows]
