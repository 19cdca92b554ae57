"""`rare_tokens`: drops texts with a word that is rare in the texts of all rows."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field, model_validator

from curation.contracts.config import StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.text.words import words


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

    The counts of all different tokens are held in memory, some 50 bytes for each: of words, and with `most_frequent` of
    pairs as well.
    """

    Config = RareTokensConfig
    config: RareTokensConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the text alone."""
        return ExchangeSpec("rare_tokens", 1, ("text",), ("text_rarest_count",))

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Counts all tokens, then looks for the rarest of each text: the tokens of all rows are never held at once."""
        ranked = self._ranked(frame)
        judged = _rarest_word(frame, ranked)
        most, least = self.config.most_frequent, self.config.min_count
        reason, detail = pl.lit(None, pl.String), pl.lit(None, pl.String)
        if most is not None:
            outside = pl.col("rank") >= most
            reason = pl.when(outside).then(pl.lit("most_frequent")).otherwise(reason)
            named = pl.format(f"{{}}: {{}}, not among the {most} most frequent", "worst", "worst_count")
            detail = pl.when(outside).then(named).otherwise(detail)
            if self.config.judge == "words_and_pairs":
                worst = _rarest_token(frame, ranked.filter(pl.col("rank") >= most))
                judged = judged.drop("rank").join(worst, on="row", how="left")
            else:
                judged = judged.with_columns(worst="token", worst_count="count")
        if least is not None:
            rare = pl.col("count") < least
            reason = pl.when(rare).then(pl.lit("min_count")).otherwise(reason)
            detail = pl.when(rare).then(pl.format(f"{{}}: {{}} < {least}", "token", "count")).otherwise(detail)
        return judged.select("row", reason=reason, detail=detail, text_rarest_count=pl.col("count").cast(pl.Int64))

    def _ranked(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """Every token with its count, and its rank from 0 for the most frequent."""
        pairs = self.config.most_frequent is not None
        counts = _tokens(frame, pairs).group_by("token").agg(count=pl.len()).collect(engine="streaming")
        return counts.sort(["count", "token"], descending=[True, False]).with_row_index("rank")


def _tokens(frame: pl.LazyFrame, pairs: bool) -> pl.LazyFrame:
    """One line for each occurrence of a token: `row` and `token`."""
    listed = frame.select("row", token=words(pl.col("text")))
    if pairs:
        following = pl.element() + " " + pl.element().shift(-1)
        listed = listed.with_columns(pl.concat_list("token", pl.col("token").list.eval(following.drop_nulls())))
    return listed.explode("token").drop_nulls("token")


def _rarest_word(frame: pl.LazyFrame, ranked: pl.DataFrame) -> pl.LazyFrame:
    """Every `row`, and `rank`, `token` and `count` of the rarest word of each text that has any."""
    single = ranked.filter(~pl.col("token").str.contains(" ", literal=True))
    if single.is_empty():
        return frame.select("row", *(pl.lit(None, kind).alias(name) for name, kind in single.schema.items()))
    # In the order of their ranks, words are numbers of which the largest is the rarest: nothing has to be joined.
    number = pl.element().cast(pl.Enum(single["token"])).cat.physical()
    largest = words(pl.col("text")).list.eval(number).list.max()

    def named(numbers: pl.Series) -> pl.Series:
        return single.select(pl.all().gather(numbers)).to_struct()

    kind = pl.Struct(single.schema)
    return frame.select("row", rarest=largest.map_batches(named, kind, is_elementwise=True)).unnest("rarest")


def _rarest_token(frame: pl.LazyFrame, outside: pl.DataFrame) -> pl.LazyFrame:
    """`row`, and `rank`, `worst` and `worst_count` of the rarest token of each text that has one of the given."""
    ranks = _tokens(frame, pairs=True).join(outside.lazy().select("token", "rank"), on="token")
    named = outside.lazy().select("rank", worst="token", worst_count="count")
    return ranks.group_by("row").agg(pl.col("rank").max()).join(named, on="rank")
