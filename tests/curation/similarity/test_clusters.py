import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curation.similarity.clusters import Clusters, cluster


def _cluster(count: int, pairs: list[tuple[int, int]], max_size: int) -> Clusters:
    left = np.array([pair[0] for pair in pairs], np.int32)
    right = np.array([pair[1] for pair in pairs], np.int32)
    return cluster(count, left, right, max_size)


def test_chain_stays_whole_when_it_is_small_enough() -> None:
    clusters = _cluster(6, [(0, 1), (1, 2), (2, 3), (4, 5)], max_size=4)
    assert clusters.best.tolist() == [0, 0, 0, 0, 4, 4]
    assert clusters.split == ()


def test_chain_becomes_stars_when_it_is_too_large() -> None:
    # 0 takes 1; 2 is no partner of 0 and takes 3; the pair 4-5 is small and stays as it is.
    clusters = _cluster(6, [(0, 1), (1, 2), (2, 3), (4, 5)], max_size=3)
    assert clusters.best.tolist() == [0, 0, 2, 2, 4, 4]
    assert clusters.split == (4,)


def test_star_keeps_its_centre_when_a_later_centre_is_its_partner() -> None:
    # 1 is taken by 0, so 2 is a centre although 1 is its partner.
    assert _cluster(3, [(0, 1), (1, 2)], max_size=1).best.tolist() == [0, 0, 2]


def test_items_are_alone_when_there_are_no_pairs() -> None:
    assert _cluster(3, [], max_size=10).best.tolist() == [0, 1, 2]
    assert _cluster(0, [], max_size=10).best.tolist() == []


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda pair: pair[0] != pair[1]), max_size=25
    ),
    max_size=st.sampled_from([1, 4, 100]),
)
def test_clusters_are_stars_or_small_components_when_pairs_are_random(
    pairs: list[tuple[int, int]], max_size: int
) -> None:
    best = _cluster(15, pairs, max_size).best.tolist()
    near = {(left, right) for pair in pairs for left, right in (pair, pair[::-1])}
    components = list(range(15))
    for _ in range(15):
        for left, right in near:
            components[left] = min(components[left], components[right])
    for item, kept in enumerate(best):
        if components.count(components[item]) <= max_size or max_size == 100:
            assert kept == components[item]
        else:
            assert kept == item or (kept < item and best[kept] == kept and (item, kept) in near)
        if kept == item and components.count(components[item]) > max_size:
            assert not any((item, other) in near and best[other] == other for other in range(item))
