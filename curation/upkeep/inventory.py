"""What lies in the folder of a run, and which of it the commits name."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from curation.errors import CorruptionError
from curation.storage.layout import POOL, RECIPE, REMOVALS, REVISITS, RUN_RECORD, SOURCE_WORKSPACE, WORKSPACE
from curation.storage.object_files import StoredFile
from curation.storage.store import Store, is_unfinished
from curation.storage.stored_records import parse_record
from schemas.manifest import MANIFEST_PATH
from schemas.records import DecisionCommit, FileRecord, PartCommit, UnitCommit

Place = Literal["pool", "decisions", "shards", "ledger"]
Commit = PartCommit | DecisionCommit | UnitCommit
Kind = Literal[
    "commit", "data", "delivery", "record", "source", "workspace", "metrics", "unfinished", "probe", "foreign"
]

_COMMITS: Mapping[Place, tuple[re.Pattern[str], type[Commit]]] = {
    "pool": (re.compile(rf"({POOL}/[^/]+)/commits-[^/]+/(\d{{8}})\.json"), PartCommit),
    "decisions": (re.compile(r"(decisions/[^/]+)/commit(\.json)"), DecisionCommit),
    "shards": (re.compile(r"(shards/)commits-([^/]+)/\d{8}\.json"), UnitCommit),
    "ledger": (re.compile(r"(ledger/)commits-([^/]+)/\d{8}\.json"), UnitCommit),
}
_DATA = re.compile(rf"{POOL}/[^/]+/data/[^/]+|decisions/[^/]+/[^/]+\.parquet|(shards|ledger)/(?!commits-)[^/]+/[^/]+")
_DELIVERY = re.compile(rf"(shards/(?!commits-)([^/]+))/({re.escape(MANIFEST_PATH)}|sizes\.json)")
_FOLDERS: Mapping[str, Kind] = {
    SOURCE_WORKSPACE: "source",
    WORKSPACE: "workspace",
    "metrics": "metrics",
    REMOVALS: "record",
    REVISITS: "record",
    "recipes": "record",
}


@dataclass(frozen=True, slots=True)
class CommitFile:
    """A commit that could be read.

    Attributes:
        path: Where it lies.
        folder: What the paths of its files are relative to.
        document: Its bytes.
    """

    path: str
    place: Place
    folder: str
    commit: Commit
    document: bytes

    @property
    def files(self) -> Iterator[tuple[str, FileRecord]]:
        """The files that it names, with their paths in the folder of the run."""
        commit = self.commit
        if isinstance(commit, DecisionCommit):
            records: Sequence[FileRecord] = [commit.file, *([commit.by_unit] if commit.by_unit else [])]
        else:
            records = commit.files
        for record in records:
            yield f"{self.folder}/{record.path}", record


@dataclass(frozen=True)
class Inventory:
    """All of a folder at one moment. The files are listed before the commits are read.

    Attributes:
        files: By path. One that a commit names and that is not among them is missing.
        commits: Those that can be read, by path.
        unreadable: What is wrong with the others, by path.
        named: Which commits name a file, by its path.
    """

    files: Mapping[str, StoredFile]
    commits: Mapping[str, CommitFile]
    unreadable: Mapping[str, str]
    named: Mapping[str, Sequence[CommitFile]] = field(default_factory=dict)

    def of_kind(self, *kinds: Kind) -> list[str]:
        """Paths of the files of some kinds, in order."""
        return [path for path in self.files if kind_of(path) in kinds]

    @cached_property
    def deliveries(self) -> list[str]:
        """Folders of deliveries of which anything is committed."""
        return sorted({commit.folder for commit in self.commits.values() if commit.place == "shards"})

    @property
    def orphans(self) -> list[str]:
        """Data that no commit names, and what writers or probes have left; not what lies in `workspace`.

        What an unreadable commit may have named is none.
        """
        return [path for path in self.files if self._is_orphan(path)]

    def _is_orphan(self, path: str) -> bool:
        kind = kind_of(path)
        if kind == "delivery":
            return path.rpartition("/")[0] not in self.deliveries and not self.has_unreadable(path)
        if kind == "data":
            return path not in self.named and not self.has_unreadable(path) and not self._is_delivered(path)
        return kind in ("unfinished", "probe")

    def _is_delivered(self, path: str) -> bool:
        """Whether it lies in a finished delivery: its manifest may list what has lost its commit."""
        folder = path.rpartition("/")[0]
        return f"{folder}/{MANIFEST_PATH}" in self.files and folder in self.deliveries

    def has_unreadable(self, path: str) -> bool:
        """Whether a commit of the folder that a file lies in cannot be read."""
        place, name = path.split("/")[:2]
        folders = (f"{place}/{name}/", f"{place}/commits-{name}/")
        return any(damaged.startswith(folders) for damaged in self.unreadable)


def take_inventory(store: Store) -> Inventory:
    """Lists everything and reads all commits.

    Args:
        store: Rooted at the run's folder.
    """
    files = {file.path: file for file in store.files_below()}
    places = {path: place for path in files if (place := commit_place(path))}
    commits, unreadable = {}, {}
    named: dict[str, list[CommitFile]] = defaultdict(list)
    for path, document in zip(places, store.read_many(list(places)), strict=True):
        if document is None:
            continue
        try:
            found = _parsed(store, path, places[path], document)
        except CorruptionError as error:
            unreadable[path] = str(error)
            continue
        commits[path] = found
        for name, _ in found.files:
            named[name].append(found)
    files |= _written_since(store, [name for name in named if name not in files])
    return Inventory(dict(sorted(files.items())), commits, unreadable, named)


def _written_since(store: Store, paths: Sequence[str]) -> dict[str, StoredFile]:
    """Files that were committed while the folder was listed, after the place had been passed where they lie."""
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError, CorruptionError):
            found[path] = StoredFile(path, store.size(path), store.modified(path))
    return found


def commit_place(path: str) -> Place | None:
    """What a path commits, None where it is no commit's."""
    return next((place for place, (pattern, _) in _COMMITS.items() if pattern.fullmatch(path)), None)


def _parsed(store: Store, path: str, place: Place, document: bytes) -> CommitFile:
    pattern, kind = _COMMITS[place]
    match = pattern.fullmatch(path)
    assert match is not None
    folder = match[1] if place in ("pool", "decisions") else match[1] + match[2]
    return CommitFile(path, place, folder, parse_record(store, path, document, kind), document)


def kind_of(path: str) -> Kind:
    """What a file is, by its path in the folder of the run."""
    if is_unfinished(path):
        return "unfinished"
    if commit_place(path):
        return "commit"
    if _DELIVERY.fullmatch(path):
        return "delivery"
    if _DATA.fullmatch(path):
        return "data"
    if path in (RUN_RECORD, RECIPE):
        return "record"
    first, separator, _ = path.partition("/")
    if not separator:
        return "probe" if re.fullmatch(r"probe-[0-9a-f]{32}", path) else "foreign"
    return _FOLDERS.get(first, "foreign")
