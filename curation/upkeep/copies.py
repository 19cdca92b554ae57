"""Copies a run to another folder or store: what commits name before the commits, and the run's record last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from curation.errors import CorruptionError, RecipeError
from curation.storage.hashing import HashingReader, HashingWriter
from curation.storage.layout import RECIPE, REMOVALS, RUN_RECORD
from curation.storage.probe import check_store
from curation.storage.store import Store
from curation.storage.store_failures import patiently
from curation.upkeep.inventory import Inventory, kind_of, take_inventory
from schemas.manifest import MANIFEST_PATH
from schemas.records import FileRecord

_THREADS = 8
_BLOCK_BYTES = 1 << 20
_LAST = (RECIPE, RUN_RECORD)


@dataclass
class Copied:
    """What a copy came to.

    Attributes:
        files: Files that were copied.
        size_bytes: Of these.
        there: Files that lay there already, with the right checksum.
        left_out: Files that belong to no run, or that no commit names.
    """

    files: int = 0
    size_bytes: int = 0
    there: int = 0
    left_out: list[str] = field(default_factory=list)


def copy_run(source: str, target: str, *, threads: int = _THREADS) -> Copied:
    """Copies everything of a run. Broken off anywhere, it can be called again, and goes on.

    Every file that a commit names is checked against its checksum on the way; what lies there already is read and
    checked, too. The target has no `run.json`, so no run, before all of it is there.

    Args:
        source: Folder of a run; a run that goes on is copied as far as it had come.
        target: Folder that is empty, or that an earlier copy was broken off in.

    Raises:
        RecipeError: There is no run, or something else lies in the target.
        CorruptionError: A file of the source is damaged.
    """
    of, to = Store(source), Store(target)
    if not of.exists(RUN_RECORD):
        raise RecipeError(f"{source}: no run here")
    if to.url == of.url or to.url.startswith(of.url + "/"):
        raise RecipeError(f"{target}: lies in the folder that is to be copied; name another one")
    check_store(to, single_writer=True)
    # Before the rest: a run that goes on must not be said to have come further than what is copied of it.
    last = {path: document for path in _LAST if (document := of.read_many([path])[0]) is not None}
    inventory = take_inventory(of)
    _refuse_damaged(inventory, of)
    there = take_inventory(to)
    _refuse_others(inventory, to, there)
    copied = Copied(left_out=[path for path in inventory.files if _stays(inventory, path)])
    copier = _Copier(of, to, inventory, copied, last)
    *groups, record = _in_order(inventory, last)
    with ThreadPoolExecutor(threads, "copy") as pool:
        # Somebody may have asked since that rows of it be removed.
        list(pool.map(to.delete, _stale(inventory, there)))
        for paths in groups:
            for copy in [pool.submit(copier.copy, path) for path in paths]:
                copied.there += not copy.result()
    _refuse_removals(inventory, of, to)
    copied.there += sum(not copier.copy(path) for path in record)
    return copied


def _refuse_damaged(inventory: Inventory, of: Store) -> None:
    if inventory.unreadable:
        raise CorruptionError(next(iter(inventory.unreadable.values())))
    for path in inventory.named:
        if path not in inventory.files:
            raise CorruptionError(
                f"{of.locate(path)}: was committed but is gone; `curation verify --repair` lets the next run make it "
                "again"
            )


def _stale(inventory: Inventory, there: Inventory) -> list[str]:
    """What an earlier copy has left in the target that is no longer of the run, or was not finished."""
    kept = inventory.files.keys() - set(inventory.orphans)
    return sorted({*there.orphans, *there.of_kind("source")} - kept)


def _refuse_removals(inventory: Inventory, of: Store, to: Store) -> None:
    if any(f"{REMOVALS}/{name}" not in inventory.files for name in of.list(REMOVALS)):
        raise RecipeError(
            f"{of.url}: rows were removed while it was copied, and {to.url} still holds them; delete that folder, and "
            "copy again"
        )


def _refuse_others(inventory: Inventory, to: Store, there: Inventory) -> None:
    if RUN_RECORD in there.files and inventory.commits and not there.commits:
        raise RecipeError(f"{to.url}: another run has begun there; name an empty folder")
    for path, commit in there.commits.items():
        if path not in inventory.commits or inventory.commits[path].document != commit.document:
            raise RecipeError(
                f"{to.locate(path)}: another run lies there, or the copy has gone on since; name an empty folder"
            )
    if there.unreadable:
        raise RecipeError(f"{to.url}: {next(iter(there.unreadable.values()))}")


def _stays(inventory: Inventory, path: str) -> bool:
    return kind_of(path) in ("foreign", "unfinished", "probe", "workspace") or path in inventory.orphans


def _in_order(inventory: Inventory, last: Iterable[str]) -> Sequence[Sequence[str]]:
    """Groups of files, each copied when all of the one before are there."""
    orphans = set(inventory.orphans)
    data = [path for path in inventory.of_kind("data", "source", "metrics", "delivery") if path not in orphans]
    manifests = [path for path in data if path.endswith(f"/{MANIFEST_PATH}")]
    records = [path for path in inventory.of_kind("record") if path not in _LAST]
    # What was removed has to be known before anything of it could be there.
    return [
        [path for path in records if not path.startswith("recipes/")],
        [path for path in data if path not in manifests],
        list(inventory.commits),
        manifests,
        # Their times tell the order of the versions.
        *[[path] for path in sorted(records, key=lambda path: inventory.files[path].modified) if "recipes/" in path],
        *[[path] for path in last],
    ]


@dataclass(frozen=True)
class _Copier:
    source: Store
    target: Store
    inventory: Inventory
    copied: Copied
    last: Mapping[str, bytes]
    counting: Lock = field(default_factory=Lock)

    def copy(self, path: str) -> bool:
        """Copies a file, unless it is there; tells whether it did."""
        if path in self.inventory.commits:
            return self._put(path, self.inventory.commits[path].document)
        if kind_of(path) == "record":
            return self._write(path)
        stated = self._stated(path)
        if self._is_there(path, stated):
            return False
        return patiently(lambda: self._stream(path, stated))

    def _put(self, path: str, document: bytes) -> bool:
        if self.target.exists(path):
            return False
        if not self.target.put_if_absent(path, document):
            raise RecipeError(f"{self.target.locate(path)}: somebody else writes there; name an empty folder")
        self._count(len(document))
        return True

    def _write(self, path: str) -> bool:
        document = self.last[path] if path in self.last else self.source.read_bytes(path)
        if list(self.target.read_many([path])) == [document]:
            return False
        self.target.write_bytes(path, document)
        self._count(len(document))
        return True

    def _stated(self, path: str) -> FileRecord | None:
        for commit in self.inventory.named.get(path, ()):
            return next(record for name, record in commit.files if name == path)
        return None

    def _is_there(self, path: str, stated: FileRecord | None) -> bool:
        try:
            if self.target.size(path) != self.inventory.files[path].size_bytes:
                return False
            wanted = stated or _read_through(self.source, path)
            return _read_through(self.target, path).sha256 == wanted.sha256
        except FileNotFoundError:
            return False

    def _stream(self, path: str, stated: FileRecord | None) -> bool:
        try:
            with self.source.open_read(path) as read, self.target.open_write(path) as file:
                written = HashingWriter(file)
                while block := read.read(_BLOCK_BYTES):
                    written.write(block)
                found = written.record(path, stated.rows if stated else 0)
                if stated is not None and found.sha256 != stated.sha256:
                    raise CorruptionError(
                        f"{self.source.locate(path)}: is not what was committed, and is not copied; "
                        "`curation verify --repair` lets the next run make it again"
                    )
        except FileNotFoundError as error:
            raise CorruptionError(f"{self.source.locate(path)}: was committed but is gone") from error
        self._count(found.size_bytes)
        return True

    def _count(self, size: int) -> None:
        with self.counting:
            self.copied.files += 1
            self.copied.size_bytes += size


def _read_through(store: Store, path: str) -> FileRecord:
    def read() -> FileRecord:
        with store.open_read(path) as file:
            return HashingReader(file).record(path, 0)

    return patiently(read)
