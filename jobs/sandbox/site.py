"""What a sandbox web's server answers: an index of paths, and the files that hold the bodies."""

import json
import mmap
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

INDEX_NAME = "index.jsonl"


class Behaviour(StrEnum):
    """How a request for a path is answered."""

    BODY = "body"
    HEALS = "heals"
    """Status 500 as often as `times` says, then the body."""
    WAIT = "wait"
    """Status 429 with `Retry-After: 1` as often as `times` says, then the body."""
    RESET = "reset"
    TRICKLE = "trickle"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one path of one host.

    The body is `length` bytes at `offset` in the pack of that number; an answer without a
    body has length 0.
    """

    host: str
    path: str
    behaviour: str = Behaviour.BODY.value
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    location: str = ""
    robots_tag: str = ""
    times: int = 0
    pack: int = 0
    offset: int = 0
    length: int = 0


def write_index(site: Path, answers: Iterable[Answer]) -> None:
    """Writes the answers to a site's folder, one JSON object a line."""
    with (site / INDEX_NAME).open("w", encoding="utf-8") as index:
        index.writelines(json.dumps(asdict(answer)) + "\n" for answer in answers)


def pack_path(site: Path, number: int) -> Path:
    """Returns where a site's pack of bodies is kept."""
    return site / f"bodies-{number:03d}.bin"


class Site:
    """A site as its server sees it."""

    def __init__(self, folder: Path) -> None:
        """Opens the site in a folder.

        Raises:
            FileNotFoundError: if there is no site.
        """
        self._folder = folder
        self._packs: dict[int, mmap.mmap] = {}
        with (folder / INDEX_NAME).open(encoding="utf-8") as index:
            answers = [Answer(**json.loads(line)) for line in index]
        self._answers = {(answer.host, answer.path): answer for answer in answers}

    def answer(self, host: str, path: str) -> Answer | None:
        """Returns what a host answers for a path, None when it has nothing there."""
        return self._answers.get((host, path))

    def body(self, answer: Answer) -> bytes:
        """Returns an answer's body."""
        if answer.length == 0:
            return b""
        if answer.pack not in self._packs:
            with pack_path(self._folder, answer.pack).open("rb") as file:
                self._packs[answer.pack] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._packs[answer.pack][answer.offset : answer.offset + answer.length]
