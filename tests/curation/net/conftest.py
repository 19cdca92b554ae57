from collections.abc import Iterator

import pytest
from raw_web import RawWeb


@pytest.fixture
def web() -> Iterator[RawWeb]:
    server = RawWeb()
    yield server
    server.close()
