"""Verdicts as an exchange gave them, in any order of rows: on disk, from where they are read some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from curation.engine.lineage import Lineage
from curation.engine.live_rows import rows_of, slices_of_parts
from curation.errors import CurationError, RecipeError, first_line

_GROUP_ROWS = 250_000
_GROUP_ROWS_OF_MANY = 32_768
_MOST_FILES = 64
"""Each is written beside the others and holds a row group in memory."""
_FILE = "file"


@contextmanager
def named_errors(step: str) -> Iterator[None]:
    """Lets errors say which step they are of.

    Raises:
        CurationError: Whatever an exchange failed of, by the name of its step.
    """
    try:
        yield
    except (RecipeError, CurationError) as error:
        if type(error) not in (RecipeError, CurationError) or step in str(error):
            raise
        raise type(error)(f"step {step}: {error}") from error
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise CurationError(f"step {step}: {first_line(error)}") from error


class GivenVerdicts:
    """The verdicts of one exchange, cut by rows into some files, so that few of them are read for some parts.

    Args:
        lineage: Whose rows are judged.
        folder: Where the files go.
    """

    def __init__(self, lineage: Lineage, folder: Path) -> None:
        self._lineage = lineage
        self._folder = folder
        self._slices = list(slices_of_parts(lineage))
        # So many slices of parts are in one file.
        self._step = -(-len(self._slices) // _MOST_FILES) or 1
        self._count = max(1, -(-len(self._slices) // self._step))
        self._columns: dict[str, pl.DataType] = {}

    def write(self, decide: Callable[[], pl.LazyFrame], adds: Sequence[str], name: str) -> None:
        """Writes them as they come.

        Raises:
            CurationError: The exchange failed, or its verdicts lack columns.
        """
        with named_errors(name):
            verdicts = _named(decide(), adds, name)
            self._columns = dict(verdicts.collect_schema())
            if self._count == 1:
                verdicts.sink_parquet(self._path(0), compression="lz4", row_group_size=_GROUP_ROWS, engine="streaming")
                return
            scheme = pl.PartitionBy(
                self._folder,
                key=_FILE,
                include_key=False,
                approximate_bytes_per_file=None,
                file_path_provider=lambda args: self._path(args.partition_keys[_FILE][0]).name,
            )
            verdicts.with_columns(self._file().alias(_FILE)).sink_parquet(
                scheme, compression="lz4", row_group_size=_GROUP_ROWS_OF_MANY, engine="streaming"
            )

    def slices(self) -> Iterator[tuple[range, pl.LazyFrame]]:
        """All parts, in ranges, and the verdicts on rows of theirs."""
        for place, parts in enumerate(self._slices):
            path = self._path(place // self._step)
            yield parts, self._scan([path]).filter(rows_of(self._lineage, parts))

    def all(self) -> pl.LazyFrame:
        """Every verdict, those on rows that there are not included."""
        return self._scan([self._path(number) for number in range(self._count)])

    def _file(self) -> pl.Expr:
        """The number of the file of each row; any file for what is no row."""
        rows = self._lineage.bounds(self._slices[0][-1])[1] * self._step
        return (pl.col("row").fill_null(0) // rows).clip(0, self._count - 1).cast(pl.UInt32)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04d}.parquet"

    def _scan(self, paths: Sequence[Path]) -> pl.LazyFrame:
        there = [path for path in paths if path.exists()]
        return pl.scan_parquet(there, glob=False) if there else pl.LazyFrame(schema=self._columns)


def _named(verdicts: pl.LazyFrame, adds: Sequence[str], name: str) -> pl.LazyFrame:
    """Verdicts whose rules have the name of the step before them."""
    missing = {"row", "reason", "detail", *adds} - set(verdicts.collect_schema().names())
    if missing:
        raise CurationError(f"step {name}: its verdicts lack {', '.join(sorted(missing))}")
    named = pl.format(f"{name}.{{}}", pl.col("reason").cast(pl.String)).alias("reason")
    return verdicts.select("row", "reason", "detail", *adds).with_columns(named)


def collected_verdicts(decide: Callable[[], pl.LazyFrame], adds: Sequence[str], name: str) -> pl.DataFrame:
    """Verdicts in memory, by the names of their rules.

    Raises:
        CurationError: As of `GivenVerdicts.write`.
    """
    with named_errors(name):
        return _named(decide(), adds, name).collect(engine="streaming")
