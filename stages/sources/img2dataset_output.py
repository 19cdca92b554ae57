"""The source `img2dataset_output`: folders that img2dataset wrote, with every row, caption, column and image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from curation.contracts.config import StepConfig, Tuning
from curation.contracts.source import Source, SourceIndex
from curation.errors import CorruptionError, RecipeError
from curation.recipe.mistakes import did_you_mean
from curation.references.stored import StoredBytes
from curation.row_keys import row_keys
from curation.storage.parquet_files import naming_damage
from curation.storage.store import Store
from schemas.columns import COLUMNS, schema_of
from stages.sources.column_names import renamed_columns
from stages.sources.described_files import digest, plain_type
from stages.sources.img2dataset_shards import Shard, ShardFooter, find_shards, image_ending, read_footer
from stages.sources.parquet_slices import overlaps, read_slice, unreadable
from stages.sources.table_files import TableFile, TableFiles
from stages.sources.tar_members import Places, read_members, write_members

_GIVEN = ("reference", "reference_error")
_FOLDER = "source"
_INDEXING_THREADS = 8
_TAR_BLOCK_BYTES = 8 << 20
_VERSION = 1
_SUCCESS = "success"
_FILE_KEY = re.compile(r"\w[\w.-]*")


class Img2datasetOutputConfig(StepConfig):
    """Settings of `img2dataset_output`."""

    kind: Literal["img2dataset_output"] = "img2dataset_output"
    name: str | None = Field("web", pattern=r"^[a-z][a-z0-9_]*$", description="The source's name, part of every key.")
    path: str | tuple[str, ...] = Field(description="A folder that img2dataset wrote, or several; any fsspec URL.")
    caption_column: str | None = Field("caption", description="null: there are no captions.")
    carry: tuple[str, ...] | Literal["all"] = Field(
        "all",
        description="Further columns that go along. Those that are called like a column of the pipeline, such as "
        "`width`, get the prefix `source_`.",
    )
    max_rows: int | None = Field(None, ge=1, description="Only so many rows, the first ones.")
    storage_options: Tuning[dict[str, Any]] = Field(
        {}, description="For fsspec, such as {anon: true}. Saved with the run: leave secrets to the environment."
    )

    @property
    def paths(self) -> tuple[str, ...]:
        """The folders, always several."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @model_validator(mode="after")
    def _paths_are_named(self) -> Img2datasetOutputConfig:
        if not self.paths or not all(self.paths):
            raise ValueError("path: name at least one folder")
        return self


