"""Finds the keys of the rows that a removal means, wherever the folder or its source knows of them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from curation.contracts.source import Source
from curation.errors import CurationError
from curation.ledger.open_run import ledger_fingerprints
from curation.removals.matcher import Matcher
from curation.storage.layout import POOL, SOURCE_WORKSPACE, UnitsLayout
from curation.storage.store import Store

ANSWERED_URLS = ("final_url", "redirect_chain")
"""A row is meant, too, by the URL that its image came from in the end, and by those on the way there."""
URL_COLUMNS = ("url", *ANSWERED_URLS)
_SLICE_ROWS = 65_536


def stored_keys(store: Store, matcher: Matcher) -> set[str]:
    """Keys of the rows of all ledgers and of the whole pool that a removal means by their URLs."""
    found: set[str] = set()
    for folder, name in _tables(store):
        frame = _keys_and_urls(store.child(folder), name)
        if frame is not None:
            chosen = pl.Series(matcher.by_any(frame, frame.columns[1:]) > 0)
            found.update(frame.filter(chosen)["key"].to_list())
    return found


def _keys_and_urls(store: Store, name: str) -> pl.DataFrame | None:
    try:
        with store.open_read(name) as raw:
            parquet = pq.ParquetFile(raw)
            columns = [column for column in URL_COLUMNS if column in parquet.schema_arrow.names]
            frame = pl.from_arrow(parquet.read(["key", *columns])) if columns else None
    except pa.ArrowInvalid:
        # Left by an attempt that crashed: it is not in the pool, and is deleted with the others of its kind.
        return None
    assert frame is None or isinstance(frame, pl.DataFrame)
    return frame


def _tables(store: Store) -> Iterator[tuple[str, str]]:
    for fingerprint in ledger_fingerprints(store):
        folder = UnitsLayout("ledger", fingerprint).folder
        yield from ((folder, name) for name in store.list(folder))
    for phase in store.list(POOL):
        folder = f"{POOL}/{phase}/data"
        yield from ((folder, name) for name in store.list(folder))


def source_keys(store: Store, source: Source, matcher: Matcher) -> tuple[set[str], int]:
    """Keys of the rows of the source that a removal means, and the number of these rows.

    Raises:
        CurationError: The source cannot be read.
    """
    workspace = store.child(SOURCE_WORKSPACE)
    try:
        index = source.index(workspace)
    except OSError as error:
        raise CurationError(f"the source cannot be read: {error}") from error
    found: set[str] = set()
    rows = 0
    for start in range(0, index.rows, _SLICE_ROWS):
        frame = pl.from_arrow(
            source.read(index, start, min(start + _SLICE_ROWS, index.rows), workspace).select(["key", "url"])
        )
        assert isinstance(frame, pl.DataFrame)
        chosen = frame.filter(pl.Series(matcher.by_any(frame, ["url"]) > 0))["key"]
        found.update(chosen.to_list())
        rows += len(chosen)
    return found, rows
