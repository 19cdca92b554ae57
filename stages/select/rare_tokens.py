"""`rare_tokens`: drops texts with a word that is rare in the texts of all rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from curation.contracts.config import StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.text.interned_words import InternedWords, interned_words, rarest_words
from curation.text.word_pairs import Tokens, last_of_most_frequent, pair_counts, rarest_tokens


class RareTokensConfig(StepConfig):
    """What is rare. Words are counted over all rows that are alive here, each as often as it occurs.

    Attributes:
        min_count: Least occurrences of every word of a text.
        most_frequent: Every word of a text must be among this many, the most frequent single words and pairs of
            neighbours together. Of equal counts those that come first in the alphabet are in.
        judge: `words` looks for single words alone outside `most_frequent`; `words_and_pairs` for pairs as well.
    """

    kind: Literal["rare_tokens"] = "rare_tokens"
    min_count: int | None = Field(None, ge=1)
    most_frequent: int | None = Field(None, ge=1)
    judge: Literal["words", "words_and_pairs"] = "words"

    @model_validator(mode="after")
    def _has_a_bound(self) -> RareTokensConfig:
        if self.min_count is None and self.most_frequent is None:
            raise ValueError("nothing is rare without min_count or most_frequent: give one of them")
        if self.judge == "words_and_pairs" and self.most_frequent is None:
            raise ValueError("pairs are judged by most_frequent alone: give it, or judge words")
        return self


class RareTokens(Exchange):
    """Rejects every row whose text has a rare word, and names the rarest. A text without words has none.

    Held in memory are one copy of each different word and four bytes for every word of every text, twice as many with
    `most_frequent`. That one counts pairs 4 million at a time on up to 8 processors, at 40 bytes each, and those that
    begin with the same word at once.
    """

    Config = RareTokensConfig
    config: RareTokensConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the text alone."""
        return ExchangeSpec("rare_tokens", 1, ("text",), ("text_rarest_count",))

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Counts all words, and pairs if they matter, then looks for the rarest of each text."""
        rows, texts = interned_words(frame)
        rarest = rarest_words(texts)
        count = np.append(texts.counts, 0)[rarest]
        judged = {"row": rows, "word": _numbers(rarest), "count": pl.Series(count).set(pl.Series(rarest < 0), None)}
        if self.config.most_frequent is not None:
            worst = self._outside(texts, Tokens(count, rarest, np.full(len(rarest), -1, np.int64)))
            judged |= {name: _numbers(getattr(worst, name)) for name in ("first", "second")}
            judged["worst_count"] = pl.Series(worst.count)
        words = texts.words
        del texts
        return self._told(pl.LazyFrame(judged), words)

    def _outside(self, texts: InternedWords, rarest: Tokens) -> Tokens:
        """Of each text the rarest token that is judged, where it is not among the most frequent; elsewhere none."""
        pairs = pair_counts(texts)
        last = last_of_most_frequent(texts, pairs, self.config.most_frequent or 1)
        judged = rarest
        if self.config.judge == "words_and_pairs":
            judged = rarest_tokens(texts, pairs, rarest.first)
        outside = last.is_before(judged) if last else np.zeros(len(judged.first), bool)
        return Tokens(judged.count, np.where(outside, judged.first, -1), np.where(outside, judged.second, -1))

    def _told(self, judged: pl.LazyFrame, words: pl.Series) -> pl.LazyFrame:
        """The verdicts. Words are put in the place of their numbers some rows at a time."""

        def named(column: str) -> pl.Expr:
            return pl.col(column).map_batches(words.gather, pl.String, is_elementwise=True)

        most, least = self.config.most_frequent, self.config.min_count
        reason, detail = pl.lit(None, pl.String), pl.lit(None, pl.String)
        if most is not None:
            outside = pl.col("first").is_not_null()
            reason = pl.when(outside).then(pl.lit("most_frequent")).otherwise(reason)
            worst = pl.concat_str(named("first"), named("second"), separator=" ", ignore_nulls=True)
            told = pl.format(f"{{}}: {{}}, not among the {most} most frequent", worst, "worst_count")
            detail = pl.when(outside).then(told).otherwise(detail)
        if least is not None:
            rare = pl.col("count") < least
            reason = pl.when(rare).then(pl.lit("min_count")).otherwise(reason)
            detail = pl.when(rare).then(pl.format(f"{{}}: {{}} < {least}", named("word"), "count")).otherwise(detail)
        return judged.select("row", reason=reason, detail=detail, text_rarest_count="count")


def _numbers(of_words: npt.NDArray[np.int64]) -> pl.Series:
    """(n,) UInt32: numbers of words, null for -1."""
    return pl.Series(of_words.astype(np.uint32)).set(pl.Series(of_words < 0), None)
