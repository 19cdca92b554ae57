import polars as pl
import pytest
from pydantic import ValidationError

from curation.errors import RecipeError
from stages.select.deduplicate_text import DeduplicateText, DeduplicateTextConfig

TEN = "one two three four five six seven eight nine ten"


def decide(texts, scores=None, **settings):
    exchange = DeduplicateText(DeduplicateTextConfig.model_validate(settings, strict=False))
    frame = pl.DataFrame(
        {
            "row": range(len(texts)),
            "key": [f"{row:032x}" for row in range(len(texts))],
            "text": pl.Series(texts, dtype=pl.String),
            "clip_score": pl.Series(scores or [None] * len(texts), dtype=pl.Float32),
        }
    )
    return exchange.decide(frame.select("row", "key", *exchange.spec.requires).lazy()).collect().sort("row")


def test_one_row_is_kept_when_texts_differ_in_case_and_punctuation_alone():
    verdicts = decide(["A red circle!", "a RED circle", "a red circle above", None, "!!", "!!", None], near=None)
    assert verdicts["reason"].to_list() == [None, "exact", None, None, None, "exact", None]
    assert verdicts["text_duplicate_of"].to_list() == [None, f"{0:032x}", None, None, None, f"{4:032x}", None]
    assert verdicts["text_group"].to_list() == [0, 0, None, None, 4, 4, None]
    assert verdicts["text_similarity"].to_list() == [1, 1, None, None, 1, 1, None]
    assert verdicts["detail"][1] == "equal words"


# Ten words have nine pairs of neighbours; without the last word eight of them are left: 8 / 9 = 0.889.
# Without the first and the last, seven: 7 / 9 = 0.778, and 7 / 8 = 0.875 of the one without the last.
SHORTER = TEN.removesuffix(" ten")
SHORTEST = SHORTER.removeprefix("one ")


@pytest.mark.parametrize(("threshold", "reasons"), [(0.88, [None, "near", None]), (0.89, [None, None, None])])
def test_the_share_of_shingles_decides_when_texts_are_nearly_the_same(threshold, reasons):
    verdicts = decide([TEN, SHORTER, SHORTEST], near={"threshold": threshold})
    assert verdicts["reason"].to_list() == reasons
    if reasons[1]:
        assert verdicts["detail"][1] == "jaccard 0.8889 >= 0.88"
        assert verdicts["text_similarity"].to_list() == [pytest.approx(8 / 9), pytest.approx(8 / 9), None]


def test_chains_hold_together_until_they_are_too_long_when_neighbours_are_near():
    assert decide([TEN, SHORTER, SHORTEST], near={"threshold": 0.8})["reason"].to_list() == [None, "near", "near"]
    stars = decide([TEN, SHORTER, SHORTEST], near={"threshold": 0.8, "max_group": 1})
    assert stars["reason"].to_list() == [None, "near", None]


def test_the_best_are_kept_when_several_may_stay():
    texts = [TEN, TEN.upper(), SHORTER, "another text"]
    verdicts = decide(texts, [0.1, 0.3, 0.2, 0.0], keep=2, prefer=["best_score"])
    assert verdicts["reason"].to_list() == ["exact", None, None, None]
    assert verdicts["text_duplicate_of"].to_list() == [f"{1:032x}", None, None, None]
    longest = decide([SHORTER, TEN], prefer=["longest_text"])
    assert longest["reason"].to_list() == ["near", None]


def test_bands_must_divide_the_permutations_when_stated():
    with pytest.raises(ValidationError, match=r"permutations \(100\) must be a multiple of bands \(32\)"):
        decide([TEN], near={"permutations": 100})


def test_a_column_is_refused_when_it_holds_no_texts():
    with pytest.raises(RecipeError, match="column clip_score holds no texts"):
        DeduplicateText(DeduplicateTextConfig(column="clip_score")).check()


def test_a_carried_column_is_refused_when_it_holds_no_texts():
    frame = pl.LazyFrame({"row": [0], "key": ["0" * 32], "rating": [5]})
    with pytest.raises(RecipeError, match="column rating is of type Int64, not text; name a column of texts"):
        DeduplicateText(DeduplicateTextConfig(column="rating")).decide(frame)


def test_user_is_told_when_more_texts_share_a_band_than_are_compared(caplog):
    # One permutation, and few words: most of the texts have the same least hash.
    near = {"threshold": 0.3, "permutations": 1, "bands": 1, "shingle_words": 1}
    decide(["same words one", "same words two"], near=near)
    assert caplog.text == ""
    decide([f"a b c d e f g h w{number}" for number in range(200)], near=near)
    assert "texts share a band with more than 100 others and were compared with so many alone" in caplog.text


@pytest.mark.parametrize("texts", [[], [None], [None, None, None], ["!!", None, "??"]])
def test_every_row_is_kept_when_none_says_what_another_does(texts):
    for near in (None, {}):
        verdicts = decide(texts, near=near)
        assert verdicts["row"].to_list() == list(range(len(texts)))
        assert verdicts.select(pl.exclude("row")).null_count().row(0) == (len(texts),) * 5


def test_keys_may_be_any_texts_when_they_are_no_numbers():
    frame = pl.LazyFrame({"row": [3, 5, 9], "key": ["b", "a", "c"], "text": ["A boat", "a boat!", None]})
    verdicts = DeduplicateText(DeduplicateTextConfig()).decide(frame).collect().sort("row")
    assert verdicts["text_duplicate_of"].to_list() == ["a", None, None]
    assert verdicts["text_group"].to_list() == [3, 3, None]
