"""The small JSON records of a run: what was committed, by whom it can be trusted, and in which version."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A JSON document that is written once and never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_bytes(self) -> bytes:
        """The record as UTF-8 JSON, the same bytes for the same values."""
        return (self.model_dump_json(indent=1) + "\n").encode()


class FileRecord(Record):
    """A data file: its path relative to the folder of the record that names it."""

    path: str
    rows: int
    size_bytes: int
    sha256: str


class PartCommit(Record):
    """The commit of one part of one phase. Its existence makes the files part of the run.

    Attributes:
        rows_in: Rows that were alive when the phase began.
        rows_measured: Rows measured for this commit; the others were measured for an earlier one.
        files: What holds the rows, the reused files of earlier commits first.
    """

    version: Literal[1] = 1
    part: int
    rows_in: int
    rows_measured: int
    files: tuple[FileRecord, ...]


class DecisionCommit(Record):
    """The commit of an exchange's verdicts, or of a sink's assignment.

    Attributes:
        file: One row for each row that was judged, ascending by row.
        by_unit: Of an assignment alone: its rows ascending by unit and place.
        units: Of an assignment alone: how many units there are.
        rejected: Rows rejected, by rule.
    """

    version: Literal[1] = 1
    step: str
    rows_in: int
    rejected: dict[str, int]
    file: FileRecord
    by_unit: FileRecord | None = None
    units: int | None = None


class UnitCommit(Record):
    """The commit of one unit of a delivery (a shard) or of the ledger."""

    version: Literal[1] = 1
    unit: int
    files: tuple[FileRecord, ...]


class UnitReport(Record):
    """What a worker tells the driver of one part or unit.

    Attributes:
        rows_in: Rows that were alive at the start.
        rows_measured: Rows that were worked on; the others were taken over from an earlier run.
        rejected: Rows that ended here, by rule.
        failed: Rows that ended here, by reason.
        seconds: Time in each step.
        error: Why the unit is not committed, None if it is.
        fatal: The error is corruption: trying again cannot help, and going on would hide it.
    """

    unit: int
    rows_in: int = 0
    rows_measured: int = 0
    kept: int = 0
    rejected: dict[str, int] = {}
    failed: dict[str, int] = {}
    bytes_written: int = 0
    seconds: dict[str, float] = {}
    error: str | None = None
    fatal: bool = False


class RunItem(Record):
    """One line of the plan as a run carried it out."""

    kind: Literal["phase", "decision", "delivery", "ledger"]
    name: str
    folder: str
    commits: str
    units: int
    columns: tuple[str, ...] = ()
    quarantined: tuple[int, ...] = ()


class RunRecord(Record):
    """`run.json`: what the latest run of a folder was, and where its results lie. The commits are the truth.

    Attributes:
        state: `running` also where a driver died: whether one lives cannot be told from a file.
        items: As far as the run has come.
        ledger: Folder of the ledger, once it is whole.
        shards: Folder of the delivery, once it is whole.
    """

    version: Literal[1] = 1
    recipe: str
    state: Literal["running", "finished", "interrupted"]
    rows: int
    parts: int
    part_rows: int
    items: tuple[RunItem, ...] = ()
    ledger: str | None = None
    shards: str | None = None
