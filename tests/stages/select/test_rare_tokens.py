import polars as pl
import pytest
from pydantic import ValidationError

from stages.select.rare_tokens import RareTokens, RareTokensConfig

TEXTS = ["a red boat", "a red boat", "a red gribble", None, "", "A BOAT!", "red"]
# a: 4, red: 4, boat: 3, gribble: 1; "a red": 3, "red boat": 2, "a boat": 1, "red gribble": 1.


def judged(texts=TEXTS, **settings):
    frame = pl.LazyFrame(
        {"row": range(len(texts)), "key": list(map(str, range(len(texts)))), "text": pl.Series(texts, dtype=pl.String)}
    )
    made = RareTokens(RareTokensConfig(**settings)).decide(frame).collect().sort("row")
    return {name: made[name].to_list() for name in made.columns}


@pytest.mark.parametrize(("least", "rejected"), [(1, []), (2, [2]), (3, [2]), (4, [0, 1, 2, 5])])
def test_texts_go_when_a_word_is_rarer_than_the_bound(least, rejected):
    reasons = judged(min_count=least)["reason"]

    assert [row for row, reason in enumerate(reasons) if reason] == rejected
    assert set(reasons) <= {None, "min_count"}


@pytest.mark.parametrize("texts", [[], [None, None], ["", None, "..."]])
@pytest.mark.parametrize(
    "settings", [{"min_count": 2}, {"most_frequent": 1}, {"most_frequent": 1, "judge": "words_and_pairs"}]
)
def test_every_row_stays_when_no_text_has_a_word(texts, settings):
    nothing = [None] * len(texts)

    verdicts = judged(texts, **settings)

    assert verdicts == {
        "row": list(range(len(texts))),
        "reason": nothing,
        "detail": nothing,
        "text_rarest_count": nothing,
    }


def test_rarest_word_is_named_with_its_count_when_a_text_goes():
    verdicts = judged(min_count=4)

    assert verdicts["detail"][0] == "boat: 3 < 4"
    assert verdicts["detail"][2] == "gribble: 1 < 4"
    assert verdicts["text_rarest_count"] == [3, 3, 1, None, None, 3, 4]


@pytest.mark.parametrize(
    ("most", "judge", "rejected"),
    [
        # The ranking: a, red (4), "a red", boat (3), "red boat" (2), "a boat", gribble, "red gribble" (1).
        (7, "words", []),
        (6, "words", [2]),
        (4, "words", [2]),
        (3, "words", [0, 1, 2, 5]),
        (8, "words_and_pairs", []),
        (7, "words_and_pairs", [2]),
        (5, "words_and_pairs", [2, 5]),
        (4, "words_and_pairs", [0, 1, 2, 5]),
    ],
)
def test_texts_go_when_a_token_is_not_among_the_most_frequent(most, judge, rejected):
    reasons = judged(most_frequent=most, judge=judge)["reason"]

    assert [row for row, reason in enumerate(reasons) if reason] == rejected


def test_pair_is_named_when_it_is_what_is_rare():
    assert judged(most_frequent=4, judge="words_and_pairs")["detail"][0] == "red boat: 2, not among the 4 most frequent"


def test_first_rule_is_named_when_a_text_breaks_both():
    assert judged(most_frequent=6, min_count=2)["reason"][2] == "min_count"


@pytest.mark.parametrize("settings", [{}, {"min_count": 0}, {"min_count": 2, "judge": "words_and_pairs"}])
def test_config_refuses_when_nothing_could_be_rare(settings):
    with pytest.raises(ValidationError):
        RareTokensConfig(**settings)
