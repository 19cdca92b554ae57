import io
import tarfile

import pytest

from stages.sources.tar_members import read_members, write_members


def tar_of(names: list[str], format: int, mtime: float = 1.5) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format) as tar:
        for place, name in enumerate(names):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = 700 * place, mtime
            tar.addfile(entry, io.BytesIO(bytes([place]) * entry.size))
    return made.getvalue()


def members_of(tar: bytes):
    target = io.BytesIO()
    write_members(io.BytesIO(tar), target)
    return read_members(io.BytesIO(target.getvalue()))


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_images_are_found_where_they_lie_whatever_the_kind_of_tar(format: int):
    long = "long/" * 25 + "name"
    names = ["a.jpg", "a.txt", "b.c.png", f"{long}.webp", "d.JPG", "e.json", "ü.jpg"]
    tar = tar_of(names, format)
    found = members_of(tar)
    assert set(found) == {"a", "b.c", long, "d", "ü"}
    for key, place in (("b.c", 2), (long, 3), ("d", 4), ("ü", 6)):
        offset, size = found[key]
        assert tar[offset : offset + size] == bytes([place]) * 700 * place


def test_the_quick_way_and_the_thorough_one_find_the_same():
    names = [f"{number:09d}.{ending}" for number in range(50) for ending in ("jpg", "txt", "json")]
    assert members_of(tar_of(names, tarfile.PAX_FORMAT)) == members_of(tar_of([*names, "x" * 200], tarfile.PAX_FORMAT))


@pytest.mark.parametrize("cut", [0, 100, 512, 3000, 5000])
def test_what_came_before_the_cut_is_found_when_a_tar_is_cut_short(cut: int):
    tar = tar_of(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], tarfile.USTAR_FORMAT)
    whole, found = members_of(tar), members_of(tar[:cut])
    assert set(found.items()) <= set(whole.items())
    assert set(found) == {key for key, (offset, _) in whole.items() if offset <= cut}


@pytest.mark.parametrize("junk", [b"", b"no tar at all" * 200, bytes(10_240)])
def test_nothing_is_found_in_what_is_no_tar(junk: bytes):
    assert members_of(junk) == {}
