from collections.abc import Callable, Iterator

import pytest
from raw_web import RawWeb
from s3_server import S3Server


@pytest.fixture
def web() -> Iterator[RawWeb]:
    server = RawWeb()
    yield server
    server.close()


@pytest.fixture
def s3_options(s3_server: S3Server) -> dict[str, str]:
    return s3_server.options


@pytest.fixture
def put(s3_server: S3Server) -> Callable[..., str]:
    return s3_server.put
