"""Runs the stages of a phase over the live rows of a part, and holds each of them to its contract."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from curation.contracts.marks import MARK_COLUMNS, has_marks
from curation.contracts.pieces import with_columns
from curation.contracts.stage import Stage, StreamingStage, earlier_name
from curation.engine.stage_contract import WaitingRows, check_result
from schemas.columns import COLUMNS, Role, nullable_schema_of, schema_of
from schemas.outcomes import Outcome
from schemas.records import StepSpan

END_COLUMNS = ("outcome", "step", "reason", "detail")
_END_SCHEMA = nullable_schema_of(*END_COLUMNS)
_PIECES_AHEAD = 2
"""Most pieces that a streaming stage has handed on and that are not done: more would only hold more bodies."""


class StageSpan:
    """When a stage worked on a part, and for how long of that it was busy. Entered for each stretch.

    Attributes:
        shared_s: Of the time that it was busy, what counts for stages that were busy at the same time.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.busy_s = 0.0
        self.shared_s = 0.0
        self.rows = 0
        self.ended: Counter[str] = Counter()
        self._began = 0.0
        self._first = time.time()
        self._last = self._first

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.busy_s += time.perf_counter() - self._began
        # A clock that is set back meanwhile must not make the end precede the begin.
        self._last = max(self._last, time.time())

    def record(self, operator: str) -> StepSpan:
        """As it stands in a report."""
        figures = {"rows_in": float(self.rows), "rows_out": float(self.rows - self.ended.total())}
        figures |= {f"ended.{reason}": float(rows) for reason, rows in sorted(self.ended.items())}
        return StepSpan(
            name=self.name,
            operator=operator,
            begin=self._first,
            end=self._last,
            figures={**figures, "busy_seconds": round(self.busy_s, 6)},
        )


class StageChain:
    """Stages that share a worker: nothing is copied between them, and dead rows never reach the next one.

    Args:
        stages: In the order of the recipe.
        needed_later: Columns that must outlive the chain though they are transient, because stages of the
            same phase on another worker read them.
    """

    def __init__(self, stages: Sequence[Stage], needed_later: frozenset[str] = frozenset()) -> None:
        self.stages = tuple(stages)
        self._needed_later = needed_later
        self.spans: dict[str, StageSpan] = {}

    @property
    def seconds(self) -> dict[str, float]:
        """Time of the worker in each step, for the table of the latest run.

        What steps did at the same time is divided among them: they add up to no more than the run took.
        """
        return {name: span.busy_s - span.shared_s for name, span in self.spans.items()}

    def forget(self) -> None:
        """Makes the latest run one that never was."""
        self.spans.clear()

    def setup(self) -> None:
        """Sets up every stage."""
        for stage in self.stages:
            stage.setup()

    def close(self) -> None:
        """Closes every stage."""
        for stage in self.stages:
            stage.close()

    def run(self, table: pa.Table, part: int) -> pa.Table:
        """The rows of the table in their order, with what was measured and the four columns of `END_COLUMNS`.

        Rows that ended in an earlier chain of the phase (`outcome` set) pass unchanged.

        Raises:
            StageError: A stage broke its contract.
        """
        self.forget()
        ended: list[pa.Table] = []
        alive = table
        if "outcome" in table.column_names:
            dead = np.array(table["outcome"].is_valid())
            ended.append(table.filter(pa.array(dead)))
            alive = table.filter(pa.array(~dead)).drop_columns(list(END_COLUMNS))
        survivors = list(self._from(0, alive, part, ended))
        done = [_without_end(piece) for piece in survivors] + ended
        result = pa.concat_tables(done, promote_options="default")
        return _in_order_of(result, table)

    def _from(self, index: int, alive: pa.Table, part: int, ended: list[pa.Table]) -> Iterator[pa.Table]:
        """Yields the survivors of the stages from `index` on."""
        if index == len(self.stages):
            yield alive
            return
        stage = self.stages[index]
        if isinstance(stage, StreamingStage):
            behind = self._rowwise_end(index + 1)
            pieces = self._streamed(stage, index, behind, alive, part, ended)
            # They came as they were done, but what a stage makes of a whole part must not hang on that.
            survivors = _in_row_order(pa.concat_tables([self._nothing(index, behind, alive), *pieces]))
            yield from self._from(behind, survivors, part, ended)
        else:
            yield from self._from(index + 1, self._straight(index, index + 1, alive, part, ended), part, ended)

    def _streamed(
        self, stage: StreamingStage, index: int, behind: int, alive: pa.Table, part: int, ended: list[pa.Table]
    ) -> list[pa.Table]:
        """What a streaming stage and those behind it, up to `behind`, leave of the rows, in pieces.

        While the stages behind it work on one piece (decoding waits for another process), it makes the next one.
        """
        begun, busy = time.perf_counter(), {name: span.busy_s for name, span in self.spans.items()}
        waiting = WaitingRows(stage.config.step_name, alive, part)
        pieces: list[Future[pa.Table]] = []
        with ThreadPoolExecutor(1, thread_name_prefix="rowwise") as thread:
            for chunk in self._timed_stream(stage, alive):
                rows = self._merge(index, waiting.take(chunk), chunk, part, ended)
                if len(pieces) >= _PIECES_AHEAD:
                    pieces[-_PIECES_AHEAD].result()
                pieces.append(thread.submit(self._straight, index + 1, behind, rows, part, ended))
            done = [piece.result() for piece in pieces]
        waiting.check_none_left()
        self._share(busy, time.perf_counter() - begun)
        return done

    def _share(self, before: Mapping[str, float], wall_s: float) -> None:
        """Divides among the steps what they did at the same time, in proportion to what each did since `before`."""
        spent = {span: span.busy_s - before.get(name, 0.0) for name, span in self.spans.items()}
        overlap_s = sum(spent.values()) - wall_s
        for span, busy_s in spent.items():
            if overlap_s > 0:
                span.shared_s += overlap_s * busy_s / (overlap_s + wall_s)

    def _nothing(self, start: int, stop: int, alive: pa.Table) -> pa.Table:
        """No rows, with the columns that survivors of these stages have."""
        rows = alive.slice(0, 0)
        for index in range(start, stop):
            for name in self.stages[index].spec.adds:
                rows = rows.append_column(COLUMNS[name].field, pa.array([], COLUMNS[name].type))
            rows = rows.drop_columns(self._no_longer_needed(index, rows))
        return rows

    def _rowwise_end(self, index: int) -> int:
        while index < len(self.stages) and self.stages[index].spec.rowwise:
            index += 1
        return index

    def _straight(self, start: int, stop: int, alive: pa.Table, part: int, ended: list[pa.Table]) -> pa.Table:
        for index in range(start, stop):
            stage = self.stages[index]
            with self._span_of(stage):
                result = stage.process(self._input_of(stage, alive))
            alive = self._merge(index, alive, result, part, ended)
        return alive

    def _timed_stream(self, stage: StreamingStage, alive: pa.Table) -> Iterator[pa.Table]:
        chunks = stage.stream(self._input_of(stage, alive))
        while True:
            with self._span_of(stage):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def _span_of(self, stage: Stage) -> StageSpan:
        name = stage.config.step_name
        return self.spans.get(name) or self.spans.setdefault(name, StageSpan(name))

    @staticmethod
    def _input_of(stage: Stage, alive: pa.Table) -> pa.Table:
        spec, there = stage.spec, alive.column_names
        earlier = [name for name in map(earlier_name, spec.revisits) if name in there]
        return alive.select(list(dict.fromkeys(["row", "key", *spec.requires, *earlier])))

    def _merge(self, index: int, rows: pa.Table, result: pa.Table, part: int, ended: list[pa.Table]) -> pa.Table:
        """Adds a stage's columns to its rows, moves the marked ones to `ended` and returns the others."""
        stage = self.stages[index]
        check_result(stage, rows, result, part)
        added = stage.spec.adds
        rows = with_columns(rows, list(schema_of(*added)), [result[name] for name in added])
        rows = rows.drop_columns(self._no_longer_needed(index, rows))
        span = self._span_of(stage)
        span.rows += rows.num_rows
        if not has_marks(result):
            return rows
        dead = np.array(result["outcome"].is_valid())
        marks = result.select(list(MARK_COLUMNS)).filter(pa.array(dead))
        span.ended.update(marks["reason"].to_pylist())
        ended.append(_end(rows.filter(pa.array(dead)), marks, stage.config.step_name))
        return rows.filter(pa.array(~dead))

    def _no_longer_needed(self, index: int, rows: pa.Table) -> list[str]:
        later = {name for stage in self.stages[index + 1 :] for name in stage.spec.requires} | self._needed_later
        return [
            name
            for name in rows.column_names
            if name in COLUMNS and COLUMNS[name].role is Role.TRANSIENT and name not in later
        ]


