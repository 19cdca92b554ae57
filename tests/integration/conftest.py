"""One sandbox web and one undisturbed run for all integration tests."""

import pytest
from sandbox_runs import PAIRS, SEED, Sandbox

from jobs.sandbox.server import serve
from jobs.sandbox.web import build_web, free_port


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    web = build_web(tmp_path_factory.mktemp("web"), pairs=PAIRS, seed=SEED, port=free_port())
    with serve(web.folder):
        yield Sandbox(web)


@pytest.fixture(scope="session")
def undisturbed(sandbox, tmp_path_factory):
    """The folder of a run that nothing disturbed, in one process, and its summary. On Ray it must come to the same."""
    out = tmp_path_factory.mktemp("undisturbed")
    return out, sandbox.run(out)
