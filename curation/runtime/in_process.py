"""The runner without Ray: one unit after the other, or a few at a time, in this process, to the same bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from curation.contracts.exchange import Partitions
from curation.contracts.shared import LocalLink
from curation.engine.operator import Handover, Operator
from curation.runtime.attempts import attempt, fatal_error
from curation.runtime.notice_to_end import Notice, notice_to_end
from curation.runtime.partitions import LocalPartitions
from curation.storage.store import Store
from schemas.records import UnitReport

FIRST_BACKOFF_S = 0.1


class InProcessRunner:
    """Runs pipelines in this process. A crash of a stage's native code takes the process with it.

    Args:
        max_tries: Tries of a unit before it is reported with its error.
        threads: Units at a time; more than one only for operators that keep nothing of one unit for the next.
        grace_s: How long after a SIGTERM units in work may take to be done.
    """

    def __init__(self, max_tries: int = 3, threads: int = 1, *, grace_s: float = 0.0) -> None:
        self._max_tries = max_tries
        self._threads = threads
        self._grace_s = grace_s

    def run(self, operators: Sequence[Operator], units: Sequence[int], on_report: Callable[[UnitReport], None]) -> None:
        """Calls `on_report` once for each unit.

        Raises:
            CorruptionError: What a unit found.
            AccessError: A store did not let a unit in.
            KeyboardInterrupt: SIGTERM, when the units in work are done.
        """
        for operator in operators:
            operator.connect({name: LocalLink(spec) for name, spec in operator.shared.items()})
            operator.setup()
        try:
            with notice_to_end(self._grace_s) as notice:
                for report in self._reports(operators, units, notice):
                    if report.fatal:
                        raise fatal_error(report)
                    on_report(report)
        finally:
            for operator in operators:
                operator.close()

    def _reports(self, operators: Sequence[Operator], units: Sequence[int], notice: Notice) -> Iterator[UnitReport]:
        if self._threads == 1:
            for unit in units:
                if notice.given:
                    return
                yield self._tried(operators, unit)
            return
        with ThreadPoolExecutor(self._threads) as threads:
            pending = [threads.submit(self._tried, operators, unit) for unit in units]
            try:
                for done in pending:
                    if notice.given:
                        # All at once: threads take the next one as soon as they have done one.
                        threads.shutdown(wait=False, cancel_futures=True)
                    if not done.cancelled():
                        yield done.result()
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def _tried(self, operators: Sequence[Operator], unit: int) -> UnitReport:
        backoff_s = FIRST_BACKOFF_S
        for left in range(self._max_tries - 1, -1, -1):
            report = _run_once(operators, unit)
            if report.error is None or report.fatal or not left:
                return report
            time.sleep(backoff_s)
            backoff_s *= 2
        raise AssertionError("max_tries is at least 1")

    def capacity(self) -> None:
        """There are no workers to be sized."""

    def partitions(self, count: int, workspace: Store) -> Partitions:
        """Works on hash partitions of a frame one after the other."""
        return LocalPartitions(count, workspace)

    def close(self) -> None:
        """Holds nothing."""


def _run_once(operators: Sequence[Operator], unit: int) -> UnitReport:
    handover = Handover()
    for operator in operators:
        handover = attempt(operator, unit, handover.table)
        if handover.report is not None:
            return handover.report
    raise AssertionError("the last operator of a pipeline reports")
