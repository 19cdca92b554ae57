"""Tests that start a cluster of their own: minutes of work, so they run when they are named (`make test-cluster`)."""


def pytest_ignore_collect(collection_path, config):
    """Leaves these files out unless the command line names them."""
    named = any("cluster" in argument for argument in config.invocation_params.args)
    return None if named or collection_path.is_dir() else True
