"""Which nodes workers belong on, and how many there are, worked out by hand."""

import pytest

from curation.contracts.resources import Resources
from curation.errors import PlanError
from curation.plan.placement import Node, avoided, meant_for, place_pools
from curation.plan.sizing import ClusterResources

FETCH = [Node(f"f{index}", ClusterResources(4, 0, 8e9), frozenset({"fetch_node"})) for index in range(2)]
GPU = Node("g", ClusterResources(8, 1, 32e9), frozenset({"gpu_node"}))
PLAIN = Node("p", ClusterResources(3, 0, 16e9))


def named(needs):
    return [(f"s{index}", Resources(cpus, gpus, None, place)) for index, (cpus, gpus, place) in enumerate(needs)]


def placed(*needs, nodes, units=100, **kwargs):
    return place_pools(named(needs), nodes, units, **kwargs)


def keeping_off(*needs, nodes):
    return [avoided(named(needs), index, nodes) for index in range(len(needs))]


def test_all_nodes_are_shared_when_no_step_is_placed():
    assert placed((1, 0, None), nodes=[*FETCH, GPU, PLAIN]) == [19]


def test_each_gets_the_nodes_meant_for_it_when_steps_are_placed():
    assert placed((1, 0, "fetch_node"), (2, 1, "gpu_node"), nodes=[*FETCH, GPU, PLAIN]) == [8, 1]


def test_the_rest_keeps_off_placed_nodes_when_it_is_not_placed():
    steps, nodes = ((1, 0, "fetch_node"), (1, 0, None)), [*FETCH, GPU, PLAIN]

    assert placed(*steps, nodes=nodes) == [8, 11]
    assert keeping_off(*steps, nodes=nodes) == [(), ("f0", "f1")]


def test_a_node_serves_all_when_no_step_of_the_phase_is_placed_by_what_it_carries():
    steps, nodes = ((2, 1, None), (1, 0, "fetch_node")), [*FETCH, GPU]

    assert placed(*steps, nodes=nodes) == [1, 8]
    assert keeping_off(*steps, nodes=nodes) == [("f0", "f1"), ()]


def test_two_steps_share_the_nodes_when_they_are_placed_alike():
    assert placed((1, 0, "fetch_node"), (2, 0, "fetch_node"), nodes=FETCH) == [4, 2]


def test_no_pool_is_larger_than_its_limit_when_there_is_room():
    assert placed((1, 0, "fetch_node"), (1, 0, None), nodes=[*FETCH, GPU], units=3) == [3, 3]
    assert placed((1, 0, "fetch_node"), nodes=FETCH, max_workers=2) == [2]


def test_the_sum_on_the_meant_nodes_is_told_when_it_does_not_fit():
    with pytest.raises(PlanError) as caught:
        placed((6, 0, "fetch_node"), (3, 0, "fetch_node"), nodes=[*FETCH, GPU])
    assert str(caught.value) == (
        "on the 2 nodes with fetch_node: one worker of each step needs 9 CPUs and 0 GPUs at once (s0: 6 CPUs and "
        "0 GPUs, s1: 3 CPUs and 0 GPUs), but the cluster has 8 CPUs and 0 GPUs; add nodes, or state less under the "
        "steps' `cpus` and `gpus`"
    )


def test_the_sum_alone_is_told_when_no_step_is_placed():
    with pytest.raises(PlanError, match=r"^one worker of each step needs 20 CPUs"):
        placed((20, 0, None), nodes=[*FETCH, GPU, PLAIN])


def test_the_other_nodes_are_named_when_what_is_not_placed_does_not_fit():
    with pytest.raises(PlanError, match=r"^on the 1 node without fetch_node, gpu_node: .* needs 4 CPUs .* has 3 CPUs"):
        placed((1, 0, "fetch_node"), (1, 1, "gpu_node"), (4, 0, None), nodes=[*FETCH, GPU, PLAIN])


def test_what_nodes_carry_is_told_when_none_carries_what_is_asked_for():
    with pytest.raises(PlanError) as caught:
        placed((1, 0, "moon_node"), nodes=[*FETCH, GPU])
    assert str(caught.value) == (
        "s0 is placed on nodes with the resource moon_node, but the cluster has no such node (its nodes carry "
        "fetch_node, gpu_node); start nodes with it, or change run.placement"
    )
    with pytest.raises(PlanError, match="its nodes carry no custom resources"):
        placed((1, 0, "moon_node"), nodes=[PLAIN])


def test_a_node_for_two_kinds_of_work_is_refused_when_both_are_in_one_phase():
    both = Node("b", ClusterResources(8, 1), frozenset({"fetch_node", "gpu_node"}))

    with pytest.raises(PlanError, match="a node carries fetch_node and gpu_node, by which steps of one phase are told"):
        placed((1, 0, "fetch_node"), (1, 1, "gpu_node"), nodes=[both])
    assert placed((1, 0, "fetch_node"), nodes=[both]) == [8]


def test_a_worker_that_no_node_has_room_for_is_refused_though_all_nodes_together_have():
    with pytest.raises(PlanError) as caught:
        placed((6, 0, None), nodes=[*FETCH, PLAIN])
    assert str(caught.value) == (
        "no node has room for one worker of s0, which needs 6 CPUs and 0 GPUs; take larger nodes, or state less under "
        "the steps' `cpus` and `gpus`"
    )
    # Processors of one node, the GPU of another.
    with pytest.raises(PlanError, match=r"^no node has room for one worker of s0, which needs 9 CPUs and 1 GPUs"):
        placed((9, 1, None), nodes=[*FETCH, GPU])


def test_workers_that_fit_onto_no_nodes_beside_each_other_are_refused():
    with pytest.raises(PlanError, match=r"^one worker of each step .*s0: 3 CPUs.* s1: 3 CPUs.* s2: 2 CPUs.* room"):
        placed((3, 0, None), (3, 0, None), (2, 0, None), nodes=FETCH)
    # Whoever takes the first node with room for it leaves none for s2: 3 + 1 and 2 + 2 fit.
    assert placed((2, 0, None), (1, 0, None), (3, 0, None), (2, 0, None), nodes=FETCH) == [1] * 4


def test_no_pool_grows_so_far_that_ray_could_leave_another_no_place():
    nodes = [Node(name, ClusterResources(8, 0)) for name in "ab"]

    # Five of the first on each node would leave three processors there, and none of the second could ever start.
    assert placed((1, 0, None), (4, 0, None), nodes=nodes, unit_seconds=[9.0, 0.1]) == [9, 1]
    # Of one processor each: the last one that is free is a place wherever it is.
    assert placed((1, 0, None), (1, 0, None), nodes=nodes, unit_seconds=[9.0, 0.1]) == [15, 1]


def test_processors_of_nodes_without_a_gpu_are_all_used_when_another_step_needs_a_gpu():
    gpus = [Node(name, ClusterResources(8, 1)) for name in "ab"]

    pools = placed((1, 0, None), (4, 1, None), nodes=[*FETCH, *gpus], unit_seconds=[9.0, 0.1])

    assert pools == [8 + 9, 1]


def test_only_whole_workers_count_when_nodes_are_no_multiple_of_one():
    assert placed((2, 0, None), nodes=[PLAIN, PLAIN, PLAIN]) == [3]


def test_nodes_are_meant_for_an_operator_when_they_carry_its_resource_or_none_that_another_asks_for():
    needs = named([(1, 0, "fetch_node"), (1, 0, None)])
    nodes = [*FETCH, GPU, PLAIN]
    assert meant_for(needs, 0, nodes) == list(FETCH)
    assert meant_for(needs, 1, nodes) == [GPU, PLAIN]
