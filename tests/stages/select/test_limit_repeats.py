import polars as pl
import pytest
from pydantic import ValidationError

from curation.errors import RecipeError
from stages.select.limit_repeats import LimitRepeats, LimitRepeatsConfig


def decide(pairs, **settings):
    exchange = LimitRepeats(LimitRepeatsConfig(**settings))
    text, image = exchange.spec.requires
    frame = pl.DataFrame({text: [pair[0] for pair in pairs], image: [pair[1] for pair in pairs]}, schema=[text, image])
    frame = frame.with_columns(row=pl.int_range(pl.len(), dtype=pl.Int64), key=pl.lit("k"))
    return exchange.decide(frame.lazy()).collect().sort("row")


PAIRS = [("Image", "a"), ("image.", "b"), ("image", "b"), ("IMAGE", "c"), ("two", "a"), ("three", "a"), (None, "a")]


@pytest.mark.parametrize(("limit", "reason"), [(3, None), (2, "max_images_per_text")])
def test_a_text_goes_whole_when_too_many_images_share_it(limit, reason):
    verdicts = decide(PAIRS, max_images_per_text=limit, max_texts_per_image=None)
    assert verdicts["reason"].to_list() == [reason] * 4 + [None] * 3
    assert verdicts["text_images"].to_list() == [3, 3, 3, 3, 1, 1, None]
    assert verdicts["detail"][0] == (reason and "3 > 2")


@pytest.mark.parametrize(("limit", "reason"), [(3, None), (2, "max_texts_per_image")])
def test_an_image_goes_whole_when_too_many_texts_describe_it(limit, reason):
    verdicts = decide(PAIRS, max_images_per_text=None, max_texts_per_image=limit, image="url")
    assert verdicts["reason"].to_list() == [reason, None, None, None, reason, reason, None]
    assert verdicts["image_texts"].to_list() == [3, 1, 1, 1, 3, 3, 3]


def test_it_is_refused_when_nothing_is_limited():
    with pytest.raises(ValidationError, match="nothing to limit"):
        LimitRepeatsConfig(max_images_per_text=None, max_texts_per_image=None)


def test_a_column_is_refused_when_it_holds_no_texts():
    with pytest.raises(RecipeError, match="column clip_score holds no texts"):
        LimitRepeats(LimitRepeatsConfig(column="clip_score")).check()


def test_a_carried_column_is_refused_when_it_holds_no_texts():
    frame = pl.LazyFrame({"row": [0], "key": ["0" * 32], "sha256": ["a"], "rating": [5]})
    with pytest.raises(RecipeError, match="column rating is of type Int64, not text"):
        LimitRepeats(LimitRepeatsConfig(column="rating")).decide(frame)
