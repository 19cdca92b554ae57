"""What a run notes of itself in `run.json`, so that others can tell how far it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from curation.errors import CorruptionError
from curation.plan.phases import Plan
from curation.storage.layout import RUN_RECORD
from curation.storage.store import Store
from curation.storage.stored_records import read_record
from schemas.records import RunItem, RunRecord

SAVE_EVERY_S = 5.0


class RunJournal:
    """Keeps the record of a run, and writes it whenever an item begins or ends.

    Attributes:
        record: As the run began; what has happened since is added when it is written.
        quarantined: (item, unit) that failed as often as is allowed, of all items so far.
    """

    def __init__(self, store: Store, plan: Plan, record: RunRecord) -> None:
        """Takes the record, and writes it."""
        self.record = record
        self.quarantined: list[tuple[str, int]] = []
        self._store = store
        self._names = _item_names(plan)
        self._items: list[RunItem] = []
        self._saved = 0.0
        self.save("running")

    def begin(self, item: RunItem) -> None:
        """Notes an item when it begins, so that its commits can be counted while it lasts."""
        self._items.append(item)
        self.save("running")

    def note_failed(self, item: RunItem, units: Sequence[int]) -> None:
        """Tells of units that were set aside before their item ends, but not of each: they may be many."""
        if time.monotonic() - self._saved >= SAVE_EVERY_S:
            self._items[-1] = item.model_copy(update={"quarantined": tuple(sorted(units))})
            self.save("running")

    def end(self, item: RunItem, set_aside: tuple[int, ...]) -> None:
        """Notes the units that the latest item has set aside."""
        self.quarantined.extend((item.name, unit) for unit in set_aside)
        self._items[-1] = item.model_copy(update={"quarantined": set_aside})
        self.save("running")

    def save(
        self,
        state: Literal["running", "finished", "interrupted"],
        ledger: str | None = None,
        shards: str | None = None,
    ) -> None:
        """Writes the record as it is now."""
        changes = {
            "state": state,
            "items": tuple(self._items),
            "waiting": tuple(self._names[len(self._items) :]),
            "ledger": ledger,
            "shards": shards,
        }
        self._store.write_bytes(RUN_RECORD, self.record.model_copy(update=changes).to_bytes())
        self._saved = time.monotonic()


def latest_run(store: Store) -> RunRecord | None:
    """What the run before noted; None where that cannot be told.

    It says where to look first, and where to begin: without it nothing but time is lost.
    """
    try:
        return read_record(store, RUN_RECORD, RunRecord)
    except (FileNotFoundError, CorruptionError):
        return None


def _item_names(plan: Plan) -> list[str]:
    """Of the items of the plan, in their order; a delivery is its assignment first."""
    names = [item.name for item in plan.items]
    if plan.sink is not None:
        names += [plan.sink.config.step_name] * 2
    return [*names, "ledger"]
