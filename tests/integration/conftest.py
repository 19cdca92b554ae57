"""One sandbox web and one run over it for all integration tests."""

import pytest
from ports import port_of_its_own
from sandbox_runs import PAIRS, SEED, Sandbox

from jobs.sandbox.server import serve
from jobs.sandbox.web import build_web


@pytest.fixture(scope="session", autouse=True)
def _quick_runs(one_language_model):
    """All runs of these tests in this process share the model that tells languages."""


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    web = build_web(tmp_path_factory.mktemp("web"), pairs=PAIRS, seed=SEED, port=port_of_its_own())
    with serve(web.folder):
        yield Sandbox(web)


@pytest.fixture(scope="session")
def undisturbed(sandbox, tmp_path_factory):
    """The folder of a run, and its summary."""
    out = tmp_path_factory.mktemp("undisturbed")
    return out, sandbox.run(out)
