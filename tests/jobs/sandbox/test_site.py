from pathlib import Path

import pytest

from jobs.sandbox.site import Answer, Site, pack_path, write_index


def test_bodies_are_found_when_packs_hold_several(tmp_path: Path) -> None:
    pack_path(tmp_path, 0).write_bytes(b"onetwo")
    pack_path(tmp_path, 1).write_bytes(b"three")
    answers = [
        Answer("h1", "/a", pack=0, offset=0, length=3),
        Answer("h1", "/b", pack=0, offset=3, length=3, status=200, content_type="image/png"),
        Answer("h2", "/a", pack=1, offset=0, length=5, robots_tag="noai", times=2),
        Answer("h2", "/c", status=404),
    ]
    write_index(tmp_path, answers)
    site = Site(tmp_path)
    found = [site.answer(answer.host, answer.path) for answer in answers]
    assert found == answers
    assert [site.body(answer) for answer in answers] == [b"one", b"two", b"three", b""]
    assert site.answer("h1", "/c") is None


def test_error_is_raised_when_there_is_no_site(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Site(tmp_path)
