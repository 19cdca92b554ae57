"""Lists in text files, one entry on each line: the one reader of blocklists, takedowns and lists to balance by."""

from __future__ import annotations

from dataclasses import dataclass

import fsspec

from curation.errors import RecipeError


def read_file(path: str) -> bytes:
    """The content of a file, anywhere fsspec reaches.

    Raises:
        RecipeError: It cannot be read.
    """
    try:
        with fsspec.open(path, "rb") as file:
            content: bytes = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from error
    return content


@dataclass(frozen=True, slots=True)
class Line:
    """A line that has text.

    Attributes:
        number: From 1.
        text: Without white space around it.
    """

    number: int
    text: str


def lines_of(content: bytes, path: str, *, comments: bool = True) -> list[Line]:
    """The lines that have text, in their order. Lines end as files of any system end them, and by nothing else.

    Args:
        content: UTF-8, with a byte-order mark or without.
        path: For what is said of it.
        comments: Lines that begin with `#` are none. Entries of published metadata may begin so, and are.

    Raises:
        RecipeError: It is not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RecipeError(f"{path}:{line}: cannot be read: it is not UTF-8; save it as UTF-8") from error
    # `str.splitlines` would also cut entries at form feeds, U+0085 and U+2028.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    stripped = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return [Line(number, line) for number, line in stripped if line and not (comments and line.startswith("#"))]
