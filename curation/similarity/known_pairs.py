"""Near pairs that were found before, of hashes some of which are given again: only new ones are compared with all.

What is known is a matter of hashes alone, whatever pictures they are of. So rows may come, go and be ordered otherwise
from one time to the next, and the pairs are those that comparing all of them would find.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curation.similarity.hashes import WORDS, Hashes
from curation.similarity.near_pairs import NearPairs, near_pairs
from curation.similarity.variants import Variant, nearest_of_each

Places = npt.NDArray[np.int32]
Distances = npt.NDArray[np.int16]

_SPARE = 2
"""Hashes that are known may be so many times those that are asked for; then those that are not are forgotten."""


@dataclass(frozen=True, slots=True)
class KnownPairs:
    """Distinct hashes and all near pairs of them.

    Attributes:
        max_distance: Up to which distance all pairs are known.
        whole: (n, 8) uint32, hashes of whole pictures.
        variants: (m, 8) uint32, hashes of variants.
        near: Pairs of whole pictures, in no order.
        lent: Pairs of a variant (left) and a whole picture (right), in no order.
    """

    max_distance: int
    whole: Hashes
    variants: Hashes
    near: NearPairs
    lent: NearPairs

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything by name."""
        arrays: dict[str, npt.NDArray[np.generic]] = {"max_distance": np.array(self.max_distance, np.int64)}
        arrays |= {"whole": self.whole, "variants": self.variants}
        for kind, pairs in (("near", self.near), ("lent", self.lent)):
            arrays |= {f"{kind}_{name}": getattr(pairs, name) for name in ("left", "right", "distance")}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> KnownPairs:
        """What `to_arrays` gave. Raises KeyError where something lacks."""
        near, lent = (
            NearPairs(*(np.asarray(arrays[f"{kind}_{name}"]) for name in ("left", "right", "distance")))
            for kind in ("near", "lent")
        )
        return cls(int(arrays["max_distance"]), np.asarray(arrays["whole"]), np.asarray(arrays["variants"]), near, lent)


def extended(known: KnownPairs | None, whole: Hashes, variants: Hashes, max_distance: int) -> KnownPairs:
    """What is known, or, where some of the hashes are not in it, more.

    Args:
        whole: (n, 8) uint32.
        variants: (m, 8) uint32. They are compared with whole pictures alone.
        max_distance: Where it is larger than what is known goes, everything is compared anew.
    """
    if known is None or known.max_distance < max_distance:
        known = _nothing(max_distance)
    whole, variants = _distinct(whole), _distinct(variants)
    at_whole, at_variants = _places(known.whole, whole), _places(known.variants, variants)
    new_whole, new_variants = whole[at_whole < 0], variants[at_variants < 0]
    if not len(new_whole) and not len(new_variants):
        return known
    if len(known.whole) + len(new_whole) > _SPARE * len(whole):
        known = _restricted(known, at_whole[at_whole >= 0], at_variants[at_variants >= 0])
    return _joined(known, new_whole, new_variants)


def pairs_of_pictures(
    known: KnownPairs, hashes: Hashes, variants: Sequence[Variant], max_distance: int
) -> NearPairs | None:
    """What `near_pairs_of_variants` finds, from pairs that are known; None where two pictures have one hash.

    Args:
        known: Has all of the hashes.
        hashes: As of `near_pairs_of_variants`.
        variants: Likewise.
        max_distance: Up to what is known.
    """
    places = _places(known.whole, hashes)
    picture_of = np.full(len(known.whole), -1, np.int32)
    picture_of[places] = np.arange(len(hashes), dtype=np.int32)
    if not np.array_equal(picture_of[places], np.arange(len(hashes))):
        return None
    first, second, distance = picture_of[known.near.left], picture_of[known.near.right], known.near.distance
    lenders = [_lent(known, picture_of, variant) for variant in variants]
    first, second, distance = (
        np.concatenate([own, *(lent[place] for lent in lenders)]) for place, own in enumerate((first, second, distance))
    )
    told = (first >= 0) & (second >= 0) & (first != second) & (distance <= max_distance)
    return nearest_of_each(first[told], second[told], distance[told])


