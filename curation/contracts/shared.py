"""What all workers of a step share, wherever they run: one object per run that answers their questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class SharedPart(ABC):
    """One object for all workers of a step. The runner decides where it lives, and makes it anew if it is lost.

    All its methods are called on one event loop. What it knows is lost with it, so every worker
    must be able to tell it again, and whatever it grants must end by itself.
    """

    @abstractmethod
    async def answer(self, question: Any) -> Any:
        """Answers a worker. Questions and answers can be pickled; several may be open at the same time."""

    def replaces_a_lost_one(self) -> None:  # noqa: B027 - most parts can begin with nothing
        """Called before the first question on an object that replaces one that was lost, with all it knew."""


@dataclass(frozen=True, slots=True)
class SharedSpec:
    """How a step's shared part is made.

    Attributes:
        make: Makes one copy; can be pickled.
        workers_per_copy: So many workers get one copy more, among which they divide their questions.
    """

    make: Callable[[], SharedPart]
    workers_per_copy: int


class SharedLink(Protocol):
    """A worker's way to the copies of a shared part. Can be pickled until it is first used."""

    @property
    def copies(self) -> int:
        """How many copies there are. It is the same for all workers of a run."""
        ...

    async def ask(self, copy: int, question: Any) -> Any:
        """The answer of the copy; to be awaited on the worker's own event loop.

        Raises:
            ConnectionError: The copy cannot be reached at present, or died with the question.
        """
        ...


class LocalLink:
    """A link to a part in the same process: for a step that runs by itself, outside any runner."""

    def __init__(self, spec: SharedSpec) -> None:
        self._part = spec.make()

    @property
    def copies(self) -> int:
        """One."""
        return 1

    async def ask(self, copy: int, question: Any) -> Any:
        """The part's answer."""
        return await self._part.answer(question)
