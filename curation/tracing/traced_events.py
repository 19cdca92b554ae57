"""Makes a trace of each part, and one of the run, of what the driver hears. A listener."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from typing import Any

from curation.engine.events import ItemStart
from curation.tracing.exporters import make_exporter
from schemas.records import StepSpan, UnitReport

logger = logging.getLogger(__name__)
_NS = 1_000_000_000
_QUEUE = 65_536


class TracedEvents:
    """Every part has a trace, through all phases; every shard and every decision too; the items have that of the run.

    Ids follow from the run, the unit and the step, so what workers tell needs no context. Batches leave on a thread of
    their own: a collector that is slow or gone costs spans, never the run.

    Args:
        run: Names this run among those of its folder.
        recipe: The recipe's name.
    """

    def __init__(self, destination: str, run: str, recipe: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        # It tells of each batch that it could not send; once the run is over, the sum is enough.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._run = run
        self._processor = BatchSpanProcessor(make_exporter(destination), max_queue_size=_QUEUE)
        self._resource = Resource.create({"service.name": "curation", "curation.run": run, "curation.recipe": recipe})
        self._scope = InstrumentationScope("curation")
        self._item: ItemStart | None = None
        self._began = 0.0
        self._units = 0

    def item_started(self, start: ItemStart) -> None:
        """An item's span begins."""
        self._item, self._began, self._units = start, time.time(), 0

    def unit_done(self, report: UnitReport) -> None:
        """The spans of a unit: the whole, under it each operator, under these the steps."""
        item = self._item
        if item is None or not report.spans:
            return
        self._units += 1
        of = "part" if item.kind in ("phase", "ledger") else "shard" if item.kind == "delivery" else "decision"
        trace = self._id(16, of, report.unit)
        whole = StepSpan(
            name=f"{item.kind} {item.name}",
            begin=min(span.begin for span in report.spans),
            end=max(span.end for span in report.spans),
            figures=_figures(report),
            error=report.error,
        )
        root = self._id(8, of, report.unit, item.kind, item.name)
        attributes: dict[str, str | int] = {
            "curation.item": item.name,
            "curation.kind": item.kind,
            f"curation.{of}": report.unit,
        }
        self._export(whole, trace, root, None, attributes)
        place = (of, report.unit, item.kind, item.name)
        for span in report.spans:
            # A step may have the name of its operator.
            own = self._id(8, *place, span.operator or "", span.name)
            over = root if span.operator is None else self._id(8, *place, "", span.operator)
            self._export(span, trace, own, over, attributes)

    def item_ended(self, seconds: float) -> None:
        """An item's span ends."""
        del seconds
        item = self._item
        if item is not None:
            span = StepSpan(
                name=f"{item.kind} {item.name}",
                begin=self._began,
                end=max(self._began, time.time()),
                figures={"units": item.units, "done_before": item.done, "traced": self._units},
            )
            self._export(span, self._id(16, "run"), self._id(8, "run", item.kind, item.name), None, {})

    def close(self) -> None:
        """Sends what is left, for a few seconds at most."""
        try:
            self._processor.force_flush(5_000)
            self._processor.shutdown()  # type: ignore[no-untyped-call]
        except Exception:
            # A run does not fail because nobody could be told of it.
            logger.debug("spans are lost", exc_info=True)

    def _id(self, size: int, *parts: object) -> int:
        """The same for the same thing of the same run; never 0, which means none."""
        name = "\0".join(map(str, (self._run, *parts))).encode()
        return int.from_bytes(hashlib.sha256(name).digest()[:size]) or 1

    def _export(
        self, span: StepSpan, trace: int, own: int, over: int | None, attributes: Mapping[str, str | int]
    ) -> None:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(span_id: int) -> Any:
            return SpanContext(trace, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

        told: dict[str, str | int | float] = dict(attributes)
        told |= {
            f"curation.{name}": int(value) if value.is_integer() else value for name, value in span.figures.items()
        }
        if span.worker:
            told["curation.worker"] = span.worker
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=context(own),
                parent=None if over is None else context(over),
                resource=self._resource,
                attributes=told,
                kind=SpanKind.INTERNAL,
                status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK),
                start_time=int(span.begin * _NS),
                end_time=int(span.end * _NS),
                instrumentation_scope=self._scope,
            )
        )


def _figures(report: UnitReport) -> dict[str, float]:
    figures: dict[str, float] = {
        "rows_in": float(report.rows_in),
        "rows_measured": float(report.rows_measured),
        "rows_kept": float(report.kept),
        "bytes_written": float(report.bytes_written),
    }
    figures |= {f"rejected.{reason}": float(rows) for reason, rows in report.rejected.items()}
    return figures | {f"failed.{reason}": float(rows) for reason, rows in report.failed.items()}
