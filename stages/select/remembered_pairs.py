"""Near pairs of pictures, of which those that an earlier decision found are not looked for again."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from curation.contracts.exchange import Memory
from curation.similarity.hashes import Hashes
from curation.similarity.known_pairs import KnownPairs, extended, pairs_of_pictures
from curation.similarity.near_pairs import NearPairs
from curation.similarity.variants import Variant, near_pairs_of_variants

WORTH_KEEPING = 20_000
"""So few hashes are compared sooner than pairs of them are read."""
_VERSION = 1


def remembered_pairs(
    memory: Memory | None, kinds: Sequence[str], hashes: Hashes, variants: Sequence[Variant], max_distance: int
) -> NearPairs:
    """What `near_pairs_of_variants` finds. Hashes that are new since the last time are compared with all, no others.

    Args:
        memory: Where pairs are kept; None: everything is compared.
        kinds: What the variants are of: columns of hashes.
        hashes: As of `near_pairs_of_variants`.
        variants: Likewise, one for each kind.
        max_distance: Likewise.
    """
    if memory is None or len(hashes) < WORTH_KEEPING:
        return near_pairs_of_variants(hashes, variants, max_distance)
    name = memory_name(kinds)
    kept = memory.recall(name)
    before = None if kept is None else KnownPairs.from_arrays(kept)
    lent = np.concatenate([hashes[:0], *(variant.hashes for variant in variants)])
    known = extended(before, hashes, lent, max_distance)
    if known is not before:
        memory.keep(name, known.to_arrays())
    pairs = pairs_of_pictures(known, hashes, variants, max_distance)
    return near_pairs_of_variants(hashes, variants, max_distance) if pairs is None else pairs


def memory_name(kinds: Sequence[str]) -> str:
    """Under which name pairs are kept. Which pictures there are, and the bound, do not matter: a file tells its own."""
    return f"near-pairs-{sha256(repr((_VERSION, sorted(kinds))).encode()).hexdigest()[:16]}"
