"""The removals of a folder: numbered records, never changed, and for each another one when it has been carried out."""

from __future__ import annotations

from curation.errors import RecipeError
from curation.storage.layout import REMOVALS, erased_path, removal_path
from curation.storage.store import Store
from curation.storage.stored_records import read_numbered
from schemas.records import Erased, Removal


class Removals:
    """What was removed from a folder.

    Args:
        store: Rooted at the run's folder.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read()

    def _read(self) -> None:
        names = self._store.list(REMOVALS)
        self.known = read_numbered(self._store, names, removal_path, Removal)
        ended = {f"{REMOVALS}/{name}" for name in names}
        self.unfinished = tuple(removal for removal in self.known if erased_path(removal.number) not in ended)

    def check_finished(self) -> None:
        """Refuses to go on where a removal was begun and not carried out. Raises RecipeError."""
        if self.unfinished:
            raise RecipeError(
                f"{self._store.url}: removal {self.unfinished[0].number} was begun and is not finished; finish it with "
                f"`curation remove {self._store.url}`"
            )

    def put(self, removal: Removal) -> Removal | None:
        """Puts a removal with the next number; None where somebody else has put one meanwhile, so that it is known."""
        number = 1 + max((known.number for known in self.known), default=0)
        numbered = removal.model_copy(update={"number": number})
        won = self._store.put_if_absent(removal_path(number), numbered.to_bytes())
        self._read()
        return numbered if won else None

    def end(self, erased: Erased) -> None:
        """Notes that a removal was carried out."""
        self._store.put_if_absent(erased_path(erased.number), erased.to_bytes())
        self._read()
