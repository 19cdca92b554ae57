from pathlib import Path

import pytest
from ports import port_of_its_own

from jobs.sandbox.web import build_web
from jobs.sandbox.web_folder import SandboxWeb


@pytest.fixture(scope="session")
def small_web(tmp_path_factory: pytest.TempPathFactory) -> SandboxWeb:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    return build_web(folder, pairs=300, seed=7, port=port_of_its_own())
