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


class ColumnFile(FileRecord):
    """A Parquet file of a run.

    Attributes:
        footer_crc32: CRC-32 of its footer, with the length and the mark behind it: pages have checksums of their own.
            None in records of earlier releases: such footers are believed.
    """

    footer_crc32: int | None = None


class PoolFile(ColumnFile):
    """A file of the pool, as one commit counts it.

    Attributes:
        revisit: Number of the newest revisit when its rows were measured, 0 before the first.
        without: Rows that the file holds and the commit does not count: another file of the commit holds their
            newest measurement, or they are not alive.
    """

    revisit: int = 0
    without: tuple[int, ...] = ()


class Revisited(Record):
    """What a revisit came to, in rows that were measured before.

    Attributes:
        asked: Rows asked for again.
        failed_before: Those that had failed, by reason.
        unchanged: They are what they were, so their earlier measurement stays.
        unreached: They could not be asked just now and were fine before, so their earlier measurement stays.
        healed: They had failed and no longer do.
        lost: They had not failed and do now.
    """

    asked: int = 0
    failed_before: dict[str, int] = {}
    unchanged: int = 0
    unreached: int = 0
    healed: int = 0
    lost: int = 0

    @property
    def changed(self) -> int:
        """Rows that are others than they were."""
        return self.asked - self.unchanged - self.unreached

    def __add__(self, other: Revisited) -> Revisited:
        """The sum of two."""
        reasons = [*self.failed_before, *other.failed_before]
        counts = {name: self.failed_before.get(name, 0) + other.failed_before.get(name, 0) for name in reasons}
        return Revisited(
            asked=self.asked + other.asked,
            failed_before=counts,
            unchanged=self.unchanged + other.unchanged,
            unreached=self.unreached + other.unreached,
            healed=self.healed + other.healed,
            lost=self.lost + other.lost,
        )


class SourceSlice(Record):
    """The rows of the source that a part had when it was measured.

    Attributes:
        rows: How many; the last part of a source may have more of them later.
        fingerprint: As the source told it.
    """

    rows: int
    fingerprint: str


class PartCommit(Record):
    """The commit of one part of one phase. Its existence makes the files part of the run.

    Every row that was alive when the phase began is counted by exactly one of the files.

    Attributes:
        rows_in: Rows that were alive when the phase began.
        rows_measured: Rows measured for this commit; the others were measured for an earlier one.
        files: What holds the rows, the reused files of earlier commits first.
        source: The rows of the part. Of these alone the files count any.
        revisit: Number of the newest revisit at the time; none up to it asks for any of the rows again.
        editions: Fingerprint of which rows were measured at which revisit, None where none was since the first.
        revisited: What the revisits came to that this commit carries out.
        rejected: Rows that ended here, by rule, when the commit was made; None in commits of before they were counted.
        failed: The same by reason.
        seconds: Time of a worker in each step, for the rows that were measured for this commit. Steps that worked at
            the same time share it.
    """

    version: Literal[1] = 1
    part: int
    rows_in: int
    rows_measured: int
    files: tuple[PoolFile, ...]
    source: SourceSlice | None = None
    revisit: int = 0
    editions: str | None = None
    revisited: Revisited | None = None
    rejected: dict[str, int] | None = None
    failed: dict[str, int] | None = None
    seconds: dict[str, float] = {}


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
    file: ColumnFile
    by_unit: ColumnFile | None = None
    units: int | None = None


class UnitCommit(Record):
    """The commit of one unit of a delivery (a shard) or of the ledger."""

    version: Literal[1] = 1
    unit: int
    files: tuple[FileRecord, ...]


class Revisit(Record):
    """A request to ask again for some of what was measured before it was made.

    Attributes:
        number: Revisits of a folder are numbered from 1; the number serves as the time of every measurement.
        reasons: Of a retry: rows that failed for one of these are asked for again. A refresh asks for every row.
        phases: Fingerprints of the steps of those phases that it is meant for.
    """

    version: Literal[1] = 1
    number: int
    kind: Literal["retry", "refresh"]
    reasons: tuple[str, ...] = ()
    phases: tuple[str, ...]


class RevisitEnd(Record):
    """Says that a run has carried out a revisit to its end."""

    version: Literal[1] = 1
    number: int


class RemovalList(Record):
    """A list that a takedown was given: what it holds, and the SHA-256 of the file."""

    kind: Literal["keys", "urls", "domains"]
    entries: int
    sha256: str


