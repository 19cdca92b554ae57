"""The boundary at which errors become reports."""

import pytest
from scripted_operator import Scripted

from curation.errors import CorruptionError, StageError
from curation.runtime.attempts import attempt


@pytest.mark.parametrize(
    ("error", "text", "fatal"),
    [
        (ValueError("broken"), "ValueError: broken", False),
        (StageError("lost a row", stage="draw", part=3), "StageError: part 3, step draw: lost a row", False),
        (MemoryError(), "MemoryError: ", False),
        (CorruptionError("x.parquet: is gone"), "x.parquet: is gone", True),
    ],
)
def test_an_error_is_a_report_when_it_reaches_the_boundary(error, text, fatal):
    report = attempt(Scripted(error), 3, None).report
    assert (report.unit, report.error, report.fatal) == (3, text, fatal)


def test_an_interruption_is_none_of_it_when_it_reaches_the_boundary():
    with pytest.raises(KeyboardInterrupt):
        attempt(Scripted(KeyboardInterrupt()), 3, None)
