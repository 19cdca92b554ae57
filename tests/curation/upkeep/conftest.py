import shutil

import pytest
from picture_recipes import write_picture_recipe

from jobs.cli import main


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A recipe, and the folder of its finished run. To look at only."""
    folder = tmp_path_factory.mktemp("pictures")
    recipe = write_picture_recipe(folder)
    assert main(["run", str(recipe), "--out", str(folder / "run"), "--runner", "in-process"]) == 0
    return recipe, folder / "run"


@pytest.fixture
def run(finished, tmp_path):
    """The folder of a finished run, to do anything with."""
    return shutil.copytree(finished[1], tmp_path / "run")


@pytest.fixture
def again(finished):
    """Runs the recipe in a folder."""
    return lambda out: main(["run", str(finished[0]), "--out", str(out), "--runner", "in-process"])
