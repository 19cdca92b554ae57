"""Whether KubeRay would take cluster-kuberay.yaml. Nothing is started.

No Python package carries the schema of its resources, so what is used of it stands here: the keys, and what they hold.
"""

import json
import re
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml

from jobs import curate
from jobs.passing_parser import PassingParser

ROOT = Path(__file__).parent.parent


def closed(required, **properties):
    return {"type": "object", "required": list(required), "additionalProperties": False, "properties": properties}


TEXT, WHOLE, YES_OR_NO = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
QUANTITIES = {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^\d+(\.\d+)?(m|Mi|Gi)?$"}}
CONTAINER = closed(
    ["name", "image", "resources"],
    name=TEXT,
    image=TEXT,
    env={"type": "array", "items": closed(["name", "value"], name=TEXT, value=TEXT)},
    envFrom={"type": "array", "items": closed([], secretRef=closed(["name"], name=TEXT, optional=YES_OR_NO))},
    ports={"type": "array", "items": closed(["containerPort"], name=TEXT, containerPort=WHOLE)},
    resources=closed(["requests", "limits"], requests=QUANTITIES, limits=QUANTITIES),
)
POD = closed(
    ["spec"],
    spec=closed(
        ["containers"],
        restartPolicy={"enum": ["Never", "OnFailure", "Always"]},
        nodeSelector=TEXTS,
        containers={"type": "array", "minItems": 1, "items": CONTAINER},
    ),
)
CLUSTER = closed(
    ["rayVersion", "headGroupSpec"],
    rayVersion=TEXT,
    enableInTreeAutoscaling=YES_OR_NO,
    autoscalerOptions=closed(
        [], idleTimeoutSeconds=WHOLE, upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]}
    ),
    authOptions=closed(["mode"], mode={"enum": ["disabled", "token"]}),
    headGroupSpec=closed(["rayStartParams", "template"], rayStartParams=TEXTS, template=POD),
    workerGroupSpecs={
        "type": "array",
        "items": closed(
            ["groupName", "template"],
            groupName=TEXT,
            replicas=WHOLE,
            minReplicas=WHOLE,
            maxReplicas=WHOLE,
            rayStartParams=TEXTS,
            template=POD,
        ),
    },
)
JOB = closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=closed(["generateName"], generateName={"type": "string", "pattern": "^[a-z][a-z0-9-]{0,40}$"}),
    spec=closed(
        ["entrypoint", "rayClusterSpec"],
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"]},
        backoffLimit=WHOLE,
        shutdownAfterJobFinishes=YES_OR_NO,
        ttlSecondsAfterFinished=WHOLE,
        rayClusterSpec=CLUSTER,
    ),
)


@pytest.fixture(scope="module")
def job():
    return yaml.safe_load((ROOT / "cluster-kuberay.yaml").read_text())


@pytest.fixture(scope="module")
def ray_version():
    return re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]


def containers(job):
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [container for group in groups for container in group["template"]["spec"]["containers"]]


def carried(group):
    """The custom resources of a group; KubeRay passes the value on to a shell, quotes and all."""
    (listed,) = shlex.split(group["rayStartParams"]["resources"].strip("'"))
    return json.loads(listed)


def test_manifest_holds_known_keys_alone_when_it_is_read(job):
    assert list(jsonschema.Draft202012Validator(JOB).iter_errors(job)) == []


@pytest.mark.parametrize("key", ["minReplica", "restartPolicy"])
def test_manifest_is_refused_when_a_key_is_misspelt(job, key):
    misspelt = json.loads(json.dumps(job))
    misspelt["spec"]["rayClusterSpec"]["workerGroupSpecs"][0][key] = 1

    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate(misspelt, JOB)


def test_entrypoint_is_understood_when_the_job_starts(job):
    words = shlex.split(job["spec"]["entrypoint"])
    parser = PassingParser()
    curate.add_run_arguments(parser)

    assert words[:3] == ["python", "-m", "jobs.curate"]
    args = parser.parse_args(words[3:])
    assert args.recipe.startswith("s3://")
    assert args.out.startswith("s3://")


def test_versions_are_the_pinned_ones_when_ray_is_pinned(job, ray_version):
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray_version
    assert {container["image"].partition(":")[2] for container in containers(job)} == {f"ray-{ray_version}-py311"}


def test_pods_that_ray_gave_up_do_not_come_back_when_they_end(job):
    cluster = job["spec"]["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]

    assert [pod["restartPolicy"] for pod in pods] == ["Never"] * 3
    assert [pod["nodeSelector"]["node-kind"] for pod in pods] == ["on-demand", "spot", "spot"]


def test_every_pod_gets_what_it_asks_for_when_it_is_scheduled(job):
    for container in containers(job):
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_no_secret_stands_in_the_manifest_when_pods_need_some(job):
    assert {container["envFrom"][0]["secretRef"]["name"] for container in containers(job)} == {"curation-store"}
    assert not any(
        "KEY" in entry["name"] or "TOKEN" in entry["name"] for c in containers(job) for entry in c.get("env", [])
    )


def test_nodes_and_limits_are_those_of_the_launcher_when_both_are_read(job):
    launched = yaml.safe_load((ROOT / "cluster.yaml").read_text())["available_node_types"]
    groups = {group["groupName"]: group for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]}

    assert set(groups) == set(launched) - {"head"}
    for name, group in groups.items():
        assert carried(group) == launched[name]["resources"]
        assert (group["minReplicas"], group["maxReplicas"]) == (
            launched[name]["min_workers"],
            launched[name]["max_workers"],
        )
        assert group["replicas"] == group["minReplicas"]
    assert job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
