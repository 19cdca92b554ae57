"""Evaluation sets come from elsewhere: what their tars call members is a name in a message, never a path."""

import io
import tarfile

import pytest

from curation.errors import RecipeError
from curation.evaluation_sets.files import find_set


def tar_of(path, *members):
    with tarfile.open(path, "w") as tar:
        for name, kind, target, body in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, target, len(body)
            tar.addfile(entry, io.BytesIO(body))


def test_nothing_is_written_when_members_lead_out_of_their_folder(tmp_path):
    names = ("../../a.jpg", "/tmp/b.jpg", "c.jpg")
    (tmp_path / "set").mkdir()
    tar_of(tmp_path / "set" / "0.tar", *((name, tarfile.REGTYPE, "", name.encode()) for name in names))
    before = sorted(tmp_path.rglob("*"))
    assert [body for _, body in find_set(str(tmp_path / "set"), "auto").bodies()] == [name.encode() for name in names]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_no_file_outside_is_read_when_a_member_is_a_link_to_it(tmp_path, kind):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "set").mkdir()
    for target in (str(tmp_path / "secret.jpg"), "../secret.jpg"):
        tar_of(tmp_path / "set" / "0.tar", ("a.jpg", kind, target, b""), ("b.jpg", tarfile.REGTYPE, "", b"fine"))
        with pytest.raises(RecipeError, match=r"cannot be read: .*link"):
            list(find_set(str(tmp_path / "set"), "auto").bodies())


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE])
def test_a_member_is_passed_over_when_it_is_no_file(tmp_path, kind):
    tar_of(tmp_path / "0.tar", ("a.jpg", kind, "", b""), ("b.jpg", tarfile.REGTYPE, "", b"fine"))
    assert [body for _, body in find_set(str(tmp_path / "0.tar"), "auto").bodies()] == [b"fine"]
