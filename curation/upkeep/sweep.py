"""Removes what no commit names: what dead writers, drivers and uploads have left behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from curation.errors import RecipeError
from curation.ledger.open_run import open_run
from curation.removals.records import Removals
from curation.storage.layout import WORKSPACE
from curation.storage.store import Store
from curation.upkeep.inventory import Inventory, take_inventory

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
        young: Files that no commit names either, and that somebody may be writing.
        held: Files that the run may be using that is going on by its record, whatever their age.
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
    if not dry_run:
        with ThreadPoolExecutor(_THREADS, "sweep") as threads:
            list(threads.map(store.delete, old))
            list(threads.map(store.abort_upload, uploads))
    return Sweep(
        files=tuple((path, again.files[path].size_bytes) for path in old),
        uploads=tuple(upload.path for upload in uploads),
        young=tuple(path for path in loose if path not in held and ages[path] >= before),
        held=tuple(sorted(held)),
    )


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
