"""A cluster that gets a node while a phase runs: its processors are used in that phase, and limits per host hold."""

import asyncio
import threading
import time

import fetch_parts
import pytest
import ray
from fault_runs import NODE, cluster_of
from fetch_parts import FetchOperator
from raw_web import RawWeb

from curation.runtime.on_ray.runner import RayRunner

# Nodes take their time to start.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def cluster():
    with cluster_of({"num_cpus": 1}) as made:
        yield made
        ray.shutdown()


class WherePlaced(FetchOperator):
    """Notes in the name of a reason on which node each unit was worked on."""

    def run(self, unit, table):
        done = super().run(unit, table)
        node = ray.get_runtime_context().get_node_id()
        return done.__class__(report=done.report.model_copy(update={"rejected": {node: 1}}))


def nodes_of(reports):
    return {node for report in reports for node in report.rejected}


def test_a_node_that_joins_during_a_phase_is_used_and_the_limit_per_host_holds(cluster):
    import sys

    for module in (fetch_parts, sys.modules[__name__]):
        ray.cloudpickle.register_pickle_by_value(module)
    web = RawWeb()
    reports = []
    runner = RayRunner(address=cluster.address)

    async def handler(exchange):
        # The phase goes on for as long as the node takes to be of use.
        await asyncio.sleep(0.3 if len(nodes_of(reports)) < 2 else 0.05)
        await exchange.respond(200, b"some bytes")

    urls = [web.handle(f"/{number}", handler) for number in range(400)]
    operator = WherePlaced(urls, 5, per_host_concurrency=3, concurrency=32)
    run = threading.Thread(target=runner.run, args=([operator], list(range(80)), reports.append), daemon=True)
    run.start()
    try:
        deadline = time.monotonic() + 60
        while len(reports) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        before = nodes_of(reports)
        joined = cluster.add_node(**NODE, num_cpus=2)
        run.join(timeout=240)
        assert not run.is_alive()
    finally:
        web.close()
    assert before == {cluster.head_node.node_id}
    assert nodes_of(reports) == {cluster.head_node.node_id, joined.node_id}
    assert sorted(report.unit for report in reports) == list(range(80))
    assert sum(report.kept for report in reports) == 400
    assert web.most_together == {"127.0.0.1": 3}
