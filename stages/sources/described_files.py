"""What a source must know of each of its files before it can read slices: rows, columns, types, identity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import CorruptionError, RecipeError
from curation.recipe.mistakes import did_you_mean
from curation.storage.parquet_files import naming_damage
from curation.storage.store import Store
from curation.storage.stored_records import VERIFY_HINT
from schemas.columns import COLUMNS
from stages.sources.inferred_types import Candidates, from_metadata, resolve
from stages.sources.parquet_slices import group_rows
from stages.sources.table_files import Format, TableFile, TableFiles, reading
from stages.sources.text_tables import CANDIDATES_KEY, TextLayout, column_names, write_as_parquet

_FOLDER = "source"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class DescribedFile:
    """One file as the index knows it.

    Attributes:
        identity: Of its content.
        stored: The Parquet file in the workspace that stands for it; None where it is Parquet itself.
        groups: Rows of each row group.
        fields: The carried columns.
        candidates: Of the carried columns, where they came as text.
    """

    identity: str
    stored: str | None
    groups: list[int]
    fields: pa.Schema
    candidates: dict[str, Candidates]


class FileDescriber:
    """Describes files of one format.

    Args:
        files: What opens them.
        format: Of all files.
        delimiter: Of CSV; None: by the file's ending.
        encoding: Of text.
    """

    def __init__(self, files: TableFiles, format: Format, delimiter: str | None, encoding: str) -> None:
        self._files = files
        self._format = format
        self._delimiter = delimiter
        self._encoding = encoding
        self._remedy = (
            "check that it is a Parquet file, or state its `format`"
            if format == "parquet"
            else f"mend the file, or correct the `encoding` or the `format` (it was read as {format})"
        )

    def column_names(self, file: TableFile) -> list[str]:
        """Names of the columns of a file. Raises RecipeError where it cannot be read."""
        with reading(file.path, self._remedy):
            if self._format == "parquet":
                with self._files.open(file) as stream:
                    return list(pq.read_schema(stream).names)
            with self._files.open_unpacked(file) as stream:
                return column_names(self._format, stream, self._layout(file, {}))

    def check(self, file: TableFile, wanted: Mapping[str, str]) -> None:
        """Whether a file has the columns `{name given: name in the file}`. Raises RecipeError."""
        if self._format == "parquet":
            with reading(file.path, self._remedy), self._files.open(file) as stream:
                schema = pq.read_schema(stream)
            _check_names(file, wanted, schema.names, self._format)
            _check_types(file, wanted, schema)
            return
        names = self.column_names(file)
        if self._format == "csv":
            _check_names(file, wanted, names, self._format)
        elif self._format == "txt":
            _check_names(file, {name: source for name, source in wanted.items() if name != "url"}, names, self._format)
        elif names:
            # Another key may come late in the file; indexing sees all of it.
            _check_names(file, {"url": wanted["url"]}, names, self._format)

    def describe(self, file: TableFile, wanted: Mapping[str, str], workspace: Store) -> DescribedFile:
        """Checks and describes a file; text is first written to the workspace as Parquet, unless it is there."""
        self.check(file, wanted)
        with reading(file.path, self._remedy):
            identity = self._files.identity(file)
            if self._format == "parquet":
                return self._describe_parquet(file, wanted, identity)
            return self._describe_text(file, wanted, identity, workspace)

    def _describe_parquet(self, file: TableFile, wanted: Mapping[str, str], identity: str) -> DescribedFile:
        with self._files.open(file) as stream:
            footer = pq.ParquetFile(stream)
            schema, groups = footer.schema_arrow, group_rows(footer)
        carried = {name: source for name, source in wanted.items() if name not in COLUMNS}
        fields = [pa.field(name, plain_type(schema.field(source).type)) for name, source in carried.items()]
        return DescribedFile(identity, None, groups, pa.schema(fields), {})

    def _describe_text(
        self, file: TableFile, wanted: Mapping[str, str], identity: str, workspace: Store
    ) -> DescribedFile:
        layout = self._layout(file, wanted)
        ending = file.path.rpartition(".")[2]
        settings = [self._format, ending, layout.delimiter, layout.encoding, sorted(wanted.items())]
        stored = f"{_FOLDER}/{digest([_VERSION, identity, settings])}.parquet"
        if not workspace.exists(stored):
            with self._files.open_unpacked(file) as stream, workspace.open_write(stored) as target:
                write_as_parquet(self._format, stream, layout, target)
        with naming_damage(workspace.locate(stored)), workspace.open_read(stored) as stream:
            footer = pq.ParquetFile(stream)
            groups, metadata = group_rows(footer), footer.metadata.metadata or {}
        try:
            candidates = from_metadata(metadata[CANDIDATES_KEY.encode()].decode())
        except (KeyError, ValueError) as error:
            raise CorruptionError(f"{workspace.locate(stored)}: says nothing of types; {VERIFY_HINT}") from error
        fields = pa.schema([pa.field(name, pa.string()) for name in candidates])
        return DescribedFile(identity, stored, groups, fields, candidates)

    def _layout(self, file: TableFile, wanted: Mapping[str, str]) -> TextLayout:
        delimiter = self._delimiter or ("\t" if file.suffix == ".tsv" else ",")
        return TextLayout(columns=wanted, delimiter=delimiter, encoding=self._encoding)


def digest(values: Sequence[Any]) -> str:
    """Hash of JSON values, 32 hexadecimal digits."""
    return sha256(json.dumps(values, separators=(",", ":")).encode()).hexdigest()[:32]


def carried_fields(files: Sequence[TableFile], described: Sequence[DescribedFile]) -> list[pa.Field]:
    """The carried columns in types that hold the values of every file.

    Raises:
        RecipeError: Two files have types that do not go together.
    """
    unified = described[0].fields
    for file, one in zip(files[1:], described[1:], strict=True):
        try:
            unified = pa.unify_schemas([unified, one.fields], promote_options="permissive")
        except pa.ArrowException as error:
            raise RecipeError(
                f"{file.path}: a carried column has another type than in the files before it: {error}; "
                f"leave it out of `carry`, or give it one type in all files"
            ) from error
    if not described[0].candidates:
        return list(unified)
    return [
        pa.field(name, resolve(frozenset.intersection(*(one.candidates[name] for one in described))))
        for name in unified.names
    ]


def _check_names(file: TableFile, wanted: Mapping[str, str], names: Sequence[str], format: Format) -> None:
    for name, source in wanted.items():
        if source in names:
            continue
        setting = {"url": "url_column", "caption": "caption_column"}.get(name, "carry")
        without = ", or set it to null if there are no captions" if name == "caption" else ""
        alike = next((known for known in names if known.casefold() == source.casefold()), source)
        header = "; in CSV the first line names the columns" if format == "csv" else ""
        header += ", and `delimiter` parts them" if header and len(names) == 1 else ""
        raise RecipeError(
            f"{file.path}: has no column {source!r}; correct `{setting}`{without}"
            f"{did_you_mean(alike, list(names))}{header}"
        )


def _check_types(file: TableFile, wanted: Mapping[str, str], schema: pa.Schema) -> None:
    for name in ("url", "caption"):
        kind = plain_type(schema.field(wanted[name]).type) if name in wanted else pa.string()
        if not (pa.types.is_string(kind) or pa.types.is_null(kind)):
            raise RecipeError(
                f"{file.path}: its column {wanted[name]!r} is {kind}, not text; name another one as `{name}_column`"
            )


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type without its encoding: dictionaries by their values, all kinds of text as one."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) else kind
