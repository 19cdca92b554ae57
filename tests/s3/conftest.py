"""One Ceph cluster for all tests against a real object store."""

import pytest
from ceph import BUCKET, CephServer, missing_programs
from s3_server import use_server


@pytest.fixture(scope="session")
def ceph():
    missing = missing_programs()
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `make test-s3` installs them as root")
    server = CephServer()
    yield server
    server.close()


@pytest.fixture
def folder(ceph, monkeypatch, request):
    """A folder in the store that nobody else uses, for this process and those that it starts."""
    use_server(ceph, monkeypatch)
    return f"s3://{BUCKET}/{request.node.name.replace('[', '-').rstrip(']')}"
