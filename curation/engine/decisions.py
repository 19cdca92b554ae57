"""Makes the decisions: hands an exchange its columns of all live rows, checks its verdicts and commits them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curation.contracts.exchange import Exchange, GroupingExchange, Partitions
from curation.contracts.sink import Sink
from curation.engine.given_verdicts import GivenVerdicts, collected_verdicts, named_errors
from curation.engine.grouping import decide_on_groups
from curation.engine.lineage import Lineage
from curation.engine.live_rows import live_frame, living_keys
from curation.engine.remembered import Remembered
from curation.errors import CorruptionError, CurationError
from curation.storage.column_groups import write_column_pieces, write_columns
from curation.storage.layout import REMEMBERED, DecisionLayout
from curation.storage.stored_records import read_record
from schemas.columns import nullable_schema_of
from schemas.records import DecisionCommit


def read_decision(lineage: Lineage, layout: DecisionLayout) -> DecisionCommit | None:
    """The commit of a decision, None where it was not made yet."""
    try:
        return read_record(lineage.store, layout.commit, DecisionCommit)
    except FileNotFoundError:
        return None


def decide(
    lineage: Lineage,
    exchange: Exchange,
    layout: DecisionLayout,
    partitions: Partitions | None = None,
    still_holds: Callable[[], bool] = lambda: True,
) -> DecisionCommit:
    """Runs an exchange over all live rows and commits its verdicts.

    The verdicts are written to a temporary file as they come, and checked and sorted from there, some parts at a time.

    Args:
        lineage: What was measured and decided before.
        exchange: What decides.
        layout: Where the verdicts go.
        partitions: Where an exchange that decides about groups of rows looks for them; None: all rows at once.
        still_holds: Whether the fingerprint in `layout` still says what was read; asked before the commit.

    Raises:
        CurationError: The exchange broke its contract, or failed; or a file that it reads was changed meanwhile.
    """
    name = exchange.config.step_name
    adds = exchange.spec.adds
    exchange.remember_in(Remembered(lineage.store.child(REMEMBERED)))
    given = live_frame(lineage, exchange.spec.requires)
    if partitions is not None and isinstance(exchange, GroupingExchange):
        judge = partial(decide_on_groups, exchange, given, partitions)
    else:
        judge = partial(exchange.decide, given)
    schema = nullable_schema_of("row", "key", "reason", "detail", *adds)
    store = lineage.store.child(layout.folder)
    counts: Counter[str] = Counter()
    with TemporaryDirectory(prefix="verdicts-") as folder:
        verdicts = GivenVerdicts(lineage, Path(folder))
        verdicts.write(judge, adds, name)
        if not still_holds():
            raise CurationError(f"step {name}: a file that it reads was changed while it decided; start the run again")

        def pieces() -> Iterator[pa.Table]:
            for frame in _checked(lineage, verdicts, name):
                table = _as_registered(frame, schema, name)
                rules = pc.value_counts(table["reason"].drop_null()).to_pylist()
                counts.update({str(rule["values"]): int(rule["counts"]) for rule in rules})
                yield table

        # The next piece is read and sorted while one is compressed.
        with ThreadPoolExecutor(1, "verdicts") as reader:
            file = write_column_pieces(store, f"verdicts-{_attempt()}.parquet", schema, _ahead(pieces(), reader))
    commit = DecisionCommit(step=name, rows_in=file.rows, rejected=dict(sorted(counts.items())), file=file)
    return _commit(lineage, layout, commit)


def _ahead(pieces: Iterator[pa.Table], reader: Executor) -> Iterator[pa.Table]:
    """Yields what an iterator gives, and has the next of it made meanwhile."""
    coming = reader.submit(next, pieces, None)
    while (piece := coming.result()) is not None:
        coming = reader.submit(next, pieces, None)
        yield piece


def _checked(lineage: Lineage, verdicts: GivenVerdicts, name: str) -> Iterator[pl.DataFrame]:
    """Yields the verdicts in ascending order of rows, with keys, some parts at a time.

    Conservation is checked on the way: a verdict for every live row, and for each of them one.
    """
    judged = 0
    for parts, given in verdicts.slices():
        alive = _collected(living_keys(lineage, parts), name).sort("row")
        own = _collected(given, name).sort("row")
        if not own["row"].cast(alive["row"].dtype).equals(alive["row"]):
            raise _not_conserved(lineage, verdicts.all(), name)
        judged += len(own)
        # The key travels along, so that a later exchange finds it without opening the pool.
        yield own.with_columns(alive["key"])
    if judged != verdicts.all().select(pl.len()).collect().item():
        raise _not_conserved(lineage, verdicts.all(), name)


def _not_conserved(lineage: Lineage, verdicts: pl.LazyFrame, name: str) -> CurationError:
    counted = verdicts.select(given=pl.len(), rows=pl.col("row").n_unique()).collect(engine="streaming")
    given, rows = counted.row(0)
    alive = _collected(live_frame(lineage, []).select(pl.len()), name).item()
    return CurationError(f"step {name}: gave {given} verdicts on {rows} rows, but {alive} rows are alive")


def assign(lineage: Lineage, sink: Sink, layout: DecisionLayout) -> DecisionCommit:
    """Lets a sink give every survivor its place, and commits the assignment.

    Raises:
        CurationError: The sink broke its contract.
    """
    name = sink.config.step_name
    given = live_frame(lineage, [])
    places = collected_verdicts(lambda: sink.assign(given), sink.spec.adds, name)
    _check_rows(_collected(given.select("row"), name)["row"], places["row"], name)
    table = _as_registered(places.sort("row"), nullable_schema_of("row", "reason", "detail", *sink.spec.adds), name)
    _check_places(table, sink.spec.adds, name)
    return _commit_assignment(lineage, layout, name, table, sink.spec.adds[:2])


def _collected(frame: pl.LazyFrame, name: str) -> pl.DataFrame:
    with named_errors(name):
        return frame.collect(engine="streaming")


def _check_rows(alive: pl.Series, judged: pl.Series, name: str) -> None:
    """Conservation: a verdict for every live row, and for each of them one."""
    if not alive.sort().equals(judged.sort()):
        raise CurationError(
            f"step {name}: gave {len(judged)} verdicts on {judged.n_unique()} rows, but {len(alive)} rows are alive"
        )


def _check_places(places: pa.Table, adds: Sequence[str], name: str) -> None:
    """Conservation: a row is delivered once or has a reason why not, and no place stays empty."""
    unit, place = adds[:2]
    delivered = places.filter(places["reason"].is_null()).sort_by([(unit, "ascending"), (place, "ascending")])
    units = delivered[unit].to_numpy()
    sizes = np.bincount(units) if delivered.num_rows and not delivered[unit].null_count else np.empty(0, np.int64)
    expected = np.concatenate([np.arange(size) for size in sizes]) if len(sizes) else np.empty(0, np.int64)
    dense = bool((sizes > 0).all()) and np.array_equal(delivered[place].to_numpy(), expected)
    if not dense or places.num_rows - delivered.num_rows != places[unit].null_count:
        raise CurationError(f"step {name}: its places are not dense from 0, or a row without a reason has none")


def _as_registered(frame: pl.DataFrame, schema: pa.Schema, name: str) -> pa.Table:
    try:
        return frame.select(schema.names).to_arrow().cast(schema)
    except pa.ArrowException as error:
        raise CurationError(f"step {name}: its verdicts are not of the registered types: {error}") from error


def _attempt() -> str:
    return uuid.uuid4().hex[:12]


def _commit_assignment(
    lineage: Lineage, layout: DecisionLayout, step: str, table: pa.Table, unit_columns: Sequence[str]
) -> DecisionCommit:
    store, attempt = lineage.store.child(layout.folder), _attempt()
    file = write_columns(store, f"verdicts-{attempt}.parquet", table)
    unit, place = unit_columns
    placed = table.filter(table[unit].is_valid()).sort_by([(unit, "ascending"), (place, "ascending")])
    by_unit = write_columns(store, f"units-{attempt}.parquet", placed.select(["row", unit, place]))
    units = (pc.max(placed[unit]).as_py() + 1) if placed.num_rows else 0
    counts = pc.value_counts(table["reason"].drop_null()).to_pylist()
    rejected = {str(count["values"]): int(count["counts"]) for count in counts}
    commit = DecisionCommit(
        step=step, rows_in=table.num_rows, rejected=rejected, file=file, by_unit=by_unit, units=units
    )
    return _commit(lineage, layout, commit)


def _commit(lineage: Lineage, layout: DecisionLayout, commit: DecisionCommit) -> DecisionCommit:
    if lineage.store.put_if_absent(layout.commit, commit.to_bytes()):
        return commit
    store = lineage.store.child(layout.folder)
    for record in (commit.file, commit.by_unit):
        if record is not None:
            store.delete(record.path)
    winner = read_decision(lineage, layout)
    if winner is None:
        raise CorruptionError(f"{lineage.store.locate(layout.commit)}: exists but cannot be read")
    return winner
