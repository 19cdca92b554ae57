"""Whether `ray up` would take cluster.yaml: held against Ray's own schema, by Ray's own code. Nothing is launched."""

import copy
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def cluster():
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


@pytest.fixture(scope="module")
def launcher():
    from ray.autoscaler._private import util

    return util


def test_cluster_is_valid_when_ray_has_filled_in_its_defaults(cluster, launcher):
    prepared = launcher.prepare_config(copy.deepcopy(cluster))

    assert launcher.validate_config(prepared) is None
    assert prepared["available_node_types"]["fetch"]["max_workers"] == 16


def test_cluster_is_refused_when_a_key_is_misspelt(cluster, launcher):
    misspelt = {**copy.deepcopy(cluster), "max_worker": 3}

    with pytest.raises(Exception, match="max_worker"):
        launcher.validate_config(launcher.prepare_config(misspelt))


def test_head_alone_is_on_demand_when_nodes_are_launched(cluster):
    types = cluster["available_node_types"]
    spot = {name for name, kind in types.items() if "InstanceMarketOptions" in kind["node_config"]}

    assert cluster["head_node_type"] == "head"
    assert spot == {"fetch", "gpu"}


def test_limits_hold_when_all_types_are_full(cluster):
    workers = [kind for name, kind in cluster["available_node_types"].items() if name != cluster["head_node_type"]]

    assert sum(kind["max_workers"] for kind in workers) == cluster["max_workers"]
    assert all(0 < kind["min_workers"] <= kind["max_workers"] for kind in workers)


def test_image_has_the_pinned_versions_when_ray_is_pinned(cluster):
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)

    assert pinned is not None
    assert cluster["docker"]["image"].startswith(f"rayproject/ray:{pinned[1]}-py311")


def test_mounted_project_is_the_installed_one_when_nodes_are_set_up(cluster):
    (mounted,) = [there for there, here in cluster["file_mounts"].items() if here == "."]

    assert any(command.endswith(f" {mounted}") for command in cluster["setup_commands"])


def test_nobody_gets_in_without_the_token_when_the_cluster_is_up(cluster, launcher):
    prepared = launcher.prepare_config(copy.deepcopy(cluster))
    (start,) = [command for command in prepared["head_start_ray_commands"] if "--head" in command]

    assert "--env RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    assert cluster["file_mounts"]["/home/ray/.ray/auth_token"] == "~/.ray/auth_token"
    assert "--dashboard-host=127.0.0.1" in start.split()
    assert any("ray start --address=$RAY_HEAD_IP:6379" in command for command in prepared["worker_start_ray_commands"])
