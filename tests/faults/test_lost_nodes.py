"""Nodes that leave while what was made on them has not been read yet."""

import pytest
from deadly_steps import Plot
from fault_runs import NODE, TOYS, Work, assert_same_end, cluster_of, commits_of, ended, wait_until

PART_ROWS = 16
PARTS = 12
MEASURED = "pool/draw_large-develop_on_gpu-*/commits-*/*.json"


@pytest.fixture(scope="module")
def nodes():
    """A head without processors, a node that fetches and one with a device; tests add the one that leaves."""
    with cluster_of({"num_cpus": 0}, {"num_cpus": 1}, {"num_cpus": 1, "num_gpus": 1}) as made:
        yield made


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The toys with a megabyte to a part, so that parts on their way lie in the nodes' object stores."""
    recipe = tmp_path_factory.mktemp("recipe") / "large.yaml"
    recipe.write_text(TOYS.replace("{kind: draw}", "{kind: draw_large, body_bytes: 100000}"))
    return Work(recipe, (f"source.rows={PARTS * PART_ROWS}",))


@pytest.fixture(scope="module")
def undisturbed(work, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed-large")
    assert work.run(folder / "out", plot=Plot(folder / "plot")) == 0
    return folder / "out"


def parts_of(rows):
    """How many parts the rows belong to."""
    return len({row // PART_ROWS for row in rows})


def announce(cluster, node):
    """Tells the cluster that a node will be taken in 30 s, as clouds do with spot machines."""
    from ray._raylet import GcsClient
    from ray.core.generated import autoscaler_pb2

    accepted, message = GcsClient(address=cluster.address).drain_node(
        node.node_id, autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"), "spot", 30_000
    )
    assert accepted, message


@pytest.mark.parametrize("announced", [False, True], ids=["killed", "drained and told to end"])
def test_only_what_was_not_committed_is_made_again_when_a_node_with_unread_parts_is_replaced(
    announced, nodes, work, undisturbed, tmp_path
):
    on_loan = [nodes.add_node(**NODE, num_cpus=1)]
    raylet = on_loan[0].all_processes["raylet"][0].process.pid
    out = tmp_path / "out"
    plot = Plot(tmp_path / "plot", held=("develop_on_gpu",))
    driver = work.start(out, plot=plot, address=nodes.address)
    try:
        # The node with the device has one part in hand and the next at hand; others lie where they were made alone.
        wait_until(lambda: parts_of(plot.workers("draw_large").get(raylet, ())) >= 2, driver)
        if announced:
            announce(nodes, on_loan[0])
        nodes.remove_node(on_loan.pop(), allow_graceful=announced)
        committed, made_there = commits_of(out, MEASURED), plot.workers("draw_large")[raylet]
        on_loan.append(nodes.add_node(**NODE, num_cpus=1))
        plot.release("develop_on_gpu")
        code, messages = ended(driver)
        assert code == 0, messages
    finally:
        driver.kill()
        for node in on_loan:
            nodes.remove_node(node, allow_graceful=False)
    assert_same_end(out, undisturbed)
    again = plot.repeated("draw_large")
    assert again
    assert again <= made_there
    assert {row // PART_ROWS for row in again}.isdisjoint(committed)
