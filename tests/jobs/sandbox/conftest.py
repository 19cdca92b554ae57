from pathlib import Path

import pytest

from jobs.sandbox.web import build_web, free_port
from jobs.sandbox.web_folder import SandboxWeb


@pytest.fixture(scope="session")
def small_web(tmp_path_factory: pytest.TempPathFactory) -> SandboxWeb:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    return build_web(folder, pairs=300, seed=7, port=free_port())