class Removal(Record):
    """A takedown: what was removed from a folder, and never comes back into it. It names nothing in clear text.

    Attributes:
        number: Removals of a folder are numbered from 1.
        time: ISO 8601, UTC.
        reason: As it was given.
        lists: What was given.
        salt: Of the hashes below, hexadecimal; the same in every removal of a folder.
        keys: Of the rows that were asked for, or found by their URL or domain.
        urls: Salted hashes of normalised URLs.
        hosts: Salted hashes of the hosts of these, empty for what is no web address.
        domains: Salted hashes of domains; their subdomains are meant too.
        copies: Keys of rows whose pictures were taken for copies of removed ones, and that were not removed.
        had_version: Whether the folder had a whole ledger, and so gets a new one.
    """

    version: Literal[1] = 1
    number: int
    time: str
    reason: str | None = None
    lists: tuple[RemovalList, ...]
    salt: str
    keys: tuple[str, ...]
    urls: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    had_version: bool = False


class Erased(Record):
    """Says that nothing in a folder holds anything any more of the rows that a removal names.

    Attributes:
        time: ISO 8601, UTC.
        pool_files: Files of the pool that were written anew without them.
        pool_rows: Rows that these lack.
        ledger_rows: Rows of ledgers that were blanked.
        decisions: Decisions that were deleted.
        shards: Deliveries that were deleted.
    """

    version: Literal[1] = 1
    number: int
    time: str
    pool_files: int = 0
    pool_rows: int = 0
    ledger_rows: int = 0
    decisions: int = 0
    shards: tuple[str, ...] = ()


class StepSpan(Record):
    """When something was done with a unit, for traces.

    Attributes:
        name: Of the step, or of the operator that does several.
        operator: Name of the operator of which the step is a part; None of an operator itself.
        begin: Seconds since 1970, as the worker's clock has it; and the end.
        worker: Host and process.
        figures: Rows, bytes, rows ended by reason; seconds it was busy, where it took turns with others.
        error: Why it failed, None if it did not.
    """

    name: str
    operator: str | None = None
    begin: float
    end: float
    worker: str = ""
    figures: dict[str, float] = {}
    error: str | None = None


class UnitReport(Record):
    """What a worker tells the driver of one part or unit.

    Attributes:
        rows_in: Rows that were alive at the start.
        rows_measured: Rows that were worked on; the others were taken over from an earlier run.
        rejected: Rows that ended here, by rule.
        failed: Rows that ended here, by reason.
        seconds: Time of a worker in each step. Steps that worked at the same time share it.
        revisited: What became of the rows that were asked for again.
        error: Why the unit is not committed, None if it is.
        fatal: Trying again cannot help: the error is corruption, which going on would hide, or a store's refusal.
        denied: A store did not let the worker in, as it would no other unit; fatal, too.
        spans: What was done when, if the run is traced.
    """

    unit: int
    rows_in: int = 0
    rows_measured: int = 0
    kept: int = 0
    rejected: dict[str, int] = {}
    failed: dict[str, int] = {}
    bytes_written: int = 0
    seconds: dict[str, float] = {}
    revisited: Revisited | None = None
    error: str | None = None
    fatal: bool = False
    denied: bool = False
    spans: tuple[StepSpan, ...] = ()


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
        source: Fingerprint of the rows of the source.
        state: `running` also where a driver died: whether one lives cannot be told from a file.
        items: As far as the run has come.
        waiting: Names of the items that have not begun, in their order.
        ledger: Folder of the ledger, once it is whole.
        shards: Folder of the delivery, once it is whole.
        revisit: The retry or refresh that the run carries out, None where all of them had been carried out before.
        removals: How many removals had been carried out when the run began: later ones may have deleted what it made.
            None in records of before they were counted.
    """

    version: Literal[1] = 1
    recipe: str
    state: Literal["running", "finished", "interrupted"]
    source: str | None = None
    rows: int
    parts: int
    part_rows: int
    items: tuple[RunItem, ...] = ()
    waiting: tuple[str, ...] = ()
    ledger: str | None = None
    shards: str | None = None
    revisit: Revisit | None = None
    removals: int | None = None

    @property
    def phase_commits(self) -> dict[str, str]:
        """By the folder of each phase, the folder of its commits."""
        return {item.folder: item.commits for item in self.items if item.kind == "phase"}
