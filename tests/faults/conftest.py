"""One cluster, one sandbox web and one undisturbed run of each recipe for all tests of faults."""

import shutil
import tempfile

import pytest
from deadly_steps import Plot
from fault_runs import SEED, TOYS, Web, Work, cluster_of
from picture_recipes import run_pictures, write_picture_recipe
from ports import port_of_its_own

from jobs.sandbox.server import serve
from jobs.sandbox.trouble import Rates, Trouble
from jobs.sandbox.web import build_web

_QUICK = (Trouble.NOT_FOUND, Trouble.REDIRECT_ONE_HOP, Trouble.TRUNCATED, Trouble.ONE_PIXEL, Trouble.WEBP)
"""What is wrong with the web answers at once and always in the same way, so that requests can be counted."""


@pytest.fixture(scope="session")
def cluster():
    """A head of two processors and one device, which no test may harm; drivers join it one after the other."""
    with cluster_of({"num_cpus": 2, "num_gpus": 1}) as made:
        yield made


@pytest.fixture(scope="session")
def web(tmp_path_factory):
    """A small sandbox web behind a real server."""
    usual = Rates()
    rates = usual.model_copy(update={"troubles": {kind: usual.troubles[kind] for kind in _QUICK}})
    made = build_web(tmp_path_factory.mktemp("web"), pairs=120, seed=SEED, port=port_of_its_own(), rates=rates)
    with serve(made.folder):
        yield Web(made, tmp_path_factory.mktemp("recipes"))


@pytest.fixture
def short_folder():
    """A folder with a path that is short enough for Ray's sockets."""
    folder = tempfile.mkdtemp(prefix="r-", dir="/tmp")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def undisturbed_web(one_language_model, web, tmp_path_factory):
    """The folder of a run over the web that nothing disturbed, and what was asked for."""
    return _undisturbed(web, web.work, tmp_path_factory.mktemp("undisturbed-web"))


@pytest.fixture(scope="session")
def undisturbed_light_web(one_language_model, web, tmp_path_factory):
    """The same for the recipe that loads no models of images."""
    return _undisturbed(web, web.light_work, tmp_path_factory.mktemp("undisturbed-light-web"))


def _undisturbed(web, work, folder):
    before = web.requests()
    assert work.run(folder / "out", plot=Plot(folder / "plot")) == 0
    return folder / "out", web.requests() - before


@pytest.fixture(scope="session")
def undisturbed_pictures(one_language_model, tmp_path_factory):
    """A recipe of three parts and two shards, and the folder of its run on a local disk that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed-pictures")
    recipe = write_picture_recipe(folder, rows=24, part_rows=8, shard_rows=9)
    assert run_pictures(recipe, folder / "run") == 0
    return recipe, folder / "run"


@pytest.fixture(scope="session")
def toys(tmp_path_factory):
    """The toy recipe."""
    recipe = tmp_path_factory.mktemp("recipe") / "toys.yaml"
    recipe.write_text(TOYS)
    return Work(recipe)


@pytest.fixture(scope="session")
def undisturbed_toys(toys, tmp_path_factory):
    """The folder of a run of the toys that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed-toys")
    assert toys.run(folder / "out", plot=Plot(folder / "plot")) == 0
    return folder / "out"
