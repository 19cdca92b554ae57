import numpy as np
import pyarrow as pa
import pytest
from preset_rows import language_model

from curation.errors import RecipeError
from stages.text.prose import TextProse, TextProseConfig

FIGURES = ("char_repetition", "ngram_repetition", "special_share", "stop_word_share", "language_score")
PROSE = "the old boat is on the lake"


def processed(texts, **settings):
    stage = TextProse(TextProseConfig(**settings))
    stage._model = language_model()
    rows = range(len(texts))
    columns = {
        "row": pa.array(rows, pa.int64()),
        "key": [f"{row}" for row in rows],
        "text": pa.array(texts, pa.string()),
    }
    return stage.process(pa.table(columns)).to_pylist()


def test_figures_are_those_worked_out_by_hand_when_measured():
    (row,) = processed(["a b! a b!"], char_ngram=4, word_ngram=2)

    # "a b!", " b! ", "b! a", "! a ", " a b", "a b!": 6 of 5 distinct ones, one of them twice.
    assert row["text_char_repetition"] == pytest.approx(2 / 6)
    assert row["text_ngram_repetition"] == pytest.approx(2 / 3)
    assert row["text_special_share"] == pytest.approx(2 / 9)
    assert row["text_stop_word_share"] == pytest.approx(1 / 2)  # "a", not "b"


def test_language_score_is_high_when_the_language_is_wanted():
    german = "der kleine Hund schläft auf dem Sofa im Zimmer"
    as_english = [row["text_language_score"] for row in processed([PROSE, german])]
    as_both = [row["text_language_score"] for row in processed([PROSE, german], languages=("en", "de"))]

    assert as_english[0] > 0.9
    assert as_english[1] < 0.1
    assert min(as_both) > 0.9


@pytest.mark.parametrize("figure", FIGURES)
def test_text_goes_when_it_is_past_the_bound_and_stays_at_it(figure):
    rule = f"{'min' if figure in FIGURES[3:] else 'max'}_{figure}"
    (measured,) = processed(["the sea and the sea and the sea and the sea!"])
    value = measured[f"text_{figure}"]
    beyond = np.nextafter(np.float32(value), np.float32(2 if rule.startswith("min") else -1))

    (at,) = processed([measured["text"]], **{rule: value})
    (past,) = processed([measured["text"]], **{rule: float(beyond)})

    assert at.get("reason") is None
    assert past["reason"] == rule
    assert past["detail"].startswith(f"{round(value, 4)} ")


def test_stated_tenth_is_met_when_the_figure_is_a_tenth_in_single_precision():
    # 1 special character of 10.
    (row,) = processed(["the boats!"], max_special_share=0.1)

    assert row.get("reason") is None


def test_row_is_rejected_as_missing_when_there_is_no_text():
    rows = processed([None, " ", PROSE])

    assert [row["reason"] for row in rows] == ["missing", "missing", None]
    assert {rows[0][f"text_{figure}"] for figure in FIGURES} == {None}


def test_check_refuses_when_a_language_has_no_stop_words():
    with pytest.raises(
        RecipeError, match=r"text_prose.languages: there are no stop words of zh; there are for .*\ben\b"
    ):
        TextProse(TextProseConfig(languages=("en", "zh"))).check()
