import numpy as np
import polars as pl
import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from curation.text.function_words import FUNCTION_WORDS, function_words_of
from curation.text.language import LANGUAGES, LanguageModel

ENGLISH = [
    *(
        "a red circle above a blue square",
        "red circle and blue star",
        "a turquoise star",
        "crimson disc",
        "golden hoop",
    ),
    *("a blue square", "blue plus sign", "tiny violet rhombus", "Neuschwanstein castle in winter", "Leather handbag"),
    *("grand piano in a concert hall", "Eiffel Tower in Paris", "macaroni and cheese", "Wilson Blade Tennis Racket"),
]
OTHERS = {
    "de": [
        "ein roter Kreis über einem blauen Quadrat",
        "roter Kreis und blauer Stern",
        "die Katze schläft auf dem Sofa",
    ],
    "fr": ["un cercle rouge au-dessus d'un carré bleu", "une étoile verte sur fond gris", "le chat dort sur le canapé"],
    "es": ["un círculo rojo encima de un cuadrado azul", "vestido negro de manga larga", "el gato duerme en el sofá"],
    "ru": ["красный круг над синим квадратом", "собака играет в саду"],
    "zh": ["蓝色正方形上方的红色圆圈", "灰色背景上的绿色星星"],
}


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel()


def test_lead_over_english_is_small_when_a_short_text_is_english(model: LanguageModel) -> None:
    lead = model.score(pl.Series(ENGLISH)).lead_over(("en",))
    assert {text: value for text, value in zip(ENGLISH, lead.tolist(), strict=True) if value > 1.0} == {}


@pytest.mark.parametrize("language", list(OTHERS))
def test_lead_over_english_is_large_when_a_short_text_is_foreign(model: LanguageModel, language: str) -> None:
    scores = model.score(pl.Series(OTHERS[language]))
    assert scores.lead_over(("en",)).min() > 1.5
    assert scores.lead_over((language,)).max() <= 0.0
    assert scores.lead_over(("en", language)).max() <= 0.0
    assert scores.named().to_list() == [language] * len(OTHERS[language])


def test_named_is_null_when_no_language_leads(model: LanguageModel) -> None:
    assert (
        model.score(pl.Series([None, "", "1234 5678", "https://example.com/x"], dtype=pl.String)).named().to_list()
        == [None] * 4
    )


def test_scores_are_those_of_the_library_when_texts_are_scored_one_by_one(model: LanguageModel) -> None:
    texts = ["a red circle above a blue square", "ein roter Kreis", "蓝色正方形", "xylophone"]
    reference = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=False)
    reference.set_languages(LANGUAGES)
    scores = model.score(pl.Series(texts)).scores
    for text, row in zip(texts, scores, strict=True):
        expected = dict(reference.rank(text))
        np.testing.assert_allclose(
            row * np.sqrt(len(text.encode())), [expected[language] for language in LANGUAGES], rtol=1e-4
        )


def test_scores_do_not_depend_on_the_batch_when_texts_are_scored_in_chunks(model: LanguageModel) -> None:
    texts = pl.Series([*ENGLISH, *(text for texts in OTHERS.values() for text in texts)])
    whole = model.score(texts).scores
    chunks = [model.score(texts[start : start + 5]).scores for start in range(0, len(texts), 5)]
    assert np.array_equal(whole, np.concatenate(chunks))


def test_scores_are_empty_when_there_are_no_texts(model: LanguageModel) -> None:
    scores = model.score(pl.Series([], dtype=pl.String))
    assert scores.named().to_list() == []
    assert scores.lead_over(("en",)).shape == (0,)


def test_capitals_are_read_as_small_letters_when_a_text_has_no_others(model: LanguageModel) -> None:
    scores = model.score(pl.Series(["A RED CIRCLE ABOVE A BLUE SQUARE", "a red circle above a blue square"])).scores
    assert np.array_equal(scores[0], scores[1])


def test_lead_over_refuses_when_a_language_is_unknown(model: LanguageModel) -> None:
    with pytest.raises(KeyError, match="xx"):
        model.score(pl.Series(["a"])).lead_over(("en", "xx"))


def test_function_words_belong_to_known_languages_when_united() -> None:
    assert set(FUNCTION_WORDS) <= set(LANGUAGES)
    assert {"the", "und"} <= function_words_of(("en", "de"))
    assert function_words_of(("zh",)) == frozenset()