class Img2datasetOutput(Source):
    """Gives every row of the Parquet files beside the shards, in their order, those that were not downloaded too.

    Images stay where they are: `reference` says where, for `read_img2dataset` to read. Output as `webdataset`,
    `parquet` and `files` is read. The places of a tar's images are looked up once, by the first worker that needs them.
    """

    Config = Img2datasetOutputConfig
    config: Img2datasetOutputConfig

    def __init__(self, config: StepConfig) -> None:
        super().__init__(config)
        self._files = TableFiles(self.config.paths, self.config.storage_options)
        self._columns: dict[str, str] | None = None
        self._last_places: tuple[str, Places] = ("", {})

    @property
    def carried(self) -> tuple[str, ...]:
        """The carried columns of the first shard, and where the bytes are.

        Raises:
            RecipeError: The first shard cannot be read.
        """
        return (*self._carried_columns(), *_GIVEN)

    @property
    def has_captions(self) -> bool:
        """Whether a column of captions was named."""
        return self.config.caption_column is not None

    def check(self) -> None:
        """Lists the folders and looks at the first shard."""
        shards = find_shards(self.config.paths, self.config.storage_options)
        self._check_columns(shards[0], read_footer(self._files, shards[0]))

    def index(self, workspace: Store) -> SourceIndex:
        """Counts rows in the shards' footers."""
        shards = find_shards(self.config.paths, self.config.storage_options)
        with ThreadPoolExecutor(_INDEXING_THREADS) as threads:
            footers = list(threads.map(lambda shard: read_footer(self._files, shard), shards))
            identities = list(threads.map(lambda shard: self._files.identity(shard.file), shards))
        for shard, footer in zip(shards, footers, strict=True):
            self._check_columns(shard, footer)
        columns = pa.schema([*schema_of("row", "key", "url", "caption"), *self._fields(shards, footers)])
        total = sum(sum(footer.groups) for footer in footers)
        rows = min(total, self.config.max_rows or total)
        reading = [
            [_VERSION, self.config.step_name],
            sorted({**self._own_columns(), **self._carried_columns()}.items()),
            [[field.name, str(field.type)] for field in columns],
        ]
        versions = [
            [shard.file.name, shard.kind, shard.version, identity]
            for shard, identity in zip(shards, identities, strict=True)
        ]
        counts = [sum(footer.groups) for footer in footers]
        return SourceIndex(
            rows=rows,
            fingerprint=digest([reading, rows, versions, counts]),
            columns=columns,
            state={
                "wanted": {**self._own_columns(), **self._carried_columns()},
                "reading": digest(reading),
                "shards": [
                    {**_state_of(shard, footer), "identity": digest(version)}
                    for shard, footer, version in zip(shards, footers, versions, strict=True)
                ],
                "ending": image_ending(shards, self.config.storage_options),
            },
        )

    def slice_fingerprint(self, index: SourceIndex, start: int, stop: int) -> str:
        """Of the shards that hold some of the rows, and of the settings by which they are read."""
        held = overlaps(index.state["shards"], start, min(stop, index.rows))
        # How images are named in a folder of files is told by all its shards.
        reading = [index.state["reading"], index.state["ending"]]
        return digest([reading, [[shard["identity"], first, last] for shard, first, last in held]])

    def read(self, index: SourceIndex, start: int, stop: int, workspace: Store) -> pa.Table:
        """Rows [start, stop).

        Raises:
            CorruptionError: A shard changed since it was indexed.
            TransientError: A shard could not be read this time.
        """
        given = pa.schema([field for field in index.columns if field.name not in ("row", "key")])
        pieces = [
            _typed(self._read_shard({**index.state, **shard}, (first, last), workspace), given, last - first)
            for shard, first, last in overlaps(index.state["shards"], start, min(stop, index.rows))
        ]
        table = pa.concat_tables(pieces) if pieces else given.empty_table()
        keys = row_keys(self.config.step_name, table["url"].to_pylist(), table["caption"].to_pylist())
        table = table.add_column(0, COLUMNS["key"].field, pa.array(keys, pa.string()))
        return table.add_column(0, COLUMNS["row"].field, pa.array(range(start, start + table.num_rows), pa.int64()))

    def _read_shard(self, shard: Mapping[str, Any], rows: tuple[int, int], workspace: Store) -> dict[str, Any]:
        # Those that the references are made of have names here that no column of a file has.
        own = {f"#{name}": name for name in ("key", "status", "error_message")}
        there = {name: source for name, source in shard["wanted"].items() if source in shard["columns"]}
        try:
            with self._files.open(TableFile(shard["entry"], shard["path"], "")) as stream:
                values: dict[str, Any] = dict(read_slice(stream, {**there, **own}, shard["groups"], *rows))
            keys, statuses, errors = (values[name].to_pylist() for name in own)
            places = self._places(shard, keys, rows[0], workspace)
        except CorruptionError as error:
            raise CorruptionError(f"{shard['path']}: {error}") from error
        except (pa.ArrowException, OSError) as error:
            raise unreadable(shard["path"], error) from error
        references: list[str | None] = []
        reasons: list[str | None] = []
        for place, status, error in zip(places, statuses, errors, strict=True):
            there_is_one = status == _SUCCESS and place is not None
            references.append(str(place) if there_is_one else None)
            reasons.append(None if there_is_one else _why(status, error))
        values["reference"] = pa.array(references, pa.string())
        values["reference_error"] = pa.array(reasons, pa.string())
        return values

    def _places(
        self, shard: Mapping[str, Any], keys: Sequence[str], first: int, workspace: Store
    ) -> list[StoredBytes | None]:
        url = shard["images"]
        if shard["kind"] == "parquet":
            column = shard["image_column"]
            return [StoredBytes(url, row=first + place, column=column) for place in range(len(keys))]
        if shard["kind"] == "files":
            # A key is the name of a file in the folder, and of none elsewhere.
            named = [_FILE_KEY.fullmatch(key or "") is not None for key in keys]
            places = zip(keys, named, strict=True)
            return [StoredBytes(f"{url}/{key}.{shard['ending']}") if fine else None for key, fine in places]
        members = self._members(shard, workspace)
        ranges = [members.get(key) for key in keys]
        return [None if found is None else StoredBytes(url, offset=found[0], size=found[1]) for found in ranges]

    def _members(self, shard: Mapping[str, Any], workspace: Store) -> Places:
        stored = f"{_FOLDER}/members-{digest([_VERSION, shard['path'], shard['version']])}.parquet"
        if self._last_places[0] == stored:
            return self._last_places[1]
        if not workspace.exists(stored):
            fs, path = fsspec.core.url_to_fs(shard["images"], **self.config.storage_options)
            with fs.open(path, "rb", block_size=_TAR_BLOCK_BYTES) as tar, workspace.open_write(stored) as target:
                write_members(tar, target)
        with naming_damage(workspace.locate(stored)), workspace.open_read(stored) as stream:
            self._last_places = (stored, read_members(stream))
        return self._last_places[1]

    def _own_columns(self) -> dict[str, str]:
        caption = self.config.caption_column
        return {"url": "url"} if caption is None else {"url": "url", "caption": caption}

    def _carried_columns(self) -> dict[str, str]:
        """The carried columns, as `{name given: name in the file}`."""
        if self._columns is None:
            shard = find_shards(self.config.paths, self.config.storage_options)[0]
            footer = read_footer(self._files, shard)
            taken = {*self._own_columns().values(), footer.image_column}
            names = [name for name in footer.schema.names if name not in taken]
            if self.config.carry != "all":
                self._check_carried(shard, names)
                names = list(self.config.carry)
            self._columns = renamed_columns(names)
        return self._columns

    def _check_carried(self, shard: Shard, names: Sequence[str]) -> None:
        for name in self.config.carry:
            if name not in names:
                hint = did_you_mean(name, list(names))
                raise RecipeError(f"{shard.file.path}: has no column {name!r} to carry; correct `carry`{hint}")

    def _check_columns(self, shard: Shard, footer: ShardFooter) -> None:
        caption = self.config.caption_column
        names = footer.schema.names
        if caption is not None and caption not in names:
            raise RecipeError(
                f"{shard.file.path}: has no column {caption!r}; correct `caption_column`, or set it to null if there "
                f"are no captions{did_you_mean(caption, names)}"
            )
        known = {*self._own_columns().values(), footer.image_column, *self._carried_columns().values()}
        extra = [name for name in names if name not in known]
        if extra and self.config.carry == "all":
            raise RecipeError(
                f"{shard.file.path}: has the column {extra[0]!r}, which the first shard lacks; name the columns that "
                "shall go along as `carry`"
            )

    def _fields(self, shards: Sequence[Shard], footers: Sequence[ShardFooter]) -> list[pa.Field]:
        """The carried columns in types that hold the values of every shard."""
        carried = self._carried_columns()
        try:
            schemas = [_carried_schema(carried, footer.schema) for footer in footers]
            unified = pa.unify_schemas(schemas, promote_options="permissive")
        except pa.ArrowException as error:
            raise RecipeError(
                f"{shards[0].file.path}: a column has another type in another shard: {error}; name the columns that "
                "shall go along as `carry`"
            ) from error
        return [*(unified.field(name) for name in carried), *schema_of(*_GIVEN)]


def _carried_schema(carried: Mapping[str, str], schema: pa.Schema) -> pa.Schema:
    there = {name: source for name, source in carried.items() if source in schema.names}
    return pa.schema([(name, plain_type(schema.field(source).type)) for name, source in there.items()])


def _typed(values: Mapping[str, Any], schema: pa.Schema, rows: int) -> pa.Table:
    """The columns in the types of the schema, null where the shard has none of that name."""
    arrays = [
        pc.cast(values[field.name], field.type) if field.name in values else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _why(status: str | None, error: str | None) -> str:
    if status == _SUCCESS:
        return f"{_SUCCESS}: the shard holds no such image"
    return f"{status}: {error}" if error is not None else f"{status}"


def _state_of(shard: Shard, footer: ShardFooter) -> dict[str, Any]:
    return {
        "entry": shard.file.entry,
        "path": shard.file.path,
        "kind": shard.kind,
        "images": shard.images,
        "version": shard.version,
        "groups": footer.groups,
        "columns": footer.schema.names,
        "image_column": footer.image_column,
    }
