"""Names of columns that steps make for themselves beside those of a source, which may be called anything else."""

from __future__ import annotations

PREFIX = "__curation_"
"""What the names of such columns begin with. A source's column of such a name is refused before the start."""


def internal(name: str) -> str:
    """The name of a column that a step makes for itself."""
    return PREFIX + name


def is_internal(name: str) -> bool:
    """Whether a column's name is one that only steps may give."""
    return name.startswith(PREFIX)
