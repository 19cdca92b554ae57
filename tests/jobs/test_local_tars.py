import pytest

from curation.errors import RecipeError
from jobs.evaluation.data import list_tars
from jobs.training.streams import list_shards, read_shards


@pytest.mark.parametrize("listed", [list_shards, list_tars])
@pytest.mark.parametrize("path", ["pipe:touch {}", "http://host/a.tar", "PIPE:touch {}", "s3://bucket/a.tar", "-"])
def test_a_shard_is_refused_when_it_is_no_path(tmp_path, listed, path):
    with pytest.raises(RecipeError, match="is no path of a file"):
        listed([path.format(tmp_path / "ran")])


def test_the_command_would_run_when_nothing_refused_it(tmp_path):
    with pytest.raises(Exception, match=r"tar|file"):
        list(read_shards([f"pipe:touch {tmp_path / 'ran'}"]))
    assert (tmp_path / "ran").exists()


def test_shards_are_read_when_their_names_look_strange(tmp_path):
    path = tmp_path / "a:b {0..9}.tar"
    path.write_bytes(b"")
    assert list_shards(tmp_path) == list_tars(tmp_path) == [str(path)]
