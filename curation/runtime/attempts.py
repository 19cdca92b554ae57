"""The boundary at which whatever a unit raises becomes a report, so that the run goes on without it.

It does not where stored data is damaged, or where a store does not let a worker in: then every unit would fail alike.
"""

from __future__ import annotations

import logging
import platform
import traceback

import pyarrow as pa

from curation.engine.operator import Handover, Operator
from curation.errors import AccessError, CorruptionError, CurationError
from curation.masking import mask
from curation.storage.store_failures import denial_behind
from schemas.records import UnitReport

logger = logging.getLogger(__name__)


def attempt(operator: Operator, unit: int, table: pa.Table | None) -> Handover:
    """Runs an operator on a unit; an exception comes back as a report with `error` set."""
    try:
        return operator.run(unit, table)
    except CorruptionError as error:
        return Handover(report=UnitReport(unit=unit, error=mask(str(error)), fatal=True))
    except Exception as error:  # noqa: BLE001 - a worker's boundary: the unit fails, not the run
        denial = denial_behind(error)
        if denial is not None:
            return Handover(report=UnitReport(unit=unit, error=mask(_denied(error, denial)), fatal=True, denied=True))
        logger.warning("unit %d failed in %s:\n%s", unit, operator.name, traceback.format_exc())
        return Handover(report=UnitReport(unit=unit, error=mask(f"{type(error).__name__}: {error}")))


def fatal_error(report: UnitReport) -> CurationError:
    """What a report that is fatal ends the run with."""
    return AccessError(report.error or "") if report.denied else CorruptionError(report.error or "")


def _denied(error: Exception, denial: BaseException) -> str:
    said = str(error) if isinstance(error, CurationError) else f"{type(denial).__name__}: {denial}"
    remedy = (
        "the same command goes on once it has the credentials and the rights (--secret passes variables to workers)"
    )
    return f"{said} (on {platform.node()}); {remedy}"
