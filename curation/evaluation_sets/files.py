"""The files of an evaluation set: a folder of images, WebDataset shards, or tables of hashes and descriptors."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, Literal

import fsspec

from curation.errors import RecipeError

Kind = Literal["images", "shards", "tables"]

_ENDINGS: dict[str, Kind] = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif"), "images"),
    ".tar": "shards",
    **dict.fromkeys((".parquet", ".parq", ".pq"), "tables"),
}
_MARKS = ("ETag", "etag", "md5Hash", "checksum", "crc32c", "mtime", "LastModified", "last_modified", "updated")
"""What file systems say of a file by which a change of it is noticed."""


@dataclass(frozen=True)
class SetFiles:
    """The files of one set.

    Attributes:
        path: As the recipe names it.
        kind: What they are.
        paths: As their file system knows them, in ascending order.
        digest: Changes when a file does: of names, sizes and times of change, or checksums where the store keeps them.
    """

    path: str
    kind: Kind
    paths: tuple[str, ...]
    digest: str
    file_system: Any

    def names(self) -> list[str]:
        """The paths, relative to what they have in common."""
        if len(self.paths) == 1:
            return [PurePosixPath(self.paths[0]).name]
        parents = [PurePosixPath(path).parent.parts for path in (self.paths[0], self.paths[-1])]
        common = sum(1 for _ in _while_equal(*parents))
        return ["/".join(PurePosixPath(path).parts[common:]) for path in self.paths]

    def check_shards(self) -> None:
        """Whether there is an image in any shard; reads up to the first.

        Raises:
            RecipeError: There is none, or a shard before it cannot be read.
        """
        if self.kind == "shards" and next(self.bodies(), None) is None:
            raise RecipeError(f"{self.path}: its shards hold no images, so it would keep nothing out; correct `path`")

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of every image, in the order of the files.

        Raises:
            RecipeError: A file cannot be read.
        """
        for path, name in zip(self.paths, self.names(), strict=True):
            try:
                with self.file_system.open(path, "rb") as stream:
                    if self.kind == "images":
                        yield name, stream.read()
                        continue
                    with tarfile.open(fileobj=stream, mode="r|*") as tar:
                        for member in tar:
                            file = tar.extractfile(member) if _kind_of(member.name) == "images" else None
                            if file is not None:
                                yield f"{name}/{member.name}", file.read()
            except (OSError, tarfile.TarError) as error:
                raise RecipeError(
                    f"{path}: cannot be read: {error}; mend the file, or take it out of the set"
                ) from error


def find_set(path: str, wanted: Kind | Literal["auto"]) -> SetFiles:
    """The files of a set.

    Args:
        path: A file, a folder, which is searched with all it holds, or a glob; any fsspec URL.
        wanted: What the files are; auto tells it by their endings.

    Raises:
        RecipeError: There are none, or they are of several kinds.
    """
    try:
        file_system, found = _found(path)
    except Exception as error:
        # Every back end of fsspec has errors of its own.
        raise RecipeError(
            f"{path}: cannot be read: {error}; check the path, and the credentials of its store"
        ) from error
    files = {name: info for name, info in found.items() if info["type"] == "file" and _is_shown(name, path)}
    kinds = {_kind_of(name) for name in files} - {None}
    if wanted == "auto" and len(kinds) > 1:
        raise RecipeError(f"{path}: holds {' and '.join(sorted(map(str, kinds)))}; state which is meant as `format`")
    kind = next(iter(kinds), None) if wanted == "auto" else wanted
    chosen = sorted(name for name in files if _kind_of(name) == kind)
    if kind is None or not chosen:
        what = "images, .tar shards or .parquet tables" if wanted == "auto" else wanted
        raise RecipeError(f"{path}: no {what} are there; correct `path`")
    marks = [[name, files[name].get("size"), [str(files[name].get(mark)) for mark in _MARKS]] for name in chosen]
    digest = sha256(json.dumps(marks).encode()).hexdigest()
    return SetFiles(path, kind, tuple(chosen), digest, file_system)


def _found(path: str) -> tuple[Any, dict[str, Any]]:
    file_system, inside = fsspec.core.url_to_fs(path)
    if fsspec.core.has_magic(inside):
        return file_system, file_system.glob(inside, detail=True)
    return file_system, file_system.find(inside, detail=True)


def _kind_of(name: str) -> Kind | None:
    return _ENDINGS.get(PurePosixPath(name.lower()).suffix)


def _is_shown(name: str, path: str) -> bool:
    """Files that begin with a dot or `_` are notes of some program, unless they are named themselves."""
    return not PurePosixPath(name).name.startswith((".", "_")) or path.endswith(PurePosixPath(name).name)


def _while_equal(left: tuple[str, ...], right: tuple[str, ...]) -> Iterator[str]:
    for one, other in zip(left, right, strict=False):
        if one != other:
            return
        yield one
