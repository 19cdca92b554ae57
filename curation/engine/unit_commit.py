"""The commits of what is written unit by unit under fixed names: shards, and the ledger."""

from __future__ import annotations

from curation.storage.layout import UnitsLayout
from curation.storage.store import Store
from schemas.records import UnitCommit


def read_unit_commit(store: Store, layout: UnitsLayout, unit: int) -> UnitCommit | None:
    """The commit of a unit, None where nobody has finished it.

    Args:
        store: Rooted at the run's folder.
    """
    try:
        return UnitCommit.model_validate_json(store.read_bytes(layout.commit(unit)))
    except FileNotFoundError:
        return None
