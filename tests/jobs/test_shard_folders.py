"""Shards, settings and checkpoints of a training may lie in an object store."""

import json

import pytest
from s3_server import BUCKET, use_server

from curation.errors import RecipeError
from curation.storage.store import Store
from jobs.cli import main
from jobs.evaluation.data import list_tars
from jobs.sandbox.training_shards import write_training_shards
from jobs.shard_folders import tars_in
from jobs.training.remote_folder import RemoteFolder
from jobs.training.streams import list_shards, read_shards

QUICK = ["--preset", "demo", "--set", "batch_size=8", "--set", "data.streams=1", "--set", "checkpoint_every=2"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_training_shards(folder, 24, shard_size=24)
    return folder


@pytest.fixture
def remote(s3_server, shards, monkeypatch):
    use_server(s3_server, monkeypatch)
    store = Store(f"s3://{BUCKET}/shards")
    store.write_bytes("000000.tar", (shards / "000000.tar").read_bytes())
    store.write_bytes("sizes.json", b"{}")
    return store.url


def samples(folder):
    return [(sample.key, sample.files) for sample in read_shards(tars_in(folder))]


def test_the_same_samples_are_read_when_shards_lie_in_an_object_store(shards, remote):
    assert tars_in(remote) == [f"{remote}/000000.tar"] == tars_in(f"{remote}/000000.tar")
    assert samples(remote) == samples(shards)
    assert len(samples(remote)) == 24


def test_a_training_goes_on_from_the_store_when_it_was_broken_off(shards, remote, tmp_path):
    out = f"s3://{BUCKET}/training"
    assert main(["train", remote, "--out", out, *QUICK, "--set", "steps=4"]) == 0
    store = Store(out)
    assert store.list("checkpoints") == ["step-0000004"]
    assert {"open_clip_config.json", "open_clip_model.safetensors"} <= set(store.list("model"))
    assert main(["train", str(shards), "--out", str(tmp_path / "local"), *QUICK, "--set", "steps=4"]) == 0
    local = (tmp_path / "local/model/open_clip_model.safetensors").read_bytes()
    assert store.read_bytes("model/open_clip_model.safetensors") == local
    # Broken off after its first checkpoint: one that lacks its last file is none.
    store.write_bytes("checkpoints/step-0000009/weights.safetensors", b"half")
    folder = RemoteFolder(out, tmp_path / "pulled")
    folder.pull()
    assert [path.name for path in (tmp_path / "pulled/checkpoints").iterdir()] == ["step-0000004"]
    assert json.loads((tmp_path / "pulled/config.json").read_text())["steps"] == 4
    assert main(["train", remote, "--out", out, *QUICK, "--set", "steps=4"]) == 0
    assert store.read_bytes("model/open_clip_model.safetensors") == local


def test_it_is_refused_with_a_remedy_when_processes_could_not_share_the_folder(remote, capsys):
    assert main(["train", remote, "--out", f"s3://{BUCKET}/many", "--workers", "2"]) == 2
    assert "a file system that every node sees" in capsys.readouterr().err
    assert main(["demo", "--out", f"s3://{BUCKET}/demo"]) == 2
    assert "must be on a local disk" in capsys.readouterr().err


@pytest.mark.parametrize("listed", [list_shards, list_tars])
@pytest.mark.parametrize("path", ["pipe:touch {}", "http://host/a.tar", "PIPE:touch {}", "file:///a.tar", "-"])
def test_a_shard_is_refused_when_it_is_no_path(tmp_path, listed, path):
    with pytest.raises(RecipeError, match="nothing else is read"):
        listed([path.format(tmp_path / "ran")])


def test_the_command_would_run_when_nothing_refused_it(tmp_path):
    with pytest.raises(Exception, match=r"tar|file"):
        list(read_shards([f"pipe:touch {tmp_path / 'ran'}"]))
    assert (tmp_path / "ran").exists()


def test_shards_are_read_when_their_names_look_strange(tmp_path):
    path = tmp_path / "a:b {0..9}.tar"
    path.write_bytes(b"")
    assert list_shards(tmp_path) == list_tars(tmp_path) == [str(path)]
