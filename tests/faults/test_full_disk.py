"""A disk fills up under a run: it says so, and goes on when there is room again."""

import os
import shutil
import subprocess

import pytest
from picture_recipes import PHASES, commits_in, record_in, results_in, run_pictures

from curation.upkeep.verify import verify_run
from stages.deliver.validate import verify_shards

SIZE_KIB = 4096


@pytest.fixture
def small_disk(tmp_path):
    """A disk of four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = f"size={SIZE_KIB}k"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk, left):
    """Leaves so many bytes free."""
    status = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(status.f_bavail * status.f_frsize - left))


@pytest.mark.parametrize(
    ("where", "goes", "left"),
    [
        (f"/pool/{PHASES[1]}", ("pool/fetch*", "decisions", "shards", "ledger"), 40_000),
        ("/shards/", ("shards", "ledger"), 48_000),
    ],
)
def test_it_is_told_and_the_run_goes_on_when_the_disk_was_full(
    undisturbed_pictures, small_disk, where, goes, left, capfd, caplog
):
    recipe, whole = undisturbed_pictures
    out = small_disk / "run"
    shutil.copytree(whole, out)
    for pattern in goes:
        for path in out.glob(pattern):
            shutil.rmtree(path)
    fill(small_disk, left)
    before = commits_in(out)
    assert run_pictures(recipe, out) in (1, 3)
    said = capfd.readouterr().err + caplog.text
    assert "no room on this disk" in said
    assert where in said
    assert before <= commits_in(out)
    assert not list(out.rglob(".writing-*"))
    (small_disk / "filler").unlink()
    assert run_pictures(recipe, out) == 0
    assert record_in(out).state == "finished"
    assert commits_in(whole) <= commits_in(out)
    assert results_in(out) == results_in(whole)
    assert verify_run(str(out), verify_shards).damages == ()
