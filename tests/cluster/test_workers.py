"""What workers are lent, and which nodes they keep off, on a cluster of one node."""

import os
import sys

import pytest
import ray

from curation.contracts.resources import Resources
from curation.engine.operator import Handover, Operator
from curation.runtime.on_ray.nodes import cluster_nodes
from curation.runtime.on_ray.pool import placing
from curation.runtime.on_ray.runner import RayRunner
from schemas.records import UnitReport

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("ray_address")]


class Knows(Operator):
    """Tells whether the worker's environment has a variable, and under which name the worker goes."""

    name = "knows"
    resources = Resources(cpus=1)

    def run(self, unit, table):
        return Handover(report=UnitReport(unit=unit, kept=int(os.environ.get("LENT_KEY") == "to all of them")))


def test_workers_have_a_secret_when_the_driver_lends_it(monkeypatch):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setenv("LENT_KEY", "to all of them")
    kept = {}
    for name, secrets in (("lent", ["LENT_KEY"]), ("not lent", [])):
        RayRunner(secrets=secrets).run([Knows()], [0], lambda report, name=name: kept.update({name: report.kept}))

    assert kept == {"lent": 1, "not lent": 0}


@ray.remote(num_cpus=0)
def anywhere():
    return ray.get_runtime_context().get_node_id()


def test_a_worker_keeps_off_nodes_when_they_are_meant_for_others():
    (node,) = cluster_nodes()
    off_others = placing(Knows.resources, ["f" * 56, "0" * 56])
    off_this = placing(Knows.resources, [node.node_id])

    assert ray.get(anywhere.options(**off_others).remote()) == node.node_id
    waiting = anywhere.options(**off_this).remote()
    assert ray.wait([waiting], timeout=2) == ([], [waiting])
    ray.cancel(waiting)
