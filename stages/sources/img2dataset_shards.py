"""The shards in a folder that img2dataset wrote: what each is made of, and whether it is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import RecipeError
from stages.sources.parquet_slices import group_rows
from stages.sources.table_files import TableFile, TableFiles, reading
from stages.sources.tar_members import IMAGE_ENDINGS

ShardKind = Literal["webdataset", "parquet", "files"]

_STATUS_COLUMNS = ("url", "key", "status", "error_message")
_CHECKSUMS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "crc32c")
_REMEDY = "let img2dataset finish it, or delete what it left of it"


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard.

    Attributes:
        file: The Parquet file with a row for every input.
        kind: The `output_format` that it was written with.
        images: URL of the tar, of the folder, or of the Parquet file itself.
        version: Changes when the tar does: its size, and its checksum where the store keeps one.
    """

    file: TableFile
    kind: ShardKind
    images: str
    version: str


@dataclass(frozen=True, slots=True)
class ShardFooter:
    """What the footer of a shard's Parquet file says."""

    schema: pa.Schema
    groups: list[int]

    @property
    def image_column(self) -> str | None:
        """The column with the images, where they lie in the Parquet file."""
        names = [name for name in IMAGE_ENDINGS if name in self.schema.names]
        return next((name for name in names if _is_bytes(self.schema.field(name).type)), None)


def find_shards(paths: Sequence[str], options: Mapping[str, Any]) -> list[Shard]:
    """The shards of folders, those of each sorted by name.

    Raises:
        RecipeError: A folder cannot be listed, holds none, or holds some that are not finished.
    """
    shards: list[Shard] = []
    for entry, path in enumerate(paths):
        with reading(path, "check the path, and the credentials of its store"):
            # A listing that somebody else in this process has made before may be out of date.
            fs, folder = fsspec.core.url_to_fs(path, **{"use_listings_cache": False, **options})
            listed = {str(info["name"]).rstrip("/").rsplit("/", 1)[-1]: info for info in fs.ls(folder, detail=True)}
        found = [_shard(entry, fs, folder, name, listed) for name in sorted(listed) if name.endswith(".parquet")]
        if not found:
            raise RecipeError(f"{path}: holds no NNNNN.parquet; correct `path` to a folder that img2dataset wrote")
        _check_finished(path, listed)
        shards += found
    return shards


def read_footer(files: TableFiles, shard: Shard) -> ShardFooter:
    """The footer of a shard. Raises RecipeError where it is not finished, or img2dataset did not write it."""
    with reading(shard.file.path, _REMEDY), files.open(shard.file) as stream:
        parquet = pq.ParquetFile(stream)
        footer = ShardFooter(parquet.schema_arrow, group_rows(parquet))
    missing = [name for name in _STATUS_COLUMNS if name not in footer.schema.names]
    if missing:
        raise RecipeError(
            f"{shard.file.path}: has no column {missing[0]!r}, so img2dataset did not write it; read other tables by "
            "`kind: url_table`"
        )
    if shard.kind == "parquet" and footer.image_column is None:
        raise RecipeError(
            f"{shard.file.path}: there is no tar or folder beside it, and it has no column of images; copy the images, "
            "too, or read it as a list of URLs by `kind: url_table`"
        )
    return footer


def image_ending(shards: Sequence[Shard], options: Mapping[str, Any]) -> str:
    """What the images of `files` end with: img2dataset writes all of them in one format."""
    for shard in shards:
        if shard.kind == "files":
            fs, folder = fsspec.core.url_to_fs(shard.images, **options)
            for name in fs.ls(folder, detail=False):
                ending = str(name).rpartition(".")[2]
                if ending in IMAGE_ENDINGS:
                    return ending
    return IMAGE_ENDINGS[0]


def _shard(entry: int, fs: Any, folder: str, name: str, listed: Mapping[str, Mapping[str, Any]]) -> Shard:
    stem = name.removesuffix(".parquet")
    file = TableFile(entry, f"{folder.rstrip('/')}/{name}", name)
    tar = listed.get(f"{stem}.tar")
    if tar is not None:
        checksum = next((str(tar[field]) for field in _CHECKSUMS if tar.get(field)), "")
        url = fs.unstrip_protocol(f"{folder.rstrip('/')}/{stem}.tar")
        return Shard(file, "webdataset", url, f"{tar.get('size')} {checksum}")
    if f"{stem}.tfrecord" in listed:
        raise RecipeError(f"{file.path}: TFRecords are not read; write `webdataset`, `parquet` or `files`")
    if listed.get(stem, {}).get("type") == "directory":
        return Shard(file, "files", fs.unstrip_protocol(f"{folder.rstrip('/')}/{stem}"), "")
    return Shard(file, "parquet", fs.unstrip_protocol(file.path), "")


def _check_finished(path: str, listed: Mapping[str, object]) -> None:
    tars = [name for name in sorted(listed) if name.endswith(".tar")]
    lonely = [name for name in tars if f"{name.removesuffix('.tar')}.parquet" not in listed]
    if lonely:
        raise RecipeError(f"{path}: {lonely[0]} has no Parquet file beside it; {_REMEDY}")


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
