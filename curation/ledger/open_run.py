"""Opens the folder of a run: its record, and its ledger as a lazy frame."""

from __future__ import annotations

import polars as pl

from curation.errors import RecipeError
from curation.storage.layout import RUN_RECORD
from curation.storage.store import Store
from schemas.records import RunRecord


def open_run(folder: str) -> tuple[Store, RunRecord]:
    """The store of a run and its record.

    Raises:
        RecipeError: There is no run in the folder.
    """
    store = Store(folder)
    try:
        return store, RunRecord.model_validate_json(store.read_bytes(RUN_RECORD))
    except FileNotFoundError as error:
        raise RecipeError(f"{folder}: no run here; start one with `curation run RECIPE --out {folder}`") from error


def open_ledger(folder: str) -> pl.LazyFrame:
    """The ledger of the folder's latest run.

    Raises:
        RecipeError: There is no run, or it has not come to its end yet.
    """
    store, record = open_run(folder)
    if record.ledger is None:
        raise RecipeError(f"{folder}: the run is not complete; finish it with `curation run` and the same recipe")
    return scan_ledger(store, record.ledger)


def scan_ledger(store: Store, ledger: str) -> pl.LazyFrame:
    """A ledger by its folder in the store."""
    names = [name for name in store.list(ledger) if name.endswith(".parquet")]
    if not names:
        texts = ("key", "url", "caption", "outcome", "step", "reason", "detail")
        return pl.LazyFrame(schema={"row": pl.Int64, **dict.fromkeys(texts, pl.String)})
    root = store.locate(ledger) if store.is_local else f"{store.url}/{ledger}"
    return pl.scan_parquet([f"{root}/{name}" for name in names], glob=False, missing_columns="insert")
