"""The contract of a source: where the rows come from, and how any slice of them is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from curation.contracts.config import StepConfig

if TYPE_CHECKING:
    from curation.storage.store import Store


@dataclass(frozen=True, slots=True)
class SourceIndex:
    """What the driver learns of a source before the start, and the workers need to read from it.

    Attributes:
        rows: Number of input rows.
        fingerprint: Changes when a row, or the order of the rows, changes.
        columns: Schema of what `read` returns: `row`, `key`, `url`, `caption`, then the carried columns.
        state: JSON values of the source's own, such as files and their row counts.
    """

    rows: int
    fingerprint: str
    columns: pa.Schema
    state: dict[str, Any] = field(default_factory=dict)


class Source(ABC):
    """The first entry of a recipe."""

    Config: ClassVar[type[StepConfig]]

    def __init__(self, config: StepConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def carried(self) -> tuple[str, ...]:
        """Names of the columns carried along beside `url` and `caption`, as the recipe gives them."""

    @property
    def has_captions(self) -> bool:
        """Whether any row has a `caption`; True where that is not known."""
        return True

    @abstractmethod
    def check(self) -> None:
        """Looks before the start whether the source can be read. Raises RecipeError with the remedy."""

    @abstractmethod
    def index(self, workspace: Store) -> SourceIndex:
        """Counts the rows; a format without random access is first written to the workspace as Parquet, streaming.

        Indexing an unchanged source again gives the same index and writes nothing anew.

        Raises:
            RecipeError: The source cannot be read, or lacks a named column.
        """

    def slice_fingerprint(self, index: SourceIndex, start: int, stop: int) -> str:
        """Fingerprint of rows [start, stop), which is equal only where every column of every row is; reads no rows.

        It tells which parts of a source that has grown were measured before. This one tells it of an unchanged source
        alone; then rows are told by their keys, where the key covers all that a phase depends on.
        """
        return f"{index.fingerprint} {start} {stop}"

    @abstractmethod
    def read(self, index: SourceIndex, start: int, stop: int, workspace: Store) -> pa.Table:
        """Rows [start, stop) with the columns of `index.columns`, in memory of the slice alone."""
