"""The source `url_table`: tables of URLs and captions as Parquet, CSV, JSON lines, or plain lists of URLs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.source import Source, SourceIndex
from curation.errors import CorruptionError
from curation.row_keys import row_keys
from curation.storage.parquet_files import naming_damage
from curation.storage.store import Store
from schemas.columns import COLUMNS, schema_of
from stages.sources.column_names import renamed_columns
from stages.sources.described_files import FileDescriber, carried_fields, digest
from stages.sources.parquet_slices import overlaps, read_slice, unreadable
from stages.sources.table_files import Format, TableFile, TableFiles

_INDEXING_THREADS = 8
_VERSION = 1


class UrlTableConfig(StepConfig):
    """Settings of `url_table`."""

    kind: Literal["url_table"] = "url_table"
    name: str | None = Field("web", pattern=r"^[a-z][a-z0-9_]*$", description="The source's name, part of every key.")
    path: str | tuple[str, ...] = Field(description="A file, folder or glob, or several; any fsspec URL.")
    format: Literal["auto", "parquet", "csv", "jsonl", "txt"] = Field(
        "auto", description="auto: by the files' endings."
    )
    url_column: str = "url"
    caption_column: str | None = Field("caption", description="null: there are no captions.")
    carry: tuple[str, ...] | dict[str, str] | Literal["all"] = Field(
        (),
        description="Further columns that go along: a list, a mapping {new name: column}, or all. Of `all`, those that "
        "are called like a column of the pipeline get the prefix `source_`.",
    )
    max_rows: int | None = Field(None, ge=1, description="Only so many rows, the first ones.")
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="Of CSV; null: tab in .tsv, else comma."
    )
    encoding: str = Field("utf-8", description="Of CSV, JSON lines and txt.")
    storage_options: Tuning[dict[str, Any]] = Field(
        {}, description="For fsspec, such as {anon: true}. Saved with the run: leave secrets to the environment."
    )

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, always several."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @model_validator(mode="after")
    def _carried_columns_have_names_of_their_own(self) -> UrlTableConfig:
        if not self.paths or not all(self.paths):
            raise ValueError("path: name at least one file, folder or glob")
        if self.carry == "all":
            return self
        for name, count in Counter(list(self.carry)).items():
            if count > 1:
                raise ValueError(f"carry: {name} is named twice")
            if name in COLUMNS:
                raise ValueError(
                    f"carry: `{name}` is a column of the pipeline; carry it under another name: "
                    f"`carry: {{source_{name}: {name}}}`"
                )
        return self


class UrlTable(Source):
    """Reads the rows of all files one after the other: those of a folder or glob by name, those of a list as listed.

    Parquet files are read where they lie. The other formats are written to the workspace once, as Parquet; the types of
    their carried columns are the narrowest that every value fits (whole numbers, numbers, true or false, else text).
    In CSV an empty field is null and `""` an empty text; in JSON lines a missing key is null; blank lines are no rows.
    """

    Config = UrlTableConfig
    config: UrlTableConfig

    def __init__(self, config: StepConfig) -> None:
        super().__init__(config)
        self._files = TableFiles(self.config.paths, self.config.storage_options)
        self._renamed: dict[str, str] | None = None

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of the carried columns. With `carry: all` the first file is asked, once.

        Raises:
            RecipeError: With `carry: all`, the first file cannot be read.
        """
        return tuple(self._carried_columns())

    @property
    def has_captions(self) -> bool:
        """Whether a column of captions was named, and the files have columns."""
        return self.config.caption_column is not None and self._files.find(self.config.format)[1] != "txt"

    def check(self) -> None:
        """Finds the files and looks at the columns of the first."""
        files, format = self._files.find(self.config.format)
        self._describer(format).check(files[0], self._wanted(format))

    def index(self, workspace: Store) -> SourceIndex:
        """Counts rows in the files' footers; writes text formats to the workspace first, unless they are there."""
        files, format = self._files.find(self.config.format)
        wanted = self._wanted(format)
        describer = self._describer(format)
        # Footers are a matter of waiting for a store, while parsing text keeps the processors busy by itself.
        with ThreadPoolExecutor(_INDEXING_THREADS if format == "parquet" else 1) as threads:
            described = list(threads.map(lambda file: describer.describe(file, wanted, workspace), files))
        columns = pa.schema([*schema_of("row", "key", "url", "caption"), *carried_fields(files, described)])
        total = sum(sum(one.groups) for one in described)
        rows = min(total, self.config.max_rows or total)
        reading = [
            [_VERSION, self.config.step_name, format, self.config.delimiter, self.config.encoding],
            sorted(wanted.items()),
            [[field.name, str(field.type)] for field in columns],
        ]
        held = [
            {
                "entry": file.entry,
                "path": file.path,
                "stored": one.stored,
                "groups": one.groups,
                "identity": f"{file.name} {one.identity}",
            }
            for file, one in zip(files, described, strict=True)
        ]
        counts = [[file["identity"], sum(one.groups)] for file, one in zip(held, described, strict=True)]
        return SourceIndex(
            rows=rows,
            fingerprint=digest([reading, rows, counts]),
            columns=columns,
            state={"wanted": wanted, "reading": digest(reading), "files": held},
        )

    def slice_fingerprint(self, index: SourceIndex, start: int, stop: int) -> str:
        """Of the files that hold some of the rows, and of the settings by which they are read."""
        held = overlaps(index.state["files"], start, min(stop, index.rows))
        return digest([index.state["reading"], [[file["identity"], first, last] for file, first, last in held]])

    def read(self, index: SourceIndex, start: int, stop: int, workspace: Store) -> pa.Table:
        """Rows [start, stop).

        Raises:
            CorruptionError: A file changed since it was indexed.
            TransientError: A file could not be read this time.
        """
        given = pa.schema([field for field in index.columns if field.name not in ("row", "key")])
        pieces = [
            _typed(self._read_file(file, index.state["wanted"], first, last, workspace), given, last - first)
            for file, first, last in overlaps(index.state["files"], start, min(stop, index.rows))
        ]
        table = pa.concat_tables(pieces) if pieces else given.empty_table()
        urls, captions = table["url"].to_pylist(), table["caption"].to_pylist()
        keys = row_keys(self.config.step_name, urls, captions)
        table = table.add_column(0, COLUMNS["key"].field, pa.array(keys, pa.string()))
        return table.add_column(0, COLUMNS["row"].field, pa.array(range(start, start + table.num_rows), pa.int64()))

    def _read_file(
        self, file: Mapping[str, Any], wanted: Mapping[str, str], start: int, stop: int, workspace: Store
    ) -> dict[str, pa.ChunkedArray]:
        try:
            if file["stored"] is None:
                with self._files.open(TableFile(file["entry"], file["path"], "")) as stream:
                    return read_slice(stream, wanted, file["groups"], start, stop)
            # The copy in the workspace has the names that the columns are given.
            with naming_damage(workspace.locate(file["stored"])), workspace.open_read(file["stored"]) as stream:
                return read_slice(stream, {name: name for name in wanted}, file["groups"], start, stop)
        except CorruptionError as error:
            raise CorruptionError(f"{file['path']}: {error}") from error
        except (pa.ArrowException, OSError) as error:
            raise unreadable(file["path"], error) from error

    def _describer(self, format: Format) -> FileDescriber:
        return FileDescriber(self._files, format, self.config.delimiter, self.config.encoding)

    def _wanted(self, format: Format) -> dict[str, str]:
        """All columns that are read, as `{name given: name in the file}`."""
        wanted = {"url": self.config.url_column}
        if self.config.caption_column is not None and format != "txt":
            wanted["caption"] = self.config.caption_column
        return {**wanted, **self._carried_columns()}

    def _carried_columns(self) -> dict[str, str]:
        """The carried columns, as `{name given: name in the file}`."""
        carry = self.config.carry
        if isinstance(carry, dict):
            return carry
        if carry != "all":
            return {name: name for name in carry}
        if self._renamed is None:
            files, format = self._files.find(self.config.format)
            taken = (self.config.url_column, self.config.caption_column)
            names = self._describer(format).column_names(files[0])
            self._renamed = renamed_columns([name for name in names if name not in taken])
        return self._renamed


def _typed(values: Mapping[str, pa.ChunkedArray], schema: pa.Schema, rows: int) -> pa.Table:
    """The columns in the types of the schema, null where the file has none of that name."""
    columns = [
        pc.cast(values[field.name], field.type) if field.name in values else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
