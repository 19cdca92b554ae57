"""Takes rows out of what was made of the pool: decisions and deliveries go, ledgers keep a bare line for each row."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curation.engine.ledger_operator import blanked
from curation.engine.stage_chain import END_COLUMNS
from curation.removals.removed_rows import REMOVAL_STEP, REMOVED
from curation.storage.column_groups import read_columns, write_columns
from curation.storage.layout import DECISION_COMMIT, UnitsLayout, committed_units
from curation.storage.store import Store
from curation.storage.stored_records import read_records
from schemas.outcomes import Outcome
from schemas.records import DecisionCommit, UnitCommit

_DECISIONS = "decisions"
_LEDGER = "ledger"
_SHARDS = "shards"


@dataclass
class ResultsErasure:
    """What was done.

    Attributes:
        decisions: Decisions that were deleted.
        ledger_rows: Rows of ledgers that were blanked.
        shards: Folders of deliveries that were deleted.
    """

    decisions: int = 0
    ledger_rows: int = 0
    shards: list[str] = field(default_factory=list)


def erase_results(store: Store, keys: pl.Series, number: int) -> ResultsErasure:
    """Deletes every decision and delivery that holds a row of these keys, and blanks the rows in every ledger.

    Deliveries go first: it is the ledger that tells which rows they hold. Doing it again, or after a crash, comes to
    the same.

    Args:
        store: Rooted at the run's folder, in which nobody else is writing.
        number: Of the removal, for the blanked lines.
    """
    done = ResultsErasure()
    for fingerprint in shards_to_go(store, keys):
        done.shards.append(UnitsLayout(_SHARDS, fingerprint).folder)
        _delete_delivery(store, fingerprint)
    for name in store.list(_DECISIONS):
        done.decisions += _erase_decision(store.child(f"{_DECISIONS}/{name}"), keys)
    for name in store.list(_LEDGER):
        if not name.startswith("commits-"):
            done.ledger_rows += _erase_ledger(store, UnitsLayout(_LEDGER, name), keys, number)
    return done


def shards_to_go(store: Store, keys: pl.Series) -> list[str]:
    """Fingerprints of the deliveries that hold a row of these keys; of those, too, of which no ledger tells."""
    names = store.list(_SHARDS)
    known = {name.removeprefix("commits-") for name in names}
    return [fingerprint for fingerprint in sorted(known) if _may_hold(store, fingerprint, keys)]


def _may_hold(store: Store, fingerprint: str, keys: pl.Series) -> bool:
    delivered = _delivered_rows(store, fingerprint)
    kept = 0
    layout = UnitsLayout(_LEDGER, fingerprint)
    for name in store.list(layout.folder):
        ledger = _read(store.child(layout.folder), name, ["key", "outcome"])
        here = ledger.filter(pl.col("outcome") == Outcome.KEPT.value)["key"]
        kept += len(here)
        if here.is_in(keys.implode()).any():
            return True
    return kept != delivered


def _delivered_rows(store: Store, fingerprint: str) -> int | None:
    """Rows that were given a place, None where that cannot be told."""
    for name in store.list(_DECISIONS):
        if name.endswith(f"-{fingerprint}"):
            commit = _decision(store.child(f"{_DECISIONS}/{name}"))
            return None if commit is None else commit.rows_in - sum(commit.rejected.values())
    return None


def _delete_delivery(store: Store, fingerprint: str) -> None:
    layout = UnitsLayout(_SHARDS, fingerprint)
    # Without commits and without its assignment it is no delivery, should the deletion be broken off.
    store.delete_folder(layout.commits)
    for name in store.list(_DECISIONS):
        if name.endswith(f"-{fingerprint}"):
            _delete_decision(store.child(f"{_DECISIONS}/{name}"))
    store.delete_folder(layout.folder)


def _decision(folder: Store) -> DecisionCommit | None:
    return read_records(folder, [DECISION_COMMIT], DecisionCommit).get(DECISION_COMMIT)


def _delete_decision(folder: Store) -> None:
    folder.delete(DECISION_COMMIT)
    folder.delete_folder("")


def _erase_decision(folder: Store, keys: pl.Series) -> int:
    """Deletes a decision over a row of the keys: it is made again without them. Returns how many were deleted."""
    commit = _decision(folder)
    if commit is None:
        folder.delete_folder("")
        return 0
    # That of a sink has no keys.
    if not commit.by_unit:
        held = pl.Series(pl.from_arrow(read_columns(folder, commit.file, ["key"])["key"]))
        if held.is_in(keys.implode()).any():
            _delete_decision(folder)
            return 1
    named = {DECISION_COMMIT, commit.file.path, *([commit.by_unit.path] if commit.by_unit else [])}
    for name in folder.list(""):
        if name not in named:
            folder.delete(name)
    return 0


def _erase_ledger(store: Store, layout: UnitsLayout, keys: pl.Series, number: int) -> int:
    files = store.child(layout.folder)
    committed = committed_units(store.list(layout.commits))
    rows = 0
    for name in files.list(""):
        unit = int(name.removeprefix("part-").removesuffix(".parquet"))
        if unit not in committed:
            files.delete(name)
            continue
        chosen = _read(files, name, ["key"])["key"].is_in(keys.implode()).to_numpy()
        if chosen.any():
            with files.open_read(name) as raw:
                table = pq.read_table(raw)
            record = write_columns(files, name, without_content(table, chosen, number))
            store.write_bytes(layout.commit(unit), UnitCommit(unit=unit, files=(record,)).to_bytes())
            rows += int(chosen.sum())
    return rows


def without_content(ledger: pa.Table, chosen: np.ndarray, number: int) -> pa.Table:
    """A ledger in which the chosen rows are rejected by a removal, and nothing else is told of them.

    Args:
        chosen: (n,) bool.
    """
    ledger = blanked(ledger, chosen)
    texts = (Outcome.REJECTED.value, REMOVAL_STEP, REMOVED, f"removal {number}")
    for name, text in zip(END_COLUMNS, texts, strict=True):
        place = ledger.schema.get_field_index(name)
        values = np.where(chosen, text, ledger[name].to_numpy(zero_copy_only=False))
        ledger = ledger.set_column(place, ledger.schema.field(place), pa.array(values.tolist(), pa.string()))
    return ledger


def _read(store: Store, path: str, columns: list[str]) -> pl.DataFrame:
    with store.open_read(path) as raw:
        frame = pl.from_arrow(pq.read_table(raw, columns=columns))
    assert isinstance(frame, pl.DataFrame)
    return frame
