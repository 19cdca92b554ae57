"""Runs by the hundred: waiting for the disk to keep every file through a power cut would take most of the time."""

import os

import pytest
from toy_web import ToyWeb


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def web(tmp_path):
    return ToyWeb(tmp_path / "web")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"
