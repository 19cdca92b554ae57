from collections import Counter, defaultdict

import pytest

from jobs.sandbox.captions import named_pairs
from jobs.sandbox.scene import SANDBOX_SEEDS, make_scene
from jobs.sandbox.trouble import CaptionKind, CopyKind, Rates, Trouble
from jobs.sandbox.web_plan import PlannedRow, plan_web

HOSTS = ("127.0.0.1", "127.0.0.2")


@pytest.fixture(scope="module")
def rows() -> list[PlannedRow]:
    return plan_web(3000, 3, HOSTS, Rates())


def test_plan_has_as_many_rows_and_addresses_as_asked_when_default(rows: list[PlannedRow]) -> None:
    assert len(rows) == 3000
    assert len({row.path for row in rows}) == 3000
    assert {row.host for row in rows} == set(HOSTS)
    assert all(row.scene_seed in SANDBOX_SEEDS for row in rows)


def test_plan_is_the_same_when_made_again(rows: list[PlannedRow]) -> None:
    assert plan_web(3000, 3, HOSTS, Rates()) == rows


def test_webs_share_no_scene_when_seeds_differ(rows: list[PlannedRow]) -> None:
    other = plan_web(500, 4, HOSTS, Rates())
    assert {row.scene_seed for row in rows}.isdisjoint(row.scene_seed for row in other)


def test_kinds_come_at_their_rates_when_there_are_3000_rows(rows: list[PlannedRow]) -> None:
    rates = Rates()
    troubles = Counter(row.trouble for row in rows)
    copies = Counter(row.copy_kind for row in rows)
    captions = Counter(row.caption_kind for row in rows if row.copy_kind is CopyKind.NONE)
    assert all(troubles[kind] == round(rate * 3000) for kind, rate in rates.troubles.items())
    assert all(copies[kind] == round(rate * 3000) for kind, rate in rates.copies.items())
    assert all(captions[kind] == round(rate * 3000) for kind, rate in rates.captions.items())


def test_every_kind_appears_twice_when_there_are_300_rows() -> None:
    few = plan_web(300, 1, HOSTS, Rates())
    assert min(Counter(row.trouble for row in few).values()) >= 2
    assert set(Trouble) == {row.trouble for row in few}
    assert min(Counter(row.copy_kind for row in few).values()) >= 2
    assert min(Counter(row.caption_kind for row in few).values()) >= 2


def test_rows_in_trouble_are_clean_otherwise_when_planned(rows: list[PlannedRow]) -> None:
    for row in rows:
        if row.trouble is not Trouble.NONE:
            assert row.caption_kind is CaptionKind.RIGHT
            assert (row.copy_kind, row.group, row.is_original) == (CopyKind.NONE, None, False)


def test_groups_have_one_sound_original_and_2_to_4_members_when_planned(rows: list[PlannedRow]) -> None:
    groups: dict[int, list[PlannedRow]] = defaultdict(list)
    for row in rows:
        if row.group is not None:
            groups[row.group].append(row)
    assert {len(group) for group in groups.values()} == {2, 3, 4}
    for group in groups.values():
        (original,) = [row for row in group if row.is_original]
        assert original.caption_kind is CaptionKind.RIGHT
        assert original.trouble is Trouble.NONE
        assert len({row.scene_seed for row in group}) == 1
        assert all(row.body_of == original.row_seed for row in group if row.copy_kind is CopyKind.EXACT)


def test_scenes_are_shared_only_within_groups_when_planned(rows: list[PlannedRow]) -> None:
    shown = Counter(row.scene_seed for row in rows if row.copy_kind is CopyKind.NONE)
    assert set(shown.values()) == {1}


def test_captions_are_of_their_kind_when_parsed(rows: list[PlannedRow]) -> None:
    for row in rows:
        pairs, named = make_scene(row.scene_seed).pairs, set(named_pairs(row.caption))
        if row.caption_kind is CaptionKind.RIGHT:
            assert named
            assert named <= pairs
        elif row.caption_kind is CaptionKind.MISMATCHED:
            assert named
            assert named.isdisjoint(pairs)
        elif row.caption_kind is CaptionKind.HALF_RIGHT:
            assert len(named - pairs) == 1
        else:
            assert not named


def test_disallowed_rows_lie_in_the_private_folder_when_planned(rows: list[PlannedRow]) -> None:
    assert all(row.path.startswith("/private/") == (row.trouble is Trouble.ROBOTS) for row in rows)


def test_web_is_clean_when_all_rates_are_zero() -> None:
    clean = plan_web(20, 0, HOSTS, Rates(captions={}, copies={}, troubles={}))
    kinds = {(row.caption_kind, row.copy_kind, row.trouble) for row in clean}
    assert kinds == {(CaptionKind.RIGHT, CopyKind.NONE, Trouble.NONE)}


def test_error_says_how_many_are_missing_when_pairs_are_too_few() -> None:
    rates = Rates(troubles={kind: 0.01 for kind in Trouble if kind is not Trouble.NONE}, captions={}, copies={})
    with pytest.raises(ValueError, match="ask for more pairs"):
        plan_web(100, 0, HOSTS, rates.model_copy(update={"captions": {CaptionKind.MISMATCHED: 0.9}}))
