"""Opens the folder of a run: its record, and its ledger as a lazy frame."""

from __future__ import annotations

import polars as pl

from curation.errors import CorruptionError, RecipeError
from curation.storage.column_scan import ScannedFile, read_schema, scan_columns
from curation.storage.layout import RUN_RECORD, UnitsLayout, ledger_file
from curation.storage.store import Store
from curation.storage.stored_records import VERIFY_HINT, read_record
from schemas.columns import COLUMNS
from schemas.records import RunRecord

_TEXTS = ("key", "url", "caption", "outcome", "step", "reason", "detail")
"""Every ledger has them, beside `row`."""


def open_run(folder: str) -> tuple[Store, RunRecord]:
    """The store of a run and its record.

    Raises:
        RecipeError: There is no run in the folder.
    """
    store = Store(folder)
    try:
        return store, read_record(store, RUN_RECORD, RunRecord)
    except FileNotFoundError as error:
        raise RecipeError(f"{folder}: no run here; start one with `curation run RECIPE --out {folder}`") from error


def open_ledger(address: str) -> pl.LazyFrame:
    """The ledger behind `DIR`, which is that of its latest run, or behind `DIR#FINGERPRINT`.

    Raises:
        RecipeError: There is no run, or it has not come to its end yet; or there is no such version.
    """
    store, fingerprint = find_version(address)
    return scan_ledger(store, UnitsLayout("ledger", fingerprint).folder)


def find_version(address: str) -> tuple[Store, str]:
    """The store of a run, and the fingerprint of the version of it that an address means.

    Args:
        address: `DIR` (the latest version) or `DIR#FINGERPRINT`; the first digits will do.

    Raises:
        RecipeError: As `open_ledger`.
    """
    folder, separator, wanted = address.rpartition("#")
    if not separator or Store(address).exists(RUN_RECORD):
        store, record = open_run(address)
        if record.ledger is None:
            raise RecipeError(
                f"{address}: the run is not complete; finish it with `curation run` and the same recipe "
                f"(an earlier version, if there is one, goes by {address}#FINGERPRINT: `curation versions {address}`)"
            )
        return store, record.ledger.rpartition("/")[2]
    store, _ = open_run(folder)
    matches = [known for known in ledger_fingerprints(store) if wanted and known.startswith(wanted)]
    if len(matches) != 1:
        problem = "several versions begin so" if matches else "there is no such version"
        raise RecipeError(f"{address}: {problem}; `curation versions {folder}` lists them")
    return store, matches[0]


def ledger_fingerprints(store: Store) -> list[str]:
    """Of the ledgers of a folder of which at least one part is committed."""
    return [
        name.removeprefix("commits-")
        for name in store.list("ledger")
        if name.startswith("commits-") and store.list(f"ledger/{name}")
    ]


def scan_ledger(store: Store, ledger: str, parts: int | None = None) -> pl.LazyFrame:
    """A ledger by its folder in the store.

    Args:
        parts: How many files a whole one has; None: those that are there, as the folder is listed.

    Raises:
        CorruptionError: Its first file cannot be read; when the frame is collected, another one.
    """
    if parts is None:
        names = [name for name in store.list(ledger) if name.endswith(".parquet")]
    else:
        names = [ledger_file(part) for part in range(parts)]
    if not names:
        return pl.LazyFrame(schema={"row": pl.Int64, **dict.fromkeys(_TEXTS, pl.String)})
    files = [ScannedFile(f"{ledger}/{name}") for name in names]
    schema = read_schema(store, files[0])
    # What pages hold is under checksums, what they are called is not.
    for column in ("row", *_TEXTS):
        if column not in schema.names or schema.field(column).type != COLUMNS[column].type:
            raise CorruptionError(f"{store.locate(files[0].path)}: has no column {column}; {VERIFY_HINT}")
    return scan_columns(store, files, schema, may_lack=True)
