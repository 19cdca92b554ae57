"""The errors of the project, told apart by what the caller does about them."""

from __future__ import annotations


class CurationError(Exception):
    """Base of every error that this project raises on purpose."""


class RecipeError(CurationError):
    """The recipe or an argument is wrong: mend it and start again. Raised before anything starts."""


class PlanError(CurationError):
    """The recipe is well-formed but cannot run: a column nobody makes, resources that do not fit."""


class TransientError(CurationError):
    """Likely to pass: try again with backoff."""


class AccessError(CurationError):
    """A store does not let this process in: no credentials, wrong or expired ones, or no right. No part's fault."""


class LostJobError(CurationError):
    """A cluster has no record of a job that was submitted to it: nobody can tell how it ended."""


class StageError(CurationError):
    """A stage broke its contract or crashed: the part fails, the run goes on.

    Attributes:
        stage: The step's name.
        part: The part's number.
    """

    def __init__(self, message: str, *, stage: str, part: int) -> None:
        super().__init__(f"part {part}, step {stage}: {message}")
        self.stage = stage
        self.part = part

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_stage_error, (str(self), self.stage, self.part))


def _rebuild_stage_error(text: str, stage: str, part: int) -> StageError:
    error = StageError("", stage=stage, part=part)
    error.args = (text,)
    return error


class CorruptionError(CurationError):
    """Stored data is not what was committed: stop, and say which file."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, its kind where it says nothing: libraries put pages behind it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
