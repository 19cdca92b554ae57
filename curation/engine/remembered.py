"""What exchanges keep in a run's folder from one decision to the next."""

from __future__ import annotations

import logging
import uuid
import zipfile
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from curation.storage.hashing import HashingReader, HashingWriter
from curation.storage.layout import record_numbers, unit_name
from curation.storage.store import Store
from schemas.records import FileRecord

logger = logging.getLogger(__name__)


class Remembered:
    """Arrays under a name. The newest count; they are found by a small record that is put if absent, as commits are.

    What is damaged is forgotten: it is only ever what could be found out again.

    Args:
        store: Rooted at the folder of what is remembered.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def recall(self, name: str) -> Mapping[str, npt.NDArray[np.generic]] | None:
        """What was kept last under a name, None where there is nothing, or nothing whole."""
        for number in reversed(self._numbers(name)):
            place = self._record(name, number)
            try:
                record = FileRecord.model_validate_json(self._store.read_bytes(place))
                return self._read(record)
            except FileNotFoundError:
                # A run beside this one has kept something newer.
                continue
            except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
                logger.warning(
                    "%s: cannot be used (%s): what it names is found out again, which takes longer",
                    *(self._store.locate(place), error),
                )
        return None

    def keep(self, name: str, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Keeps arrays in place of what was kept before."""
        earlier = self._numbers(name)
        path = f"{name}/arrays-{uuid.uuid4().hex[:12]}.npz"
        with self._store.open_write(path) as raw:
            file = HashingWriter(raw)
            np.savez(file, allow_pickle=False, **arrays)
        record = file.record(path, len(arrays))
        if not self._store.put_if_absent(self._record(name, max(earlier, default=0) + 1), record.to_bytes()):
            self._store.delete(path)
            return
        for number in earlier:
            self._store.delete(self._record(name, number))
        for other in self._store.list(name):
            # One that a run beside this one is about to name may be among them: then it is found out again.
            if other.endswith(".npz") and f"{name}/{other}" != path:
                self._store.delete(f"{name}/{other}")

    def _read(self, record: FileRecord) -> dict[str, npt.NDArray[np.generic]]:
        with self._store.open_read(record.path) as raw:
            found = HashingReader(raw).record(record.path, record.rows)
            if found != record:
                raise ValueError(f"{found.size_bytes} bytes of SHA-256 {found.sha256[:12]}, not as they were written")
            raw.seek(0)
            with np.load(raw, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}

    def _numbers(self, name: str) -> list[int]:
        return record_numbers(self._store.list(name))

    @staticmethod
    def _record(name: str, number: int) -> str:
        return f"{name}/{unit_name(number)}.json"
