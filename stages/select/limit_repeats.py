"""`limit_repeats`: rejects texts that too many images share, and images that too many texts describe."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import Field, model_validator

from curation.contracts.config import StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.similarity.equals import hashed
from curation.text.normal_form import check_text_type, check_texts, normal_form


class LimitRepeatsConfig(StepConfig):
    """How often is too often.

    Texts are the same if their words are, case and punctuation aside. Of what is too many, none is kept.

    Attributes:
        column: The texts. Rows without one are kept.
        image: By what images are told apart: `sha256` of the file, `pdq` hash, or the `url`, before anything is
            fetched.
        max_images_per_text: Different images that may have a text. ALIGN: 10; null for any number.
        max_texts_per_image: Different texts that an image may have. ALIGN: 1000; null for any number.
    """

    kind: Literal["limit_repeats"] = "limit_repeats"
    column: str = "text"
    image: Literal["sha256", "pdq", "url"] = "sha256"
    max_images_per_text: int | None = Field(10, ge=1)
    max_texts_per_image: int | None = Field(1000, ge=1)

    @model_validator(mode="after")
    def _limits_something(self) -> LimitRepeatsConfig:
        if self.max_images_per_text is None and self.max_texts_per_image is None:
            raise ValueError("nothing to limit: state max_images_per_text or max_texts_per_image")
        return self


class LimitRepeats(Exchange):
    """Rejects rows whose text many images share ("image", "click to enlarge"), or whose image many texts describe.

    Both counts are taken of all rows, before any is rejected.

    Source: Jia et al., "Scaling up visual and vision-language representation learning with noisy text supervision"
        (2021), section 3. What departs: texts are compared without case and punctuation.
    """

    Config = LimitRepeatsConfig
    config: LimitRepeatsConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the text, and what tells images apart."""
        return ExchangeSpec("limit_repeats", 1, (self.config.column, self.config.image), ("text_images", "image_texts"))

    def check(self) -> None:
        """Whether the column can hold texts."""
        check_texts(self.config.column)

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Counts the different pairs of text and image by each; some 130 bytes a row are held for it."""
        check_text_type(frame, self.config.column)
        image, said = pl.col(self.config.image), normal_form(pl.col(self.config.column))
        # Hashes take a tenth of the memory of texts and digests.
        rows = frame.select("row", image=hashed(image), said=hashed(said))
        pairs = rows.select("said", "image").drop_nulls().unique()
        counted = rows.join(
            pairs.group_by("said").agg(text_images=pl.len().cast(pl.Int32)), on="said", how="left"
        ).join(pairs.group_by("image").agg(image_texts=pl.len().cast(pl.Int32)), on="image", how="left")
        reason, detail = pl.lit(None, pl.String), pl.lit(None, pl.String)
        for bound, column in (("max_images_per_text", "text_images"), ("max_texts_per_image", "image_texts")):
            limit = getattr(self.config, bound)
            if limit is not None:
                over = (pl.col(column) > limit) & pl.col("said").is_not_null()
                reason = pl.when(over).then(pl.lit(bound)).otherwise(reason)
                detail = pl.when(over).then(pl.format("{} > {}", column, pl.lit(limit))).otherwise(detail)
        return counted.select("row", reason=reason, detail=detail, text_images="text_images", image_texts="image_texts")
