"""The files of a table: found in a stable order, told apart by content."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import fsspec
from fsspec.implementations.local import LocalFileSystem

from curation.errors import CorruptionError, RecipeError

Format = Literal["parquet", "csv", "jsonl", "txt"]

SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "txt",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_HASHED_BYTES = 256 * 2**20
_CHECKSUMS = ("ETag", "etag", "md5Hash", "content_md5", "checksum", "crc32c")
_TIMES = ("mtime", "LastModified", "last_modified", "updated")


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file.

    Attributes:
        entry: Which of the paths of the recipe it belongs to: its file system is that path's.
        path: As its file system knows it.
        name: Relative to the folder that the recipe names, the same wherever that folder lies.
    """

    entry: int
    path: str
    name: str

    @property
    def suffix(self) -> str:
        """The ending that tells the format, in lower case, without that of a compression."""
        path = PurePosixPath(self.path.lower())
        return PurePosixPath(path.stem).suffix if path.suffix in _COMPRESSED else path.suffix


class TableFiles:
    """The paths of a recipe. Opens file systems at first use, and can be pickled before.

    Args:
        paths: Files, folders or globs, each any fsspec URL.
        options: Passed on to the file systems.
    """

    def __init__(self, paths: Sequence[str], options: Mapping[str, Any]) -> None:
        self._paths = tuple(paths)
        self._options = dict(options)

    def _open_file_system(self, entry: int) -> tuple[Any, str]:
        fs, path = fsspec.core.url_to_fs(self._paths[entry], **self._options)
        return fs, str(path)

    def find(self, wanted: Format | Literal["auto"]) -> tuple[list[TableFile], Format]:
        """All files in the order of the recipe's paths, those of one path sorted by name, and their format.

        Of folders, hidden files and those that begin with `_` are left out. A file named by several paths is read once.

        Raises:
            RecipeError: A path leads nowhere, or the format cannot be told.
        """
        files: dict[str, TableFile] = {}
        for entry in range(len(self._paths)):
            for file in self._find_entry(entry, wanted):
                files.setdefault(file.path, file)
        found = list(files.values())
        return found, _format_of(found, wanted)

    def _find_entry(self, entry: int, wanted: str) -> list[TableFile]:
        given = self._paths[entry]
        with reading(given, "check the path, and the credentials of its store"):
            fs, path = self._open_file_system(entry)
            kind = _kind(fs, path)
            if kind == "file":
                return [TableFile(entry, path, PurePosixPath(path).name)]
            if kind == "directory":
                found = _of_folder(
                    [TableFile(entry, str(name), _below(path, str(name))) for name in fs.find(path)], wanted
                )
            elif fsspec.core.has_magic(path):
                fixed = _fixed_part(path)
                names = [str(name) for name, info in fs.glob(path, detail=True).items() if info["type"] == "file"]
                found = [TableFile(entry, name, _below(fixed, name)) for name in names]
            else:
                raise RecipeError(f"{given}: there is no such file or folder; correct `path`")
        if not found:
            what = "holds no table" if kind == "directory" else "matches no file"
            raise RecipeError(f"{given}: {what}; correct `path`, or state the `format` (known: {', '.join(SUFFIXES)})")
        return sorted(found, key=lambda file: file.name)

    @contextlib.contextmanager
    def open(self, file: TableFile) -> Iterator[IO[bytes]]:
        """The bytes of a file as they are, at any place."""
        fs, _ = self._open_file_system(file.entry)
        with fs.open(file.path, "rb") as stream:
            yield stream

    @contextlib.contextmanager
    def open_unpacked(self, file: TableFile) -> Iterator[IO[bytes]]:
        """The bytes of a file front to back, decompressed if its name says that it is compressed."""
        fs, _ = self._open_file_system(file.entry)
        with fs.open(file.path, "rb", compression="infer") as stream:
            yield stream

    def identity(self, file: TableFile) -> str:
        """A text that changes when the file's content does.

        Of files on this machine up to 256 MB that is the hash of the content, of larger ones size and time of change;
        of others the checksum that their store keeps, where it keeps one.
        """
        fs, _ = self._open_file_system(file.entry)
        info = fs.info(file.path)
        size = info.get("size")
        if not isinstance(fs, LocalFileSystem):
            for name in _CHECKSUMS:
                if info.get(name):
                    return f"{size} {name} {info[name]}"
        times = [str(info[name]) for name in _TIMES if info.get(name)]
        if times and size is not None and size > _HASHED_BYTES:
            return f"{size} changed {times[0]}"
        return f"{size} sha256 {self._hash(file)}"

    def _hash(self, file: TableFile) -> str:
        digest = sha256()
        with self.open(file) as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


@contextlib.contextmanager
def reading(what: str, remedy: str) -> Iterator[None]:
    """Turns whatever goes wrong inside into a RecipeError that names what was read and the remedy."""
    try:
        yield
    except (RecipeError, CorruptionError):
        raise
    except Exception as error:
        # Every back end of fsspec has errors of its own.
        said = str(error) or type(error).__name__
        raise RecipeError(f"{what}: cannot be read: {said}; {remedy}") from error


def _kind(fs: Any, path: str) -> str | None:
    try:
        return str(fs.info(path)["type"])
    except FileNotFoundError:
        return None


def _of_folder(files: list[TableFile], wanted: str) -> list[TableFile]:
    shown = [file for file in files if not any(part.startswith((".", "_")) for part in PurePosixPath(file.name).parts)]
    tables = [
        file for file in shown if SUFFIXES.get(file.suffix) in ((wanted,) if wanted != "auto" else SUFFIXES.values())
    ]
    # Whoever states a format may have files without an ending, as some programs write them.
    return tables if tables or wanted == "auto" else shown


def _below(folder: str, path: str) -> str:
    return path.removeprefix(folder.rstrip("/")).lstrip("/")


def _fixed_part(glob: str) -> str:
    parts = glob.split("/")
    first = next(place for place, part in enumerate(parts) if fsspec.core.has_magic(part))
    return "/".join(parts[:first])


def _format_of(files: Sequence[TableFile], wanted: Format | Literal["auto"]) -> Format:
    if wanted != "auto":
        return wanted
    formats: dict[Format, str] = {}
    known = ", ".join(SUFFIXES)
    for file in files:
        if file.suffix not in SUFFIXES:
            raise RecipeError(
                f"{file.path}: its ending does not tell its format; state `format` (endings known: {known})"
            )
        formats.setdefault(SUFFIXES[file.suffix], file.path)
    if len(formats) > 1:
        examples = ", ".join(f"{kind}: {path}" for kind, path in formats.items())
        raise RecipeError(
            f"the source has files of several formats ({examples}); state the one that is meant as `format`"
        )
    return next(iter(formats))