def _in_row_order(rows: pa.Table) -> pa.Table:
    """The rows by their numbers. Images are referred to where they lie: they are nearly all of what would be copied."""
    numbers = rows["row"].to_numpy()
    if (numbers[1:] >= numbers[:-1]).all():
        return rows
    order = np.argsort(numbers, kind="stable")
    places = pa.array(order, pa.int64())
    columns = [
        _uncopied(column, order) if pa.types.is_large_binary(column.type) else column.take(places)
        for column in rows.columns
    ]
    return pa.table(columns, schema=rows.schema)


def _uncopied(values: pa.ChunkedArray, order: np.ndarray) -> pa.ChunkedArray:
    """The values in another order, a chunk for each."""
    ends = np.cumsum([len(chunk) for chunk in values.chunks])
    chunks = np.searchsorted(ends, order, side="right")
    begins = ends - [len(chunk) for chunk in values.chunks]
    slices = [
        values.chunk(chunk).slice(place, 1)
        for chunk, place in zip(chunks.tolist(), (order - begins[chunks]).tolist(), strict=True)
    ]
    return pa.chunked_array(slices, values.type)


def _in_order_of(result: pa.Table, table: pa.Table) -> pa.Table:
    result = _in_row_order(result)
    wanted = np.sort(table["row"].to_numpy())
    if not np.array_equal(result["row"].to_numpy(), wanted):
        raise AssertionError("the chain lost or doubled rows")
    return result


def _end(rows: pa.Table, marks: pa.Table, step: str) -> pa.Table:
    outcomes = marks["outcome"].to_pylist()
    reasons = [
        f"{step}.{reason}" if outcome == Outcome.REJECTED else reason
        for outcome, reason in zip(outcomes, marks["reason"].to_pylist(), strict=True)
    ]
    columns = [outcomes, [step] * len(outcomes), reasons, marks["detail"].to_pylist()]
    for field, values in zip(_END_SCHEMA, columns, strict=True):
        rows = rows.append_column(field, pa.array(values, field.type))
    # A transient column of a dead row is read by nobody any more.
    return rows.drop_columns(
        [name for name in rows.column_names if name in COLUMNS and COLUMNS[name].role is Role.TRANSIENT]
    )


def _without_end(alive: pa.Table) -> pa.Table:
    nulls = [pa.nulls(alive.num_rows, kind) for kind in _END_SCHEMA.types]
    return with_columns(alive, list(_END_SCHEMA), nulls)
