"""`text_blocklist`: drops texts that have a word or a phrase of given lists."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import polars as pl
import pyarrow as pa
from pydantic import Field

from curation.contracts.config import StepConfig
from curation.contracts.marks import Mark, rejected, with_marks
from curation.contracts.stage import Stage, StageSpec
from curation.text.blocklist import found_entries, read_entries
from schemas.columns import COLUMNS


class TextBlocklistConfig(StepConfig):
    """Which lists, and how many finds are too many.

    Attributes:
        files: Paths of the lists, anywhere fsspec reaches: one word or phrase a line, in UTF-8; `#` begins a comment.
            They are found as whole words, in any case, whatever punctuation stands between. What a file contains is
            part of the step's fingerprint: a changed list is another decision.
        max_found: Finds that a text may have; null drops none and only counts.
    """

    kind: Literal["text_blocklist"] = "text_blocklist"
    files: tuple[str, ...] = Field(min_length=1)
    max_found: int | None = Field(0, ge=0)


class TextBlocklist(Stage):
    """Counts the entries of the lists in every text. A row without text has none."""

    Config = TextBlocklistConfig
    config: TextBlocklistConfig

    def __init__(self, config: TextBlocklistConfig) -> None:
        super().__init__(config)
        self._entries: list[str] | None = None

    @property
    def spec(self) -> StageSpec:
        """Judges the text alone, row by row."""
        return StageSpec("text_blocklist", 1, ("text",), ("text_blocked",), rowwise=True, decides=True)

    def check(self) -> None:
        """Reads the lists."""
        self._listed()

    def content_digest(self) -> str:
        """That of the entries: a list in another order, or with other comments, is the same list."""
        return sha256("\n".join(self._listed()).encode()).hexdigest()

    def _listed(self) -> list[str]:
        if self._entries is None:
            self._entries = read_entries(self.config.files)
        return self._entries

    def setup(self) -> None:
        """Reads the lists, unless they came along from the driver, whose paths may mean nothing here."""
        self._listed()

    def close(self) -> None:
        """Lets the lists go."""
        self._entries = None

    def process(self, table: pa.Table) -> pa.Table:
        """Adds the number of finds, and marks what has too many."""
        assert self._entries is not None, "setup comes first"
        text = pl.Series("text", pl.from_arrow(table["text"]), dtype=pl.String)
        found = found_entries(text, self._entries)
        counts = found.list.len().fill_null(0).cast(pl.Int32)
        column = COLUMNS["text_blocked"]
        table = table.append_column(column.field, counts.to_arrow().cast(column.type))
        marks: list[Mark | None] = [None] * len(text)
        most = self.config.max_found
        if most is not None:
            for place in (counts > most).arg_true():
                marks[place] = rejected("max_found", f"{counts[place]} > {most}: {found[place][0]}")
        return with_marks(table, marks) if any(marks) else table
