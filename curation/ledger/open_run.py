"""Opens the folder of a run: its record, and its ledger as a lazy frame."""

from __future__ import annotations

import polars as pl

from curation.errors import RecipeError
from curation.storage.layout import RUN_RECORD, UnitsLayout, ledger_file
from curation.storage.polars_access import polars_access
from curation.storage.store import Store
from curation.storage.stored_records import read_record
from schemas.records import RunRecord


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
    """
    if parts is None:
        names = [name for name in store.list(ledger) if name.endswith(".parquet")]
    else:
        names = [ledger_file(part) for part in range(parts)]
    if not names:
        texts = ("key", "url", "caption", "outcome", "step", "reason", "detail")
        return pl.LazyFrame(schema={"row": pl.Int64, **dict.fromkeys(texts, pl.String)})
    files = [store.address(f"{ledger}/{name}") for name in names]
    return pl.scan_parquet(files, glob=False, missing_columns="insert", **polars_access(store))
