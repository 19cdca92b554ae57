import os
from hashlib import md5
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from curation.errors import RecipeError
from stages.sources import table_files
from stages.sources.table_files import TableFile, TableFiles, reading


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("a/b.csv", ".csv"),
        ("a/B.CSV.GZ", ".csv"),
        ("a.b/c", ""),
        ("c.gz", ""),
        ("x.tar.zst", ".tar"),
        ("a.JSONL", ".jsonl"),
    ],
)
def test_ending_is_that_below_a_compression(path, suffix):
    assert TableFile(0, path, path).suffix == suffix


def test_identity_follows_the_content_of_a_small_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("one")
    files = TableFiles((str(path),), {})
    (file,), _ = files.find("auto")
    first = files.identity(file)
    os.utime(path, (1, 1))
    assert files.identity(file) == first
    path.write_text("two")
    assert files.identity(file) != first


def test_identity_follows_the_time_of_change_of_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "_HASHED_BYTES", 10)
    path = tmp_path / "a.csv"
    path.write_text("more than ten bytes")
    files = TableFiles((str(path),), {})
    (file,), _ = files.find("auto")
    first = files.identity(file)
    os.utime(path, (1, 1))
    assert files.identity(file) != first


class ChecksumStore(MemoryFileSystem):
    """A store that, like S3, keeps a checksum of every object."""

    protocol = "checksums"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("checksums://", "memory://", 1))

    def info(self, path, **options):
        found = super().info(path, **options)
        return {**found, "ETag": md5(self.cat_file(path)).hexdigest()} if found["type"] == "file" else found


def test_identity_is_the_checksum_that_the_store_keeps():
    fsspec.register_implementation("checksums", ChecksumStore, clobber=True)
    store = fsspec.filesystem("checksums")
    for name, content in (("a.csv", b"url\nhttp://a\n"), ("deep/b.csv", b"url\nhttp://b\n"), ("_log.csv", b"")):
        store.pipe_file(f"/tables/{name}", content)
    files = TableFiles(("checksums://tables",), {})
    found, kind = files.find("auto")
    assert [file.name for file in found] == ["a.csv", "deep/b.csv"]
    assert kind == "csv"
    assert files.identity(found[0]) == f"13 ETag {md5(b'url' + bytes([10]) + b'http://a' + bytes([10])).hexdigest()}"
    assert files.identity(found[0]) != files.identity(found[1])
    with files.open(found[1]) as stream:
        assert stream.read() == b"url\nhttp://b\n"


def test_a_mistake_is_told_once_when_found_inside():
    with pytest.raises(RecipeError, match=r"^inner$"), reading("outer", "remedy"):
        raise RecipeError("inner")


def test_an_error_without_words_is_told_by_its_name():
    with pytest.raises(RecipeError, match=r"^x: cannot be read: TimeoutError; wait$"), reading("x", "wait"):
        raise TimeoutError
