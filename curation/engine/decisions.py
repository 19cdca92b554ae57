"""Makes the decisions: hands an exchange its columns of all live rows, checks its verdicts and commits them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

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
from schemas.columns import COLUMNS, schema_of
from schemas.records import DecisionCommit


def live_frame(lineage: Lineage, columns: Sequence[str]) -> pl.LazyFrame:
    """`row`, `key` and columns of every row that is still alive, as a lazy frame over the committed files."""
    alive: pl.LazyFrame | None = None
    values: dict[str, pl.LazyFrame] = {}
    for item in lineage.items:
        frame = _item_frame(lineage, item)
        end = "reason" if isinstance(item, DecidedItem) else "outcome"
        if alive is not None:
            frame = frame.join(alive, on="row", how="semi")
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


def _item_frame(lineage: Lineage, item: MeasuredItem | DecidedItem) -> pl.LazyFrame:
    """Everything an item wrote, rows that are no longer alive included."""
    store = lineage.store.child(item.layout.folder)
    if isinstance(item, DecidedItem):
        return scan(store, [item.commit.file.path])
    paths: dict[str, None] = {}
    for part in range(lineage.parts):
        commit = lineage.part_commit(item, part)
        paths.update(dict.fromkeys(file.path for file in commit.files) if commit else {})
    if not paths:
        return pl.from_arrow(schema_of("row", "key", *item.columns).empty_table()).lazy()  # type: ignore[union-attr]
    return scan(store, list(paths))


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

    Raises:
        CurationError: The exchange broke its contract.
    """
    name = exchange.config.step_name
    given = live_frame(lineage, exchange.spec.requires)
    verdicts = _verdicts(exchange.decide(given), exchange.spec.adds, name)
    verdicts = _with_rule_names(verdicts, name)
    _check_rows(lineage, verdicts, name)
    # The key travels along, so that a later exchange finds it without opening the pool.
    keys = live_frame(lineage, []).collect(engine="streaming")
    verdicts = verdicts.join(keys, on="row", how="left").sort("row")
    table = _as_registered(verdicts, ("row", "key", "reason", "detail", *exchange.spec.adds))
    return _commit(lineage, layout, name, table, None)


def assign(lineage: Lineage, sink: Sink, layout: DecisionLayout) -> DecisionCommit:
    """Lets a sink give every survivor its place, and commits the assignment."""
    name = sink.config.step_name
    places = _with_rule_names(_verdicts(sink.assign(live_frame(lineage, [])), sink.spec.adds, name), name)
    _check_rows(lineage, places, name)
    table = _as_registered(places.sort("row"), ("row", "reason", "detail", *sink.spec.adds))
    return _commit(lineage, layout, name, table, sink.spec.adds[:2])


def _verdicts(frame: pl.LazyFrame, adds: Sequence[str], name: str) -> pl.DataFrame:
    verdicts = frame.collect(engine="streaming")
    missing = {"row", "reason", "detail", *adds} - set(verdicts.columns)
    if missing:
        raise CurationError(f"step {name}: its verdicts lack {', '.join(sorted(missing))}")
    return verdicts.select("row", "reason", "detail", *adds)


def _with_rule_names(verdicts: pl.DataFrame, name: str) -> pl.DataFrame:
    return verdicts.with_columns(pl.format(f"{name}.{{}}", pl.col("reason")).alias("reason"))


def _check_rows(lineage: Lineage, verdicts: pl.DataFrame, name: str) -> None:
    """Conservation: a verdict for every live row, and for each of them one."""
    alive = live_frame(lineage, []).select("row").collect(engine="streaming")["row"].sort()
    judged = verdicts["row"].sort()
    if len(alive) != len(judged) or not (alive == judged).all():
        raise CurationError(
            f"step {name}: gave {len(judged)} verdicts on {judged.n_unique()} rows, but {len(alive)} rows are alive"
        )


def _as_registered(frame: pl.DataFrame, columns: Sequence[str]) -> pa.Table:
    schema = pa.schema([COLUMNS[name].field.with_nullable(True) for name in columns])
    return frame.select(columns).to_arrow().cast(schema)


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
