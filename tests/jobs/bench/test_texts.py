"""The plain loops that decisions on texts are compared with, and the truth of what is generated."""

import polars as pl
import pytest

from jobs.bench.texts import SETTINGS, beside_plain, generate, measure
from jobs.bench.texts_plain import plain_groups, plain_rarest, similarity

TEN = "one two three four five six seven eight nine ten"
SHORTER = TEN.removesuffix(" ten")


def test_similarity_is_the_share_of_pairs_of_words():
    assert similarity(TEN, SHORTER) == 8 / 9
    assert similarity("A red boat!", "a red boat") == 1
    assert similarity("boat", "boats") == 0


def test_all_but_the_smallest_key_of_a_group_go_in_the_plain_loop():
    texts = [TEN, "apart", SHORTER, TEN.upper(), SHORTER.removeprefix("one ")]
    assert plain_groups(texts, ["3", "0", "2", "1", "4"], 0.88) == [True, False, True, False, False]
    assert plain_groups(texts, ["3", "0", "2", "1", "4"], 0.8) == [True, False, True, False, True]
    assert plain_groups(texts, ["3", "0", "2", "1", "4"], None) == [True, False, False, False, False]


def test_rows_with_a_rare_token_go_in_the_plain_loop():
    texts = ["a red boat", "a red boat", "a red gribble", "", "A BOAT!"]
    # a: 4; red, boat, "a red": 3; "red boat": 2; gribble, "a boat", "red gribble": 1.
    assert plain_rarest(texts, 2, None) == [False, False, True, False, False]
    assert plain_rarest(texts, None, 4) == [True, True, True, False, True]
    assert plain_rarest(texts, None, 5) == [False, False, True, False, True]


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_planted_is_found_and_the_plain_loop_says_the_same(tmp_path, name):
    generate(str(tmp_path), 2000)
    planted = pl.read_parquet(tmp_path / "captions-2000" / "planted.parquet")
    assert len(planted) == 200
    measured = measure(str(tmp_path), 2000, name)
    assert measured.get("recall", 1) == measured.get("precision", 1) == measured.get("counts_right", 1) == 1
    assert measured["looked_at"] > 0
    plain = beside_plain(str(tmp_path), 2000, name)
    assert plain["same"]
    assert plain["rejected"] > 0
