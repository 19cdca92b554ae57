import json
from pathlib import Path

import numpy as np
import pytest

from curation.engine.remembered import Remembered
from curation.storage.forked_store import ForkedStore
from curation.storage.store import Store


@pytest.fixture
def memory(tmp_path: Path) -> Remembered:
    return Remembered(Store(str(tmp_path / "kept")))


def _of(*values: int) -> dict[str, np.ndarray]:
    return {"values": np.array(values, np.int32)}


def _files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "kept" / "pairs").iterdir())


def test_nothing_is_recalled_when_nothing_was_kept(memory: Remembered) -> None:
    assert memory.recall("pairs") is None


def test_what_was_kept_last_is_recalled_and_the_rest_deleted_when_it_was_kept_twice(
    memory: Remembered, tmp_path: Path
) -> None:
    memory.keep("pairs", _of(1, 2))
    memory.keep("other", _of(9))
    memory.keep("pairs", {"values": np.array([3], np.int16), "empty": np.zeros((0, 8), np.uint32)})
    recalled = memory.recall("pairs")
    assert {name: (array.tolist(), array.dtype.name) for name, array in recalled.items()} == {
        "values": ([3], "int16"),
        "empty": ([], "uint32"),
    }
    assert recalled["empty"].shape == (0, 8)
    assert memory.recall("other")["values"].tolist() == [9]
    assert _files(tmp_path) == [".json", ".npz"]


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "record"])
def test_nothing_is_recalled_when_the_file_is_damaged(
    memory: Remembered, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    memory.keep("pairs", _of(*range(1000)))
    (data,) = (tmp_path / "kept" / "pairs").glob("*.npz")
    (record,) = (tmp_path / "kept" / "pairs").glob("*.json")
    content = bytearray(data.read_bytes())
    if damage == "flip":
        content[2000] ^= 1
        data.write_bytes(content)
    elif damage == "cut":
        data.write_bytes(content[:-10])
    elif damage == "gone":
        data.unlink()
    else:
        record.write_text("{")
    assert memory.recall("pairs") is None
    assert ("found out again" in caplog.text) == (damage != "gone")
    memory.keep("pairs", _of(7))
    assert memory.recall("pairs")["values"].tolist() == [7]
    assert _files(tmp_path) == [".json", ".npz"]


def test_the_winner_counts_and_the_other_leaves_nothing_when_two_keep_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Remembered(Store(str(tmp_path / "kept"))) for _ in range(2))
    # The second one looks which number is free before the first one takes it.
    monkeypatch.setattr(second, "_numbers", lambda name: [])
    first.keep("pairs", _of(1))
    second.keep("pairs", _of(2))
    assert first.recall("pairs")["values"].tolist() == [1]
    assert _files(tmp_path) == [".json", ".npz"]


def test_the_folder_stays_as_it_is_when_a_fork_of_it_remembers(tmp_path: Path) -> None:
    folder, written = tmp_path / "kept", tmp_path / "written"
    Remembered(Store(str(folder))).keep("pairs", _of(1))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    fork = Remembered(ForkedStore(str(folder), Store(str(written))))
    assert fork.recall("pairs")["values"].tolist() == [1]
    fork.keep("pairs", _of(1, 2))
    assert fork.recall("pairs")["values"].tolist() == [1, 2]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_record_names_the_hash_of_the_file_when_something_is_kept(memory: Remembered, tmp_path: Path) -> None:
    memory.keep("pairs", _of(1))
    (record,) = (tmp_path / "kept" / "pairs").glob("*.json")
    told = json.loads(record.read_text())
    assert (tmp_path / "kept" / told["path"]).stat().st_size == told["size_bytes"]
