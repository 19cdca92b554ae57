"""Makes the decisions: hands an exchange its columns of all live rows, checks its verdicts and commits them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from curation.contracts.exchange import Exchange
from curation.contracts.sink import Sink
from curation.engine.lineage import DecidedItem, Lineage, MeasuredItem
from curation.errors import CorruptionError, CurationError
from curation.storage.column_groups import write_columns
from curation.storage.layout import DecisionLayout
from curation.storage.store import Store
from schemas.columns import COLUMNS
from schemas.records import DecisionCommit, PartCommit, PoolFile


def live_frame(lineage: Lineage, columns: Sequence[str]) -> pl.LazyFrame:
    """`row`, `key` and columns of every row that is still alive, as a lazy frame over the committed files."""
    alive: pl.LazyFrame | None = None
    values: dict[str, pl.LazyFrame] = {}
    for item in lineage.items:
        frame = item_frame(lineage, item)
        end = "reason" if isinstance(item, DecidedItem) else "outcome"
        if alive is not None:
            frame = frame.join(alive, on="row", how="semi")
        elif len(lineage.removed.rows):
            frame = frame.join(pl.LazyFrame({"row": lineage.removed.rows}), on="row", how="anti")
        alive = frame.filter(pl.col(end).is_null()).select("row")
        values.update(dict.fromkeys([name for name in item.columns if name in columns], frame))
        values.setdefault("key", frame)
    if alive is None:
        raise AssertionError("an exchange needs a phase before it")
    result = alive
    for frame, names in _by_frame(values):
        result = result.join(frame.select("row", *names), on="row", how="left", maintain_order="none")
    return result.select("row", "key", *[name for name in columns if name not in ("row", "key")])


def _by_frame(values: dict[str, pl.LazyFrame]) -> list[tuple[pl.LazyFrame, list[str]]]:
    grouped: dict[int, tuple[pl.LazyFrame, list[str]]] = {}
    for name, frame in values.items():
        grouped.setdefault(id(frame), (frame, []))[1].append(name)
    return list(grouped.values())


def item_frame(lineage: Lineage, item: MeasuredItem | DecidedItem) -> pl.LazyFrame:
    """Everything an item wrote, rows that are no longer alive included."""
    store = lineage.store.child(item.layout.folder)
    if isinstance(item, DecidedItem):
        return scan(store, [item.commit.file.path])
    frames = []
    for files in _without_overlap(lineage.part_commits(item)):
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
    return pl.scan_parquet([store.address(path) for path in paths], glob=False)


def read_decision(lineage: Lineage, layout: DecisionLayout) -> DecisionCommit | None:
    """The commit of a decision, None where it was not made yet."""
    try:
        return DecisionCommit.model_validate_json(lineage.store.read_bytes(layout.commit))
    except FileNotFoundError:
        return None


def decide(lineage: Lineage, exchange: Exchange, layout: DecisionLayout) -> DecisionCommit:
    """Runs an exchange over all live rows and commits its verdicts.

    Raises:
        CurationError: The exchange broke its contract.
    """
    name = exchange.config.step_name
    given = live_frame(lineage, exchange.spec.requires)
    keys = _collected(given.select("row", "key"), name)
    verdicts = _verdicts(lambda: exchange.decide(given), exchange.spec.adds, name)
    _check_rows(keys["row"], verdicts["row"], name)
    # The key travels along, so that a later exchange finds it without opening the pool.
    verdicts = verdicts.join(keys, on="row", how="left").sort("row")
    table = _as_registered(verdicts, ("row", "key", "reason", "detail", *exchange.spec.adds), name)
    return _commit(lineage, layout, name, table, None)


def assign(lineage: Lineage, sink: Sink, layout: DecisionLayout) -> DecisionCommit:
    """Lets a sink give every survivor its place, and commits the assignment.

    Raises:
        CurationError: The sink broke its contract.
    """
    name = sink.config.step_name
    given = live_frame(lineage, [])
    places = _verdicts(lambda: sink.assign(given), sink.spec.adds, name)
    _check_rows(_collected(given.select("row"), name)["row"], places["row"], name)
    table = _as_registered(places.sort("row"), ("row", "reason", "detail", *sink.spec.adds), name)
    _check_places(table, sink.spec.adds, name)
    return _commit(lineage, layout, name, table, sink.spec.adds[:2])


def _collected(frame: pl.LazyFrame, name: str) -> pl.DataFrame:
    try:
        return frame.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise CurationError(f"step {name}: {str(error).strip().splitlines()[0]}") from error


def _verdicts(decide: Callable[[], pl.LazyFrame], adds: Sequence[str], name: str) -> pl.DataFrame:
    try:
        verdicts = _collected(decide(), name)
    except pl.exceptions.PolarsError as error:
        raise CurationError(f"step {name}: {str(error).strip().splitlines()[0]}") from error
    missing = {"row", "reason", "detail", *adds} - set(verdicts.columns)
    if missing:
        raise CurationError(f"step {name}: its verdicts lack {', '.join(sorted(missing))}")
    verdicts = verdicts.select("row", "reason", "detail", *adds)
    return verdicts.with_columns(pl.format(f"{name}.{{}}", pl.col("reason")).alias("reason"))


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


def _as_registered(frame: pl.DataFrame, columns: Sequence[str], name: str) -> pa.Table:
    schema = pa.schema([COLUMNS[column].field.with_nullable(True) for column in columns])
    try:
        return frame.select(columns).to_arrow().cast(schema)
    except pa.ArrowException as error:
        raise CurationError(f"step {name}: its verdicts are not of the registered types: {error}") from error


def _commit(
    lineage: Lineage, layout: DecisionLayout, step: str, table: pa.Table, unit_columns: Sequence[str] | None
) -> DecisionCommit:
    store = lineage.store.child(layout.folder)
    attempt = uuid.uuid4().hex[:12]
    file = write_columns(store, f"verdicts-{attempt}.parquet", table)
    by_unit, units = None, None
    if unit_columns:
        unit, place = unit_columns
        placed = table.filter(table[unit].is_valid()).sort_by([(unit, "ascending"), (place, "ascending")])
        by_unit = write_columns(store, f"units-{attempt}.parquet", placed.select(["row", unit, place]))
        units = (pc.max(placed[unit]).as_py() + 1) if placed.num_rows else 0
    counts = pc.value_counts(table["reason"].drop_null()).to_pylist()
    commit = DecisionCommit(
        step=step,
        rows_in=table.num_rows,
        rejected={str(count["values"]): int(count["counts"]) for count in counts},
        file=file,
        by_unit=by_unit,
        units=units,
    )
    if lineage.store.put_if_absent(layout.commit, commit.to_bytes()):
        return commit
    for record in (file, by_unit):
        if record is not None:
            store.delete(record.path)
    winner = read_decision(lineage, layout)
    if winner is None:
        raise CorruptionError(f"{lineage.store.locate(layout.commit)}: exists but cannot be read")
    return winner
