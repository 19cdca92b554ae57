"""Where in a run's folder things lie. Every path is relative to the folder, which can be moved as a whole."""

from __future__ import annotations

from dataclasses import dataclass

RUN_RECORD = "run.json"
RECIPE = "recipe.yaml"
SOURCE_WORKSPACE = "source"
WORKSPACE = "workspace"
"""What is written for the time of a decision."""
REMEMBERED = "remembered"
"""What exchanges keep from one decision to the next: it spares work and changes no verdict."""
POOL = "pool"
REVISITS = "revisits"
REMOVALS = "removals"
DECISION_COMMIT = "commit.json"


@dataclass(frozen=True, slots=True)
class PhaseLayout:
    """The folder of one measure of one phase, and in it the commits of one scope."""

    name: str
    measure: str
    scope: str

    @property
    def folder(self) -> str:
        """Holds the data files of every scope, and a folder of commits for each."""
        return f"{POOL}/{self.name}-{self.measure}"

    @property
    def commits(self) -> str:
        """One small file for each finished part."""
        return f"{self.folder}/commits-{self.scope}"

    def commit(self, part: int) -> str:
        """The commit of one part."""
        return f"{self.commits}/{unit_name(part)}.json"

    def data(self, part: int, attempt: str) -> str:
        """A data file, relative to the folder; unique to the attempt that writes it."""
        return f"data/{unit_name(part)}-{attempt}.parquet"


@dataclass(frozen=True, slots=True)
class DecisionLayout:
    """The folder of the verdicts of one exchange, or of the assignment of a sink."""

    name: str
    fingerprint: str

    @property
    def folder(self) -> str:
        """Holds data files and the one commit."""
        return f"decisions/{self.name}-{self.fingerprint}"

    @property
    def commit(self) -> str:
        """Exists when the decision is made."""
        return f"{self.folder}/{DECISION_COMMIT}"


@dataclass(frozen=True, slots=True)
class UnitsLayout:
    """The folder of something that is written unit by unit under fixed names: shards, or the ledger."""

    kind: str
    fingerprint: str

    @property
    def folder(self) -> str:
        """Holds the files, ready for use."""
        return f"{self.kind}/{self.fingerprint}"

    @property
    def commits(self) -> str:
        """One small file for each finished unit; apart from the files, so that their folder holds nothing else."""
        return f"{self.kind}/commits-{self.fingerprint}"

    def commit(self, unit: int) -> str:
        """The commit of one unit."""
        return f"{self.commits}/{unit_name(unit)}.json"


def revisit_path(number: int) -> str:
    """The record of a revisit."""
    return f"{REVISITS}/{number:08d}.json"


def revisit_end_path(number: int) -> str:
    """Exists when a run has carried the revisit out."""
    return f"{REVISITS}/{number:08d}-ended.json"


def record_numbers(names: list[str]) -> list[int]:
    """The numbers behind the names of numbered records, ascending."""
    stems = (name.removesuffix(".json") for name in names)
    return sorted(int(stem) for stem in stems if stem.isdigit())


def removal_path(number: int) -> str:
    """The record of a takedown."""
    return f"{REMOVALS}/{number:08d}.json"


def erased_path(number: int) -> str:
    """Exists when nothing in the folder holds the rows of a takedown any more."""
    return f"{REMOVALS}/{number:08d}-erased.json"


def removed_rows_path(fingerprint: str) -> str:
    """Which rows of a source are removed."""
    return f"{REMOVALS}/rows-{fingerprint}.parquet"


def version_recipe(fingerprint: str) -> str:
    """The recipe that made a ledger."""
    return f"recipes/{fingerprint}.yaml"


def ledger_file(part: int) -> str:
    """The ledger of a part, in the folder of the ledger."""
    return f"part-{unit_name(part)}.parquet"


def unit_name(unit: int) -> str:
    """Number of a part or unit as it stands in file names: eight digits, so that names sort as numbers do."""
    return f"{unit:08d}"


def committed_units(names: list[str]) -> set[int]:
    """The numbers behind the names of commit files."""
    return {int(name.removesuffix(".json")) for name in names if name.endswith(".json")}
