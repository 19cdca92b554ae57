"""The boundary at which whatever a unit raises becomes a report, so that the run goes on without it."""

from __future__ import annotations

import logging
import traceback

import pyarrow as pa

from curation.engine.operator import Handover, Operator
from curation.errors import CorruptionError
from curation.masking import mask
from schemas.records import UnitReport

logger = logging.getLogger(__name__)


def attempt(operator: Operator, unit: int, table: pa.Table | None) -> Handover:
    """Runs an operator on a unit; an exception comes back as a report with `error` set."""
    try:
        return operator.run(unit, table)
    except CorruptionError as error:
        return Handover(report=UnitReport(unit=unit, error=mask(str(error)), fatal=True))
    except Exception as error:  # noqa: BLE001 - a worker's boundary: the unit fails, not the run
        logger.warning("unit %d failed in %s:\n%s", unit, operator.name, traceback.format_exc())
        return Handover(report=UnitReport(unit=unit, error=mask(f"{type(error).__name__}: {error}")))