def _lent(known: KnownPairs, picture_of: Places, variant: Variant) -> tuple[Places, Places, Distances]:
    """Owner, whole picture and distance of the pairs of a variant, of which several pictures may have one hash."""
    places = _places(known.variants, variant.hashes)
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    begins = np.searchsorted(ordered, known.lent.left, side="left")
    counts = np.searchsorted(ordered, known.lent.left, side="right") - begins
    total = int(counts.sum())
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    owners = variant.owners[order[np.repeat(begins, counts) + within]]
    return owners, picture_of[np.repeat(known.lent.right, counts)], np.repeat(known.lent.distance, counts)


def _nothing(max_distance: int) -> KnownPairs:
    hashes = np.zeros((0, WORDS), np.uint32)
    return KnownPairs(max_distance, hashes, hashes, _pairs(), _pairs())


def _pairs(*parts: tuple[Places, Places, Distances]) -> NearPairs:
    kinds = (np.int32, np.int32, np.int16)
    columns = [[part[place].astype(kind) for part in parts] for place, kind in enumerate(kinds)]
    return NearPairs(
        *(np.concatenate([np.zeros(0, kind), *column]) for kind, column in zip(kinds, columns, strict=True))
    )


def _joined(known: KnownPairs, new_whole: Hashes, new_variants: Hashes) -> KnownPairs:
    """Compares new hashes with all."""
    variants, whole = np.concatenate([known.variants, new_variants]), np.concatenate([known.whole, new_whole])
    near = [(known.near.left, known.near.right, known.near.distance)]
    lent = [(known.lent.left, known.lent.right, known.lent.distance)]
    if len(new_whole):
        behind = len(variants)
        found = near_pairs(np.concatenate([variants, whole]), known.max_distance, known=behind + len(known.whole))
        of_variant = found.left < behind
        near.append(_chosen(found, ~of_variant, behind, behind))
        lent.append(_chosen(found, of_variant, 0, behind))
    if len(new_variants) and len(known.whole):
        behind = len(known.whole)
        found = near_pairs(np.concatenate([known.whole, new_variants]), known.max_distance, known=behind)
        left, right, distance = _chosen(found, found.left < behind, 0, behind - len(known.variants))
        lent.append((right, left, distance))
    return KnownPairs(known.max_distance, whole, variants, _pairs(*near), _pairs(*lent))


def _chosen(
    found: NearPairs, chosen: npt.NDArray[np.bool_], left_from: int, right_from: int
) -> tuple[Places, Places, Distances]:
    return found.left[chosen] - left_from, found.right[chosen] - right_from, found.distance[chosen]


def _restricted(known: KnownPairs, whole: Places, variants: Places) -> KnownPairs:
    """What is known of some of the hashes."""
    now_whole, now_variants = np.full(len(known.whole), -1, np.int32), np.full(len(known.variants), -1, np.int32)
    now_whole[whole] = np.arange(len(whole), dtype=np.int32)
    now_variants[variants] = np.arange(len(variants), dtype=np.int32)
    parts = []
    for pairs, of_left in ((known.near, now_whole), (known.lent, now_variants)):
        left, right = of_left[pairs.left], now_whole[pairs.right]
        kept = (left >= 0) & (right >= 0)
        parts.append(_pairs((left[kept], right[kept], pairs.distance[kept])))
    return KnownPairs(known.max_distance, known.whole[whole], known.variants[variants], *parts)


def _distinct(hashes: Hashes) -> Hashes:
    places = _frame(hashes).unique(_WORDS, keep="first", maintain_order=True)["place"]
    return np.ascontiguousarray(hashes[places.to_numpy()])


def _places(known: Hashes, hashes: Hashes) -> Places:
    """Where each hash is among the known ones, which are distinct: (n,) int32, -1 where it is not."""
    found = _frame(hashes).join(_frame(known), on=_WORDS, how="left", maintain_order="left", suffix="_known")
    return np.asarray(found["place_known"].fill_null(-1).to_numpy())


_WORDS = ["0", "1", "2", "3"]


def _frame(hashes: Hashes) -> pl.DataFrame:
    words = np.ascontiguousarray(hashes).view(np.uint64)
    columns = {name: words[:, place] for place, name in enumerate(_WORDS)}
    return pl.DataFrame({**columns, "place": np.arange(len(hashes), dtype=np.int32)})
