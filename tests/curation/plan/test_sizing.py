"""Sizes of worker pools, worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.contracts.resources import Resources
from curation.errors import PlanError
from curation.plan.sizing import ClusterResources, size_pools


def sized(needs, cpus=8.0, gpus=0.0, units=100, **kwargs):
    memory = kwargs.pop("memory_bytes", None)
    cluster = ClusterResources(cpus, gpus) if memory is None else ClusterResources(cpus, gpus, memory)
    named = [(f"s{index}", Resources(*need)) for index, need in enumerate(needs)]
    return size_pools(named, cluster, units, **kwargs)


@pytest.mark.parametrize(
    ("needs", "cluster", "sizes"),
    [
        ([(1,)], {}, [8]),
        ([(1,), (1,)], {}, [4, 4]),
        ([(1,), (2,)], {}, [4, 2]),
        ([(1,), (1,)], {"cpus": 3}, [2, 1]),
        ([(1,), (1, 1)], {"gpus": 2}, [6, 2]),
        ([(1,), (1, 0.5)], {"gpus": 1, "cpus": 4}, [2, 2]),
        ([(3,)], {}, [2]),
        ([(1,)], {"units": 3}, [3]),
        ([(1,)], {"units": 0}, [1]),
        ([(1,), (1,)], {"max_workers": 2}, [2, 2]),
        ([(0,)], {}, [1]),
        ([(0, 1), (1,)], {"gpus": 2}, [2, 8]),
        ([(1, 0, 10**9)], {"memory_bytes": 3.5e9}, [3]),
        ([(0.1,)] * 3, {"cpus": 0.3}, [1, 1, 1]),
    ],
)
def test_sizes_use_what_there_is_evenly_when_all_fits(needs, cluster, sizes):
    assert sized(needs, **cluster) == sizes


@pytest.mark.parametrize(
    ("unit_seconds", "sizes"),
    [
        # 8 CPUs: 6 workers at 3 s and 2 at 1 s both do two units a second.
        ([3.0, 1.0], [6, 2]),
        ([1.0, 3.0], [2, 6]),
        # What is not known is taken for the mean of the others.
        ([2.0, None], [4, 4]),
        ([None, None], [4, 4]),
        ([0.0, 5.0], [1, 7]),
    ],
)
def test_the_slower_operator_has_more_workers_when_costs_are_known(unit_seconds, sizes):
    assert sized([(1,), (1,)], unit_seconds=unit_seconds) == sizes


def test_the_others_take_what_is_left_when_the_slowest_has_all_gpus():
    assert sized([(1,), (1, 1)], cpus=8, gpus=2, unit_seconds=[0.1, 9.0]) == [6, 2]


def test_the_plan_is_refused_with_the_sum_when_it_cannot_fit():
    with pytest.raises(PlanError) as caught:
        sized([(2,), (1, 1)], cpus=2, gpus=1)
    assert str(caught.value) == (
        "one worker of each step needs 3 CPUs and 1 GPUs at once (s0: 2 CPUs and 0 GPUs, s1: 1 CPUs and 1 GPUs), but "
        "the cluster has 2 CPUs and 1 GPUs; add nodes, or state less under the steps' `cpus` and `gpus`"
    )


def test_memory_is_told_when_that_is_what_does_not_fit():
    with pytest.raises(PlanError, match=r"needs 1 CPUs, 0 GPUs and 9.0 GB of memory .* has 8 CPUs, 0 GPUs and 4.0 GB"):
        sized([(1, 0, 9 * 10**9)], memory_bytes=4e9)


@given(
    st.lists(st.tuples(st.sampled_from([0.5, 1, 2, 3]), st.sampled_from([0, 0.25, 1])), min_size=1, max_size=5),
    st.integers(1, 40),
    st.integers(0, 8),
    st.integers(0, 50),
)
def test_the_pools_fit_and_nothing_more_would_when_sized(needs, cpus, gpus, units):
    try:
        sizes = sized(needs, cpus, gpus, units)
    except PlanError:
        assert sum(need[0] for need in needs) > cpus or sum(need[1] for need in needs) > gpus
        return
    free_cpus = cpus - sum(size * need[0] for size, need in zip(sizes, needs, strict=True))
    free_gpus = gpus - sum(size * need[1] for size, need in zip(sizes, needs, strict=True))
    assert free_cpus >= 0
    assert free_gpus >= 0
    for size, need in zip(sizes, needs, strict=True):
        assert 1 <= size <= max(1, units)
        assert size >= max(1, units) or need[0] > free_cpus or need[1] > free_gpus
