import tarfile
from pathlib import Path

import pytest

from jobs.sandbox.sample_tar import json_bytes, write_sample_tar

SAMPLES = [("0001", {"txt": b"one", "json": json_bytes({"b": 1, "a": 2})}), ("0002", {"txt": b"two"})]


def test_tar_has_the_same_bytes_when_written_again(tmp_path: Path) -> None:
    assert write_sample_tar(tmp_path / "a.tar", iter(SAMPLES)) == 2
    write_sample_tar(tmp_path / "b.tar", iter(SAMPLES))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == ["0001.txt", "0001.json", "0002.txt"]
        member = tar.extractfile("0001.json")
        assert member is not None
        assert member.read() == b'{"a":2,"b":1}'


def test_no_tar_appears_when_a_sample_fails(tmp_path: Path) -> None:
    def samples() -> object:
        yield SAMPLES[0]
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_sample_tar(tmp_path / "a.tar", samples())
    assert not (tmp_path / "a.tar").exists()
