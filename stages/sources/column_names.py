"""Names for columns that are carried along: none of the pipeline's, and none twice."""

from __future__ import annotations

from collections.abc import Sequence

from curation.internal_columns import is_internal
from schemas.columns import COLUMNS


def renamed_columns(names: Sequence[str]) -> dict[str, str]:
    """The columns by names that clash with none of the pipeline and none of each other: `{new name: name}`."""
    renamed: dict[str, str] = {}
    for name in names:
        new = name
        while new in COLUMNS or is_internal(new) or new in renamed or (new != name and new in names):
            new = f"source_{new}"
        renamed[new] = name
    return renamed
