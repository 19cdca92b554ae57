"""Drops what is damaged, so that the next run makes it again. Nothing is mended in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from curation.errors import CorruptionError
from curation.storage.layout import REMOVALS, REVISITS, RUN_RECORD
from curation.storage.store import Store
from curation.storage.stored_records import read_record
from curation.upkeep.inventory import CommitFile, Inventory, commit_place, kind_of
from curation.upkeep.sweep import refuse_while_running
from curation.upkeep.verify import Verification
from schemas.manifest import MANIFEST_PATH
from schemas.records import PartCommit, RunRecord


@dataclass
class Repair:
    """What was dropped.

    Attributes:
        dropped: Commits and files that were deleted.
        beyond: Damaged files that no run can make again: put them back from a copy.
    """

    dropped: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)


def drop_damaged(folder: str, verification: Verification, *, idle: bool = False) -> Repair:
    """Deletes the commits of what is damaged, then the damaged files, and takes back results that lack them.

    Of a part that was measured, later phases of the same part are dropped with it: they may have been made of what
    cannot be read any more. A file of measures or verdicts that is as long as it should be, and holds something else,
    may have been read like that: what was decided behind it goes as well, and what the latest run has delivered, with
    its ledger. Results of earlier recipes stay, unless they are damaged, since no next run makes them again.

    Args:
        folder: Of the run that was verified.
        idle: No run is going on in the folder, whatever its record says.

    Raises:
        RecipeError: A run is going on.
    """
    store = Store(folder)
    record = _record_of(store)
    if record is not None:
        refuse_while_running(store, record.state, idle=idle)
    repair = Repair()
    going = _Going(verification.inventory, record)
    for path in dict.fromkeys(damage.path for damage in verification.damages):
        if path.startswith((f"{REMOVALS}/", f"{REVISITS}/")):
            # Without its record a removal would be forgotten, and the rows would come back.
            repair.beyond.append(path)
        else:
            going.add(path)
    _take_back_results(store, record, going.results)
    for path in going.in_order():
        if path in verification.inventory.files:
            store.delete(path)
            repair.dropped.append(path)
    return repair


def _record_of(store: Store) -> RunRecord | None:
    try:
        return read_record(store, RUN_RECORD, RunRecord)
    except (FileNotFoundError, CorruptionError):
        return None


class _Going:
    """Collects what has to go along with what is damaged."""

    def __init__(self, inventory: Inventory, record: RunRecord | None) -> None:
        self._inventory = inventory
        self._items = record.items if record else ()
        self._phases = [item.folder for item in self._items if item.kind == "phase"]
        self._manifests: set[str] = set()
        self._commits: set[str] = set()
        self._files: set[str] = set()
        self.results: set[str] = set()

    def in_order(self) -> Sequence[str]:
        """What says that something is whole goes before what it speaks of."""
        groups = (self._manifests, self._commits, self._files)
        return list(dict.fromkeys(path for group in groups for path in sorted(group)))

    def add(self, path: str) -> None:
        """Something is wrong with a file, or it is missing."""
        place = commit_place(path)
        if place is not None:
            self._add_commit(path)
        elif kind_of(path) == "delivery":
            self._add_result(path.rpartition("/")[0])
        else:
            self._files.add(path)
            for commit in self._inventory.named.get(path, ()):
                self._add_commit(commit.path)
                if commit.place in ("pool", "decisions") and self._may_mislead(path, commit):
                    self._add_decided_behind(commit.folder)

    def _may_mislead(self, path: str, commit: CommitFile) -> bool:
        """Whether a damaged file can have been read as if it were whole: one that is gone or cut short can not."""
        stored = self._inventory.files.get(path)
        if stored is None:
            return False
        return any(path == name and stored.size_bytes == file.size_bytes for name, file in commit.files)

    def _add_decided_behind(self, folder: str) -> None:
        """Whatever a run may have decided and delivered after it had read from an item."""
        folders = [item.folder for item in self._items]
        place = folders.index(folder) if folder in folders else -1
        for path, commit in self._inventory.commits.items():
            # Of a decision of an earlier recipe it cannot be told what it came behind.
            decided_behind = commit.place == "decisions" and commit.folder not in folders[: place + 1]
            made_of_it = commit.place in ("shards", "ledger") and commit.folder in folders
            if decided_behind or made_of_it:
                self._add_commit(path)

    def _add_commit(self, path: str) -> None:
        self._commits.add(path)
        known = self._inventory.commits.get(path)
        folder, _, name = path.rpartition("/")
        if commit_place(path) in ("shards", "ledger"):
            self._add_result(folder.replace("/commits-", "/"))
            for file, _ in known.files if known else ():
                self._files.add(file)
        elif commit_place(path) == "pool":
            self._add_later_phases(folder.rpartition("/")[0], _part_of(known, name))

    def _add_result(self, folder: str) -> None:
        self.results.add(folder)
        if folder.startswith("shards/"):
            self._manifests.update((f"{folder}/{MANIFEST_PATH}", f"{folder}/sizes.json"))

    def _add_later_phases(self, phase: str, part: int) -> None:
        before = self._phases[: self._phases.index(phase) + 1] if phase in self._phases else self._phases
        for path, commit in self._inventory.commits.items():
            of_part = isinstance(commit.commit, PartCommit) and commit.commit.part == part
            # Of a phase of an earlier recipe it cannot be told what it came behind.
            if of_part and commit.folder not in before:
                self._commits.add(path)


def _part_of(known: CommitFile | None, name: str) -> int:
    return known.commit.part if known and isinstance(known.commit, PartCommit) else int(name.removesuffix(".json"))


def _take_back_results(store: Store, record: RunRecord | None, results: Iterable[str]) -> None:
    """Before anything of them is deleted, the folder's record must no longer name them as whole."""
    if record is None:
        store.delete(RUN_RECORD)
        return
    gone = set(results)
    changed = {name: None for name in ("ledger", "shards") if getattr(record, name) in gone}
    if changed:
        store.write_bytes(RUN_RECORD, record.model_copy(update=changed).to_bytes())
