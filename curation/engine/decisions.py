"""Makes the decisions: hands an exchange its columns of all live rows, checks its verdicts and commits them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from polars.io.plugins import register_io_source

from curation.contracts.exchange import Exchange
from curation.contracts.sink import Sink
from curation.engine.lineage import DecidedItem, Lineage, MeasuredItem
from curation.errors import CorruptionError, CurationError
from curation.storage.column_groups import write_column_pieces, write_columns
from curation.storage.layout import DecisionLayout
from curation.storage.store import Store
from schemas.columns import COLUMNS
from schemas.records import DecisionCommit, PartCommit, PoolFile

ROWS_AT_ONCE = 1_000_000
"""Rows of the source whose columns are joined, and whose verdicts are sorted, at a time."""
_SUNK_GROUP = 250_000


def live_frame(lineage: Lineage, columns: Sequence[str]) -> pl.LazyFrame:
    """`row`, `key` and columns of every row that is still alive, as a lazy frame over the committed files.

    Where columns of several items have to be joined and there are many rows, they are joined some parts at a time as
    the frame is read, so that memory is bounded by `ROWS_AT_ONCE`.
    """
    names = list(dict.fromkeys(["row", "key", *columns]))
    joined = len(_sources(lineage, names)) > 1
    if not joined or lineage.index.rows <= ROWS_AT_ONCE:
        return _live_frame(lineage, names)

    def batches(
        wanted: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        for parts in slices_of_parts(lineage):
            frame = _live_frame(lineage, names, parts)
            frame = frame if predicate is None else frame.filter(predicate)
            batch = frame.select(wanted or names).collect(engine="streaming")
            batch = batch if n_rows is None else batch.head(n_rows)
            n_rows = None if n_rows is None else n_rows - len(batch)
            yield batch
            if n_rows == 0:
                return

    schema = _live_frame(lineage, names, range(1)).collect_schema()
    return register_io_source(batches, schema=schema, is_pure=True)


def slices_of_parts(lineage: Lineage) -> Iterator[range]:
    """All parts in order, in ranges of about `ROWS_AT_ONCE` rows."""
    step = max(1, ROWS_AT_ONCE // lineage.part_rows)
    yield from (range(start, min(start + step, lineage.parts)) for start in range(0, lineage.parts, step))


def rows_of(lineage: Lineage, parts: range) -> pl.Expr:
    """Whether a row is of some parts."""
    return pl.col("row").is_between(lineage.bounds(parts[0])[0], lineage.bounds(parts[-1])[1], closed="left")


def _sources(lineage: Lineage, columns: Sequence[str]) -> dict[int, list[str]]:
    """By the number of the item, those of the columns that are read from it."""
    if not lineage.items:
        raise AssertionError("an exchange needs a phase before it")
    last = len(lineage.items) - 1
    sources: dict[int, list[str]] = {number: [] for number in range(_first_telling(lineage), last)}
    sources[last] = ["row", "key"]
    for name in columns:
        holders = [number for number, item in enumerate(lineage.items) if name in item.columns]
        if name not in ("row", "key") and holders:
            sources.setdefault(holders[-1], []).append(name)
    return sources


def _first_telling(lineage: Lineage) -> int:
    """The first item that has to be asked who lives: a verdict names all that were alive then, so the last decision."""
    decisions = (number for number, item in enumerate(lineage.items) if isinstance(item, DecidedItem))
    return max(decisions, default=0)


def _live_frame(lineage: Lineage, names: Sequence[str], parts: range | None = None) -> pl.LazyFrame:
    sources = _sources(lineage, names)
    last = len(lineage.items) - 1
    result = _living(lineage, last, parts).select(sources.pop(last))
    telling = _first_telling(lineage)
    for number, columns in sources.items():
        if number >= telling:
            living = _living(lineage, number, parts).select("row", *columns)
            result = result.join(living, on="row", how="inner", maintain_order="left")
        else:
            values = _item_frame(lineage, lineage.items[number], parts).select("row", *columns)
            result = result.join(values, on="row", how="left", maintain_order="left")
    return result.select(names)


def _living(lineage: Lineage, number: int, parts: range | None) -> pl.LazyFrame:
    """What an item wrote of the rows that it did not end."""
    item = lineage.items[number]
    end = "reason" if isinstance(item, DecidedItem) else "outcome"
    return _item_frame(lineage, item, parts).filter(pl.col(end).is_null())


def _item_frame(lineage: Lineage, item: MeasuredItem | DecidedItem, parts: range | None) -> pl.LazyFrame:
    """Everything an item wrote of some parts, or of all, rows that are no longer alive included."""
    store = lineage.store.child(item.layout.folder)
    if isinstance(item, DecidedItem):
        verdicts = scan(store, [item.commit.file.path])
        return verdicts if parts is None else verdicts.filter(rows_of(lineage, parts))
    frames = []
    for files in _without_overlap(lineage.part_commits(item, parts)):
        frame = scan(store, [file.path for file in files])
        without = [row for file in files for row in file.without]
        if without:
            frame = frame.join(pl.LazyFrame({"row": without}, {"row": pl.Int64}), on="row", how="anti")
        frames.append(frame)
    if not frames:
        empty = lineage.schema_of(["row", "key", *item.columns]).empty_table()
        return pl.from_arrow(empty).lazy()  # type: ignore[union-attr]
    return pl.concat(frames) if len(frames) > 1 else frames[0]


def _without_overlap(commits: Iterable[PartCommit]) -> Iterator[list[PoolFile]]:
    """All files of the commits, in groups in which one may leave out what no other of the group is to give.

    The rows that a file leaves out are given by another file of the same commit: the two are in different groups.
    """
    whole: list[PoolFile] = []
    groups: list[list[PoolFile]] = []
    for commit in commits:
        whole += [file for file in commit.files if not file.without]
        for place, file in enumerate(file for file in commit.files if file.without):
            if place == len(groups):
                groups.append([])
            groups[place].append(file)
    yield from (group for group in (whole, *groups) if group)


def scan(store: Store, paths: Sequence[str]) -> pl.LazyFrame:
    """A lazy frame over Parquet files of a store."""
    if store.is_local:
        return pl.scan_parquet([store.locate(path) for path in paths], glob=False)
    return pl.scan_parquet([f"{store.url}/{path}" for path in paths], glob=False)


def read_decision(lineage: Lineage, layout: DecisionLayout) -> DecisionCommit | None:
    """The commit of a decision, None where it was not made yet."""
    try:
        return DecisionCommit.model_validate_json(lineage.store.read_bytes(layout.commit))
    except FileNotFoundError:
        return None


def decide(lineage: Lineage, exchange: Exchange, layout: DecisionLayout) -> DecisionCommit:
    """Runs an exchange over all live rows and commits its verdicts.

    The verdicts are written to a temporary file as they come, and checked and sorted from there, some parts at a time.

    Raises:
        CurationError: The exchange broke its contract.
    """
    name = exchange.config.step_name
    adds = exchange.spec.adds
    given = live_frame(lineage, exchange.spec.requires)
    schema = _registered(("row", "key", "reason", "detail", *adds))
    store = lineage.store.child(layout.folder)
    counts: Counter[str] = Counter()
    with TemporaryDirectory(prefix="verdicts-") as folder:
        verdicts = _sunk(lambda: exchange.decide(given), adds, name, Path(folder))

        def pieces() -> Iterator[pa.Table]:
            for frame in _checked(lineage, verdicts, name):
                table = _as_registered(frame, schema, name)
                rules = pc.value_counts(table["reason"].drop_null()).to_pylist()
                counts.update({str(rule["values"]): int(rule["counts"]) for rule in rules})
                yield table

        file = write_column_pieces(store, f"verdicts-{_attempt()}.parquet", schema, pieces())
    commit = DecisionCommit(step=name, rows_in=file.rows, rejected=dict(sorted(counts.items())), file=file)
    return _commit(lineage, layout, commit)


def _sunk(decide: Callable[[], pl.LazyFrame], adds: Sequence[str], name: str, folder: Path) -> pl.LazyFrame:
    """Verdicts as an exchange gave them, from a file."""
    path = folder / "given.parquet"
    try:
        _named(decide(), adds, name).sink_parquet(
            path, compression="lz4", row_group_size=_SUNK_GROUP, engine="streaming"
        )
    except pl.exceptions.PolarsError as error:
        raise CurationError(f"step {name}: {str(error).strip().splitlines()[0]}") from error
    return pl.scan_parquet(path, glob=False)


def _checked(lineage: Lineage, verdicts: pl.LazyFrame, name: str) -> Iterator[pl.DataFrame]:
    """Yields the verdicts in ascending order of rows, with keys, some parts at a time.

    Conservation is checked on the way: a verdict for every live row, and for each of them one.
    """
    judged = 0
    for parts in slices_of_parts(lineage):
        alive = _collected(_live_frame(lineage, ["row", "key"], parts), name).sort("row")
        own = _collected(verdicts.filter(rows_of(lineage, parts)), name).sort("row")
        if not own["row"].cast(alive["row"].dtype).equals(alive["row"]):
            raise _not_conserved(lineage, verdicts, name)
        judged += len(own)
        # The key travels along, so that a later exchange finds it without opening the pool.
        yield own.with_columns(alive["key"])
    if judged != verdicts.select(pl.len()).collect().item():
        raise _not_conserved(lineage, verdicts, name)


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
    places = _verdicts(lambda: sink.assign(given), sink.spec.adds, name)
    _check_rows(_collected(given.select("row"), name)["row"], places["row"], name)
    table = _as_registered(places.sort("row"), _registered(("row", "reason", "detail", *sink.spec.adds)), name)
    _check_places(table, sink.spec.adds, name)
    return _commit_assignment(lineage, layout, name, table, sink.spec.adds[:2])


def _collected(frame: pl.LazyFrame, name: str) -> pl.DataFrame:
    try:
        return frame.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise CurationError(f"step {name}: {str(error).strip().splitlines()[0]}") from error


def _verdicts(decide: Callable[[], pl.LazyFrame], adds: Sequence[str], name: str) -> pl.DataFrame:
    try:
        return _collected(_named(decide(), adds, name), name)
    except pl.exceptions.PolarsError as error:
        raise CurationError(f"step {name}: {str(error).strip().splitlines()[0]}") from error


def _named(verdicts: pl.LazyFrame, adds: Sequence[str], name: str) -> pl.LazyFrame:
    """Verdicts whose rules have the name of the step before them."""
    missing = {"row", "reason", "detail", *adds} - set(verdicts.collect_schema().names())
    if missing:
        raise CurationError(f"step {name}: its verdicts lack {', '.join(sorted(missing))}")
    named = pl.format(f"{name}.{{}}", pl.col("reason").cast(pl.String)).alias("reason")
    return verdicts.select("row", "reason", "detail", *adds).with_columns(named)


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


def _registered(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([COLUMNS[column].field.with_nullable(True) for column in columns])


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
