import coloured_shards
import pytest


@pytest.fixture(scope="session")
def write_tar():
    """Writes a tar of (key, {extension: bytes})."""
    return coloured_shards.write_tar


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    """Four shards of 15 samples, each a coloured circle, keys 00000 to 00059."""
    folder = tmp_path_factory.mktemp("shards")
    coloured_shards.write_coloured_shards(folder)
    return folder
