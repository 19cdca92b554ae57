from pathlib import Path

import pytest

from curation.images.headers import read_header
from jobs.bench.photos import PhotoSet, make_photos


@pytest.mark.slow
def test_photos_are_jpegs_of_their_own_when_made_and_left_alone_when_there(tmp_path: Path):
    photos = make_photos(tmp_path, 2, seed=3, processes=1)

    paths = [tmp_path / PhotoSet.path_of(index) for index in range(2)]
    files = [path.read_bytes() for path in paths]
    written = [path.stat().st_mtime_ns for path in paths]
    headers = [read_header(data) for data in files]
    assert len(set(files)) == 2
    assert photos == PhotoSet(2, 3, sum(map(len, files)), sum(header.pixels for header in headers))
    assert all(400 <= header.width <= 1600 and header.format == "jpg" for header in headers)
    assert make_photos(tmp_path, 2, seed=3, processes=1) == photos
    assert [path.stat().st_mtime_ns for path in paths] == written
