"""`text_prose`: tells flowing text from lists, boilerplate and noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import Field

from curation.contracts.config import StepConfig
from curation.contracts.marks import Mark, rejected, with_marks
from curation.contracts.pieces import with_columns
from curation.contracts.stage import Stage, StageSpec
from curation.errors import RecipeError
from curation.text.function_words import FUNCTION_WORDS, function_words_of
from curation.text.language import LANGUAGES, LanguageModel, LanguageScores
from curation.text.ngrams import char_repetition, word_ngram_repetition
from curation.text.words import special_share, words
from schemas.columns import schema_of

_ADDS = (
    "text_char_repetition",
    "text_ngram_repetition",
    "text_special_share",
    "text_stop_word_share",
    "text_language_score",
)
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class TextProseConfig(StepConfig):
    """Which texts read like prose. All five figures are measured whatever the bounds are, so that `select` can use
    them.

    Attributes:
        languages: ISO 639-1 codes: whose stop words are counted, and whose probability is the language score.
        char_ngram: Characters of the n-grams of `max_char_repetition`.
        word_ngram: Words of the n-grams of `max_ngram_repetition`.
        max_char_repetition: Share of the character n-grams that the most repeated ones take, which are as many as the
            square root of the distinct ones.
        max_ngram_repetition: Share of the word n-grams that occur more than once.
        max_special_share: Share of characters that are no letters, digits or white space.
        min_stop_word_share: Share of words that hold sentences together, such as "the" and "of".
        min_language_score: Probability that the text is in one of `languages`, by py3langid's model over 43 languages.
            It is another classifier than fastText's, on another scale.
    """

    kind: Literal["text_prose"] = "text_prose"
    languages: tuple[str, ...] = Field(("en",), min_length=1)
    char_ngram: int = Field(10, ge=1, le=100)
    word_ngram: int = Field(5, ge=1, le=100)
    max_char_repetition: Share | None = None
    max_ngram_repetition: Share | None = None
    max_special_share: Share | None = None
    min_stop_word_share: Share | None = None
    min_language_score: Share | None = None


class TextProse(Stage):
    """Measures how repetitive, how special and how fluent each text is. A row without text is rejected (`missing`)."""

    Config = TextProseConfig
    config: TextProseConfig

    def __init__(self, config: TextProseConfig) -> None:
        super().__init__(config)
        self._model: LanguageModel | None = None

    @property
    def spec(self) -> StageSpec:
        """Judges the text alone, row by row."""
        return StageSpec("text_prose", 1, ("text",), _ADDS, rowwise=True, decides=True)

    def check(self) -> None:
        """Looks whether each language can be told and has stop words."""
        known = set(LANGUAGES) & set(FUNCTION_WORDS)
        unknown = sorted(set(self.config.languages) - known)
        if unknown:
            raise RecipeError(
                f"{self.config.step_name}.languages: there are no stop words of {', '.join(unknown)}; "
                f"there are for {', '.join(sorted(known))}"
            )

    def setup(self) -> None:
        """Loads the language model."""
        self._model = LanguageModel()

    def close(self) -> None:
        """Lets the language model go."""
        self._model = None

    def process(self, table: pa.Table) -> pa.Table:
        """Adds the figures, and marks what breaks a bound."""
        assert self._model is not None, "setup comes first"
        text = pl.Series("text", pl.from_arrow(table["text"]), dtype=pl.String)
        measured = self._measured(text, self._model)
        added = measured.select(_ADDS).to_arrow().cast(schema_of(*_ADDS))
        table = with_columns(table, list(added.schema), added.columns)
        marks: list[Mark | None] = [None] * len(text)
        for rule, broken, detail in self._rules():
            for place, evidence in measured.with_row_index().filter(broken).select("index", detail).iter_rows():
                marks[place] = marks[place] or rejected(rule, evidence)
        return with_marks(table, marks) if any(marks) else table

    def _measured(self, text: pl.Series, model: LanguageModel) -> pl.DataFrame:
        config = self.config
        frame = pl.DataFrame({"text": text}).with_columns(words=words(pl.col("text")))
        figures = {
            "text_char_repetition": char_repetition(text, config.char_ngram),
            "text_ngram_repetition": word_ngram_repetition(frame["words"], config.word_ngram),
            "text_language_score": _probability(model.score(text), config.languages),
        }
        stop_words = pl.col("words").list.eval(pl.element().is_in(sorted(function_words_of(config.languages))))
        share = stop_words.list.sum() / pl.max_horizontal(pl.col("words").list.len(), pl.lit(1))
        measured = frame.select(
            "text",
            text_special_share=special_share(pl.col("text")),
            text_stop_word_share=share.cast(pl.Float32),
            **{name: pl.Series(values, dtype=pl.Float32) for name, values in figures.items()},
        )
        return measured.with_columns(
            pl.when(pl.col("text").is_not_null()).then(pl.col(name)).alias(name) for name in _ADDS
        )

    def _rules(self) -> Iterator[tuple[str, pl.Expr, pl.Expr]]:
        """Yields the name, the condition and the evidence of each rule, in the order in which they are applied."""
        nothing = pl.col("text").is_null() | (pl.col("text").str.strip_chars() == "")
        yield "missing", nothing, pl.lit("no text")
        for rule in (
            "max_char_repetition",
            "max_ngram_repetition",
            "max_special_share",
            "min_stop_word_share",
            "min_language_score",
        ):
            bound = getattr(self.config, rule)
            if bound is None:
                continue
            figure, sign = pl.col(f"text_{rule[4:]}"), "<" if rule.startswith("min_") else ">"
            # The figures are of single precision: 0.1 of them is a little more than 0.1.
            exact = np.float32(bound).item()
            broken = figure < exact if sign == "<" else figure > exact
            yield rule, broken, pl.format(f"{{}} {sign} {bound}", figure.cast(pl.Float64).round(4))


def _probability(scores: LanguageScores, languages: tuple[str, ...]) -> np.ndarray:
    """(n,) float32: the softmax of the normalised scores, summed over the languages."""
    shifted = np.exp(scores.scores - scores.scores.max(axis=1, keepdims=True))
    wanted = [LANGUAGES.index(language) for language in languages]
    return np.asarray(shifted[:, wanted].sum(axis=1) / shifted.sum(axis=1), np.float32)
