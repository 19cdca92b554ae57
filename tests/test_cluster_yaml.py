"""Whether `ray up` would take cluster.yaml and cluster-local.yaml, by Ray's own schema and code. Nothing is started."""

import copy
import re
import shlex
from fnmatch import fnmatch
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


@pytest.fixture(scope="module")
def machines():
    return yaml.safe_load((ROOT / "cluster-local.yaml").read_text())


def test_machines_of_ones_own_are_valid_when_ray_has_filled_in_its_defaults(machines, launcher):
    prepared = launcher.prepare_config(copy.deepcopy(machines))

    assert launcher.validate_config(prepared) is None
    (kind,) = prepared["available_node_types"].values()
    assert (kind["min_workers"], kind["max_workers"]) == (2, 2)
    assert machines["max_workers"] == len(machines["provider"]["worker_ips"])


def test_nodes_are_told_apart_when_a_recipe_places_steps(cluster):
    types = cluster["available_node_types"]

    assert {name: kind["resources"] for name, kind in types.items()} == {
        "head": {"CPU": 0},
        "fetch": {"fetch_node": 1},
        "gpu": {"gpu_node": 1},
    }


def started(commands):
    """What Ray's own command line makes of the arguments of `ray start`, and the variables set for it."""
    from ray.scripts.scripts import start

    (line,) = [command for command in commands if "ray start" in command]
    before, _, arguments = line.partition("ray start ")
    arguments = arguments.replace("$RAY_HEAD_IP", "192.0.2.10")
    variables = dict(re.findall(r"(RAY_\w+)=(\S+)", before))
    return start.make_context("start", shlex.split(arguments)).params, variables


@pytest.mark.parametrize("file", ["cluster.yaml", "cluster-local.yaml"])
def test_commands_that_start_ray_are_understood_when_nodes_are_set_up(file):
    config = yaml.safe_load((ROOT / file).read_text())

    head, variables = started(config["head_start_ray_commands"])
    worker, _ = started(config["worker_start_ray_commands"])

    assert (head["head"], head["port"], head["dashboard_host"]) == (True, 6379, "127.0.0.1")
    assert head["autoscaling_config"] == "~/ray_bootstrap_config.yaml"
    assert worker["address"] == "192.0.2.10:6379"
    assert head["object_manager_port"] == worker["object_manager_port"]
    silence_s = (
        5 * (int(variables["RAY_health_check_period_ms"]) + int(variables["RAY_health_check_timeout_ms"])) / 1000
    )
    assert variables["RAY_health_check_failure_threshold"] == "5"
    assert 60 <= silence_s <= 180
    assert int(variables["RAY_JOB_STOP_WAIT_TIME_S"]) >= 30


def test_health_variables_are_known_to_ray_when_a_head_starts(cluster):
    _, variables = started(cluster["head_start_ray_commands"])
    server = Path(pytest.importorskip("ray").__file__).parent / "core" / "src" / "ray" / "gcs" / "gcs_server"
    known = server.read_bytes()

    assert all(name.removeprefix("RAY_").encode() in known for name in variables if "health" in name)


def test_project_is_installed_where_ray_runs_when_machines_are_set_up(machines):
    (mounted,) = [there for there, here in machines["file_mounts"].items() if here == "."]
    environment = "~/curation-env"

    assert machines["setup_commands"][-1].endswith(f" {mounted}")
    assert machines["setup_commands"][-1].startswith(f"{environment}/bin/python -m pip install")
    for command in (*machines["head_start_ray_commands"], *machines["worker_start_ray_commands"]):
        assert command.startswith(f". {environment}/bin/activate;")


def test_nobody_gets_in_without_the_token_when_the_cluster_is_up(cluster, launcher):
    prepared = launcher.prepare_config(copy.deepcopy(cluster))
    (start,) = [command for command in prepared["head_start_ray_commands"] if "--head" in command]

    assert "--env RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]
    assert cluster["file_mounts"]["/home/ray/.ray/auth_token"] == "~/.ray/auth_token"
    assert "--dashboard-host=127.0.0.1" in start.split()
    assert any("ray start --address=$RAY_HEAD_IP:6379" in command for command in prepared["worker_start_ray_commands"])


@pytest.mark.parametrize("file", ["cluster.yaml", "cluster-local.yaml"])
def test_secrets_of_the_project_stay_and_keys_of_the_cluster_travel_when_nodes_are_set_up(file):
    config = yaml.safe_load((ROOT / file).read_text())
    left_out = config["rsync_exclude"]
    keys = ["ray-autoscaler_1_us-west-2.pem", "id_ed25519", "ray_bootstrap_key.pem", "auth_token"]

    assert {".env", ".aws", ".git", ".ssh", ".netrc"} <= set(left_out)
    assert not [key for key in keys if any(fnmatch(key, pattern) for pattern in left_out)]


def test_everybody_is_asked_for_the_token_when_machines_of_ones_own_start(machines):
    starts = [*machines["head_start_ray_commands"], *machines["worker_start_ray_commands"]]

    assert machines["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert [line for line in starts if "ray start" in line and "export RAY_AUTH_MODE=token;" not in line] == []


def test_gpus_are_seen_in_the_container_when_its_image_is_none_of_nvidias(cluster):
    options = cluster["available_node_types"]["gpu"]["docker"]["worker_run_options"]

    assert "-gpu" not in cluster["docker"]["image"]
    assert "--env NVIDIA_VISIBLE_DEVICES=all" in options
