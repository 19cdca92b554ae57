"""For all tests: properties are tried on the same examples in every run; how processes share the tests out; servers."""

import functools
import os
from unittest import mock

import pytest
from hypothesis import settings

settings.register_profile("repository", deadline=None, derandomize=True)
settings.load_profile("repository")

STARTS_RAY = (
    "tests/curation/runtime/on_ray/test_runner.py",
    "tests/curation/runtime/on_ray/test_partitions.py",
    "tests/curation/runtime/on_ray/test_shared.py",
    "tests/s3/test_run_on_ceph.py",
    *(
        f"tests/faults/test_{name}.py"
        for name in ("worker_deaths", "driver_deaths", "two_drivers", "notice_to_end", "quarantine")
    ),
)
"""One after the other, in one process, on one cluster, and first of all."""

STARTS_RAYS_OF_ITS_OWN = tuple(
    f"tests/faults/test_{name}.py"
    for name in ("ray_of_a_training", "growing_cluster", "lost_nodes", "full_object_store", "ray_of_a_run", "tokens")
)
"""One after the other, in another process: three Rays at a time would starve each other."""


@pytest.fixture(scope="session")
def ray_address():
    """The address of a cluster of this machine alone, which this process has joined."""
    import ray

    # Its workers would be nicer than the tests that run beside them, and the last to be done.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - as Ray spells it
    # Never one that somebody else has left running on this machine.
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    context = ray.init(address="local", num_cpus=2, num_gpus=1, **quiet)
    yield context.address_info["gcs_address"]
    ray.shutdown()


@pytest.fixture(scope="session")
def s3_server():
    """A server that speaks S3, for all tests of this process: each has a folder of its own."""
    from s3_server import S3Server

    server = S3Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def one_language_model():
    """The model that tells languages is loaded once: each run in this process would take a second to load its own."""
    from stages.text import prose, rules

    cached = functools.cache(rules.LanguageModel)
    with mock.patch.object(rules, "LanguageModel", cached), mock.patch.object(prose, "LanguageModel", cached):
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Files with tests that ask for much time begin first, so that no process is left with one at the end."""
    longest = {}
    for item in items:
        asked = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0), asked.args[0] if asked else 0)
    items.sort(key=lambda item: (_on_ray(item.nodeid.split("::")[0]) is None, -longest[item.path]))


def _on_ray(file):
    """The name of the tests that a file belongs to, of those that start Ray."""
    if file in STARTS_RAY:
        return "Ray"
    return "Rays of their own" if file in STARTS_RAYS_OF_ITS_OWN else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Shares the tests out by file, those that start Ray together."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return _on_ray(file) or file

    return ByFile(config, log)
