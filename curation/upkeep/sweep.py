"""Removes what no commit names: what dead writers, drivers and uploads have left behind."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from curation.errors import RecipeError
from curation.ledger.open_run import open_run
from curation.removals.records import Removals
from curation.storage.layout import WORKSPACE, UnitsLayout
from curation.storage.store import Store, is_unfinished
from curation.upkeep.inventory import Inventory, take_inventory
from schemas.records import RunRecord

DAY = timedelta(days=1)
_THREADS = 16
_REWRITTEN = ("shards/", "ledger/")
"""Files of fixed names there are written again, over what a dead writer has left, by the run that goes on."""


@dataclass(frozen=True)
class Sweep:
    """What can go, or has gone.

    Attributes:
        files: Paths of files and their sizes in bytes.
        uploads: Paths of uploads by parts that nobody has completed.
        young: Files that no commit names either, and that somebody may be writing, or has written anew meanwhile.
        held: Files that the run may be using that is going on by its record, or has begun meanwhile, whatever their
            age.
    """

    files: tuple[tuple[str, int], ...] = ()
    uploads: tuple[str, ...] = ()
    young: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


def sweep(
    folder: str, older_than: timedelta = DAY, *, dry_run: bool = False, idle: bool = False, now: datetime | None = None
) -> Sweep:
    """Removes data without commits, unfinished files and uploads, probes and the workspaces of dead drivers.

    A file without a commit that is older than a day belongs to nobody: a writer commits within minutes what it has
    written. Files that are named by a commit that cannot be read stay.

    Args:
        folder: Of a run.
        older_than: Since it was written.
        dry_run: Remove nothing.
        idle: No run is going on in the folder, whatever its record says.
        now: By the store's clock; None: it is asked. A wrong clock of this machine must not make young files old.

    Raises:
        RecipeError: There is no run, or a removal was begun and not finished.
    """
    store, record = open_run(folder)
    Removals(store).check_finished()
    now = now or store.now()
    seen = take_inventory(store)
    # Once more, so that commits count that were made while files were listed.
    again = take_inventory(store)
    loose = sorted({*again.orphans, *again.of_kind("workspace")} & {*seen.orphans, *seen.of_kind("workspace")})
    ages = _ages(again, loose)
    # A run may have begun, or ended, since.
    running = not idle and "running" in (record.state, open_run(folder)[1].state)
    # What is younger than a day may be about to be committed, whatever age was asked for.
    before = now - (max(older_than, DAY) if running else older_than)
    held = {path for path in loose if running and (_may_be_used(path) or before <= ages[path] < now - older_than)}
    old = [path for path in loose if path not in held and ages[path] < before]
    uploads = [upload for upload in store.unfinished_uploads() if upload.begun < before]
    spared: dict[str, Literal["young", "held"]] = {}
    if not dry_run:
        broom = _Broom(store, before, record if idle else None)
        with ThreadPoolExecutor(_THREADS, "sweep") as threads:
            stays = dict(zip(old, threads.map(broom.remove, old), strict=True))
            list(threads.map(store.abort_upload, uploads))
        spared = {path: why for path, why in stays.items() if why is not None}
    return Sweep(
        files=tuple((path, again.files[path].size_bytes) for path in old if path not in spared),
        uploads=tuple(upload.path for upload in uploads),
        young=tuple(
            path for path in loose if spared.get(path) == "young" or (path not in held and ages[path] >= before)
        ),
        held=tuple(sorted({*held, *(path for path, why in spared.items() if why == "held")})),
    )


@dataclass(frozen=True)
class _Broom:
    """Removes files, unless something has happened to them since they were found.

    A run may begin while files are removed. Those of attempts have names that no other attempt uses, but shards and
    ledgers have fixed ones, which it writes again; so each is looked at once more directly before it goes. What is left
    of the race is the time between this look and the removal, two requests to the store: a run would have to note that
    it goes on, gather a shard or the ledger of a part, write and commit it, all within. The next run, or `curation
    verify`, would name that file as committed and gone, and `--repair` has it made again.

    Attributes:
        before: What is younger stays.
        dead: The record of a run that is known to have ended, whatever it says; None: of none that is.
    """

    store: Store
    before: datetime
    dead: RunRecord | None

    def remove(self, path: str) -> Literal["young", "held"] | None:
        """Removes a file, or tells why it stays. None that is there any more is no error."""
        fixed_name = path.startswith(_REWRITTEN) and not is_unfinished(path)
        if fixed_name and (self._has_begun() or self._is_committed(path)):
            return "held"
        # Last of all: every writer dates what it writes, whatever it has noted.
        try:
            if self.store.modified(path) >= self.before:
                return "young"
        except FileNotFoundError:
            return None
        self.store.delete(path)
        return None

    def _has_begun(self) -> bool:
        now = open_run(self.store.url)[1]
        return now.state == "running" and now != self.dead

    def _is_committed(self, path: str) -> bool:
        """Whether the unit has a commit that a file belongs to: its number is the first in the name.

        What has no number belongs to all units.
        """
        kind, fingerprint, name = path.split("/", 2)
        layout = UnitsLayout(kind, fingerprint)
        number = re.search(r"\d+", name)
        if number is None:
            return bool(self.store.list(layout.commits))
        return self.store.exists(layout.commit(int(number[0])))


def _may_be_used(path: str) -> bool:
    return path.startswith((f"{WORKSPACE}/", *_REWRITTEN))


def _ages(inventory: Inventory, paths: Sequence[str]) -> dict[str, datetime]:
    """When each was written; of what lies in a workspace together, when the newest was."""
    newest: dict[str, datetime] = defaultdict(lambda: datetime.min.replace(tzinfo=UTC))
    for path in paths:
        newest[_together(path)] = max(newest[_together(path)], inventory.files[path].modified)
    return {path: newest[_together(path)] for path in paths}


def _together(path: str) -> str:
    return "/".join(path.split("/")[:2]) if path.startswith(f"{WORKSPACE}/") else path


def refuse_while_running(store: Store, state: str, *, idle: bool) -> None:
    """Refuses to change what a run may be using. Raises RecipeError."""
    if state == "running" and not idle:
        raise RecipeError(
            f"{store.url}: a run is going on here, by its record; wait for it, or stop it. If it died, say "
            "--run-has-ended"
        )
