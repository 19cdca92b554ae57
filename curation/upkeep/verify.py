"""Checks a run's folder: every file that a commit names, by checksum, count and schema, and what nobody names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from curation.errors import CorruptionError, first_line
from curation.removals.erase_pool import was_erased_from
from curation.storage.column_groups import read_columns
from curation.storage.hashing import HashingReader
from curation.storage.layout import (
    DECISION_COMMIT,
    REMOVALS,
    REVISITS,
    RUN_RECORD,
    committed_units,
    erased_path,
    record_numbers,
    removal_path,
    revisit_path,
    unit_name,
)
from curation.storage.parquet_files import is_of_the_store
from curation.storage.store import Store
from curation.storage.store_failures import patiently
from curation.storage.stored_records import read_record
from curation.upkeep.inventory import CommitFile, Inventory, take_inventory
from schemas.columns import COLUMNS
from schemas.manifest import MANIFEST_PATH, DeliveryManifest
from schemas.records import ColumnFile, DecisionCommit, FileRecord, PartCommit, Removal, Revisit, RunItem, RunRecord

CheckDelivery = Callable[[Store, int], list[str]]
"""What is wrong with a finished delivery, as `path: problem`; the second argument is the number of threads."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong.

    Attributes:
        path: The file, in the folder of the run.
        problem: What is wrong with it.
    """

    path: str
    problem: str


@dataclass(frozen=True)
class Verification:
    """What a check came to.

    Attributes:
        files: Files that commits name.
        size_bytes: Of these.
        damages: What is wrong; none: everything is whole.
        orphans: Files that no commit names. They do no harm, and `curation gc` removes them.
        uploads: Paths of uploads by parts that were neither completed nor aborted.
    """

    inventory: Inventory
    files: int
    size_bytes: int
    damages: tuple[Damage, ...]
    orphans: tuple[str, ...]
    uploads: tuple[str, ...]


def verify_run(folder: str, check_delivery: CheckDelivery, *, threads: int = 8) -> Verification:
    """Checks everything in the folder of a run, also of versions that are not the latest.

    Args:
        check_delivery: Looks into the shards of a finished delivery.
        threads: Files that are read at a time.
    """
    store = Store(folder)
    # Before the rest: what a run that goes on finishes meanwhile is not looked for.
    record = _record_of(store)
    inventory = take_inventory(store)
    stated = {path: record for commit in inventory.commits.values() for path, record in commit.files}
    finished = [name for name in inventory.deliveries if f"{name}/{MANIFEST_PATH}" in inventory.files]
    # What a manifest lists is read once, by the check of the delivery.
    alone = [path for path in stated if path.rpartition("/")[0] not in finished]
    damages = [Damage(path, problem) for path, problem in inventory.unreadable.items()]
    with ThreadPoolExecutor(threads, "verify") as pool:
        for found in pool.map(lambda path: list(_check_file(store, path, stated[path])), alone):
            damages += found
        copies = [path for path in inventory.of_kind("source") if path.endswith(".parquet")]
        for found in pool.map(lambda path: list(_check_copy(store, path)), copies):
            damages += found
        damaged = {damage.path for damage in damages}
        whole = [one for one in inventory.commits.values() if not damaged & {path for path, _ in one.files}]
        for found in pool.map(lambda commit: list(_check_counts(store, commit)), whole):
            damages += found
    for name in finished:
        lines = [*check_delivery(store.child(name), threads), *_check_manifest(store, inventory, name)]
        damages += [_damage_of(name, line) for line in lines]
    damages += _check_records(store, inventory, record)
    return Verification(
        inventory=inventory,
        files=len(stated),
        size_bytes=sum(record.size_bytes for record in stated.values()),
        damages=tuple(dict.fromkeys(sorted(damages, key=lambda damage: (damage.path, damage.problem)))),
        orphans=tuple(inventory.orphans),
        uploads=tuple(upload.path for upload in store.unfinished_uploads()),
    )


def _damage_of(folder: str, line: str) -> Damage:
    path, separator, problem = line.partition(": ")
    return Damage(f"{folder}/{path if separator else MANIFEST_PATH}", problem if separator else line)


def _check_file(store: Store, path: str, stated: FileRecord) -> Iterator[Damage]:
    try:
        problem = patiently(partial(_problem_of, store, path, stated))
    except FileNotFoundError:
        problem = "missing"
    except CorruptionError as error:
        problem = str(error)
    if problem:
        yield Damage(path, problem)


def _problem_of(store: Store, path: str, stated: FileRecord) -> str | None:
    with store.open_read(path) as file:
        found = HashingReader(file).record(path, stated.rows)
    if found.size_bytes != stated.size_bytes:
        return f"{found.size_bytes} bytes, not {stated.size_bytes}"
    if found.sha256 != stated.sha256:
        return f"its SHA-256 is {found.sha256}, not {stated.sha256}"
    return _schema_problem(store, path, stated) if path.endswith(".parquet") else None


def _check_copy(store: Store, path: str) -> Iterator[Damage]:
    """Whether a copy of a text source is whole: no commit names it, but its pages carry checksums."""

    def read() -> None:
        with (
            store.open_read(path, in_pieces=True) as file,
            pq.ParquetFile(file, page_checksum_verification=True) as parquet,
        ):
            for group in range(parquet.num_row_groups):
                parquet.read_row_group(group)

    try:
        patiently(read)
    except FileNotFoundError:
        # A run that goes on may have made another one in its place.
        return
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        if is_of_the_store(error):
            raise
        yield Damage(path, f"cannot be read as Parquet: {first_line(error)}")


def _schema_problem(store: Store, path: str, stated: FileRecord) -> str | None:
    try:
        with store.open_read(path, in_pieces=True) as file, pq.ParquetFile(file) as parquet:
            rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
    except pa.ArrowInvalid as error:
        return f"cannot be read as Parquet: {error}"
    if rows != stated.rows:
        return f"{rows} rows, not {stated.rows}"
    for field in schema:
        if field.name in COLUMNS and field.type != COLUMNS[field.name].type:
            return f"column {field.name} is {field.type}, not {COLUMNS[field.name].type}"
    return None if "row" in schema.names or path.startswith("shards/") else "has no column `row`"


def _check_counts(store: Store, found: CommitFile) -> Iterator[Damage]:
    """Whether a commit says of its files what they hold; these are whole by their checksums."""
    commit = found.commit
    if isinstance(commit, PartCommit):
        counted = sum(file.rows - len(file.without) for file in commit.files)
        # Of what a removal took rows out of, it cannot be told how many it took.
        if counted < commit.rows_in and not any(was_erased_from(file.path) for file in commit.files):
            yield Damage(found.path, f"its files hold {counted} rows of {commit.rows_in}")
        if not found.path.endswith(f"/{unit_name(commit.part)}.json"):
            yield Damage(found.path, f"is the commit of part {commit.part}")
    elif isinstance(commit, DecisionCommit):
        reasons = _column(store, found, commit.file, "reason")
        rejected = {str(one["values"]): one["counts"] for one in pc.value_counts(reasons.drop_null()).to_pylist()}
        if rejected != dict(commit.rejected) or commit.file.rows != commit.rows_in:
            yield Damage(found.path, "does not count what its file holds")
    elif found.place == "ledger":
        (written,) = commit.files
        file = ColumnFile(**written.model_dump())
        rows = _column(store, found, file, "row").to_numpy()
        if len(rows) and not np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
            yield Damage(f"{found.folder}/{file.path}", "its rows are not consecutive")
        if _column(store, found, file, "outcome").null_count:
            yield Damage(f"{found.folder}/{file.path}", "a row has no outcome")


def _column(store: Store, found: CommitFile, file: ColumnFile, name: str) -> pa.ChunkedArray:
    return patiently(lambda: read_columns(store.child(found.folder), file, [name]))[name]


def _check_manifest(store: Store, inventory: Inventory, folder: str) -> Iterator[str]:
    """Whether the manifest of a delivery lists what was committed."""
    try:
        manifest = DeliveryManifest.model_validate_json(store.read_bytes(f"{folder}/{MANIFEST_PATH}"))
    except (ValidationError, FileNotFoundError):
        # The check of the delivery says so.
        return
    listed = {record.path: record for shard in manifest.shards for record in (shard.tar, shard.parquet)}
    committed = {record.path for one in inventory.commits.values() if one.folder == folder for _, record in one.files}
    lost = sorted(listed.keys() - committed)
    # Of a commit that cannot be read that is said, and that is enough.
    if lost and not inventory.has_unreadable(f"{folder}/{MANIFEST_PATH}"):
        yield f"{MANIFEST_PATH}: lists {len(lost)} files that no commit names, such as {lost[0]}"
    for commit in inventory.commits.values():
        for path, record in commit.files if commit.folder == folder else ():
            if listed.get(record.path) != record:
                yield f"{path.rpartition('/')[2]}: the manifest does not list what was committed"


def _record_of(store: Store) -> RunRecord | Damage:
    try:
        return read_record(store, RUN_RECORD, RunRecord)
    except FileNotFoundError:
        return Damage(RUN_RECORD, "missing")
    except CorruptionError as error:
        return Damage(RUN_RECORD, str(error))


def _check_records(store: Store, inventory: Inventory, record: RunRecord | Damage) -> Iterator[Damage]:
    for number in _numbers(inventory, REMOVALS):
        yield from _unreadable(store, removal_path(number), Removal)
    for number in _numbers(inventory, REVISITS):
        yield from _unreadable(store, revisit_path(number), Revisit)
    if isinstance(record, Damage):
        yield record
    else:
        yield from _missing_commits(inventory, record)
        yield from _gaps(inventory, record)


def _numbers(inventory: Inventory, folder: str) -> Sequence[int]:
    """All up to the last that is known of: they are given without gaps, and what is carried out was asked for."""
    names = [path.rpartition("/")[2] for path in inventory.files if path.startswith(f"{folder}/")]
    stems = [name.removesuffix("-erased.json").removesuffix("-ended.json") for name in names]
    return range(1, 1 + max(record_numbers(stems), default=0))


def _unreadable(store: Store, path: str, kind: type[Removal] | type[Revisit]) -> Iterator[Damage]:
    try:
        read_record(store, path, kind)
    except FileNotFoundError:
        yield Damage(path, "missing")
    except CorruptionError as error:
        yield Damage(path, str(error))


def _missing_commits(inventory: Inventory, record: RunRecord) -> Iterator[Damage]:
    """Of the items that the latest run has left behind it, commits and manifests that are not there."""
    known = {*inventory.commits, *inventory.unreadable}
    for item in record.items if record.state == "finished" else record.items[:-1]:
        if _was_taken_back(inventory, record, item):
            continue
        for path in _commits_of(item, known):
            if path not in known:
                yield Damage(path, "missing")
        manifest = f"{item.folder}/{MANIFEST_PATH}"
        if item.kind == "delivery" and not item.quarantined and manifest not in inventory.files:
            yield Damage(manifest, "missing")


def _commits_of(item: RunItem, known: Collection[str]) -> Iterator[str]:
    """Paths of the commits that an item has when it has ended."""
    if item.kind == "decision":
        yield f"{item.commits}/{DECISION_COMMIT}"
        return
    names = [path.rpartition("/")[2] for path in known if path.startswith(f"{item.commits}/")]
    for unit in set(range(item.units)) - committed_units(names) - set(item.quarantined):
        yield f"{item.commits}/{unit_name(unit)}.json"


def _was_taken_back(inventory: Inventory, record: RunRecord, item: RunItem) -> bool:
    """Whether a removal since the run explains that a decision, or a delivery, is gone: it leaves nothing of them."""
    since = [number for number in _numbers(inventory, REMOVALS) if number > (record.removals or 0)]
    if not since or item.kind not in ("decision", "delivery"):
        return False
    if any(erased_path(number) not in inventory.files for number in since):
        # It goes on, or was broken off.
        return True
    return not any(path.startswith((f"{item.folder}/", f"{item.commits}/")) for path in inventory.files)


def _gaps(inventory: Inventory, record: RunRecord) -> Iterator[Damage]:
    """Whether the ledger of the latest run has all rows of the source."""
    rows: dict[str, int] = defaultdict(int)
    for commit in inventory.commits.values():
        if commit.place == "ledger":
            rows[commit.folder] += sum(file.rows for _, file in commit.files)
    if record.ledger is not None and rows[record.ledger] != record.rows and not _any_below(inventory, record.ledger):
        yield Damage(record.ledger, f"has {rows[record.ledger]} rows of {record.rows}")


def _any_below(inventory: Inventory, ledger: str) -> bool:
    """Whether a commit of the ledger cannot be read: that it lacks rows follows from this."""
    commits = ledger.replace("ledger/", "ledger/commits-", 1)
    return any(path.startswith(f"{commits}/") for path in inventory.unreadable)
