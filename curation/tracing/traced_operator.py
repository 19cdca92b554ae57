"""An operator that notes what it does when, and lets the notes travel with the unit to the driver."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from curation.contracts.shared import SharedLink, SharedSpec
from curation.engine.operator import Handover, Operator
from curation.runtime.attempts import attempt
from schemas.records import StepSpan

_SPANS = b"spans"
"""Key in the metadata of a table that is handed to the next operator."""


class TracedOperator(Operator):
    """Does what another operator does."""

    def __init__(self, inner: Operator) -> None:
        self.name = inner.name
        self.resources = inner.resources
        self.steps = inner.steps
        self.costs = inner.costs
        self._inner = inner

    @property
    def shared(self) -> Mapping[str, SharedSpec]:
        """As the other's."""
        return self._inner.shared

    def connect(self, links: Mapping[str, SharedLink]) -> None:
        """Passes the links on."""
        self._inner.connect(links)

    def setup(self) -> None:
        """Sets the other one up."""
        self._inner.setup()

    def close(self) -> None:
        """Closes the other one."""
        self._inner.close()

    def run(self, unit: int, table: pa.Table | None) -> Handover:
        """Runs the other one, whatever it raises, and notes the time."""
        before = _spans_of(table)
        begin = time.time()
        # The worker's boundary is here, so that a unit that fails is noted as well.
        handover = attempt(self._inner, unit, table)
        report = handover.report
        figures: dict[str, float] = {}
        if report is not None:
            figures = {"rows_in": report.rows_in, "rows_out": report.kept, "bytes_written": report.bytes_written}
        elif handover.table is not None:
            figures = {"rows_out": handover.table.num_rows, "bytes_handed_over": handover.table.nbytes}
        own = StepSpan(
            name=self.name,
            begin=begin,
            end=max(begin, time.time()),
            worker=f"{socket.gethostname()}:{os.getpid()}",
            figures=figures,
            error=None if report is None else report.error,
        )
        spans = (*before, own, *self._inner.step_spans())
        if report is not None:
            return Handover(report=report.model_copy(update={"spans": spans}))
        return Handover(table=_with_spans(handover.table, spans))


def _spans_of(table: pa.Table | None) -> tuple[StepSpan, ...]:
    metadata = (table.schema.metadata or {}) if table is not None else {}
    return tuple(StepSpan.model_validate(values) for values in json.loads(metadata.get(_SPANS, b"[]")))


def _with_spans(table: pa.Table | None, spans: Sequence[StepSpan]) -> Any:
    if table is None:
        raise AssertionError("an operator hands over a table or a report")
    told = json.dumps([span.model_dump() for span in spans]).encode()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _SPANS: told})
