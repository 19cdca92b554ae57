import itertools

import pytest

from jobs.sandbox.scene import HELD_OUT_SEEDS, SANDBOX_SEEDS, TRAINING_SEEDS, make_scene
from jobs.sandbox.vocabulary import CLASSES, COLOURS, SHAPES, SIZES, TONES

SCENES = [make_scene(seed) for seed in range(1500)]


def test_seed_ranges_share_no_seed_when_compared() -> None:
    ordered = sorted((SANDBOX_SEEDS, TRAINING_SEEDS, HELD_OUT_SEEDS), key=lambda seeds: seeds.start)
    assert all(left.stop <= right.start for left, right in itertools.pairwise(ordered))


def test_vocabulary_is_wide_enough_when_counted() -> None:
    assert len(SHAPES) >= 10
    assert len(COLOURS) >= 10
    assert len(set(CLASSES)) == len(SHAPES) * len(COLOURS)


def test_scene_is_the_same_when_its_seed_is() -> None:
    assert make_scene(123) == make_scene(123) != make_scene(124)


def test_scene_has_known_content_when_made_on_any_platform() -> None:
    scene = make_scene(0)
    assert [item.pair for item in scene.objects] == [("orange", "hourglass")]
    assert scene.background.tone == "gray"


def test_objects_are_apart_and_inside_when_there_are_several() -> None:
    for scene in SCENES:
        assert 1 <= len(scene.objects) <= 4
        for item in scene.objects:
            assert item.extent / 2 < item.x < 1 - item.extent / 2
            assert item.extent / 2 < item.y < 1 - item.extent / 2
        for one, other in itertools.combinations(scene.objects, 2):
            distance = ((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5
            assert distance >= (one.extent + other.extent) / 2


def test_objects_are_wide_enough_to_see_when_drawn_at_64_pixels() -> None:
    assert min(low for low, _ in SIZES.values()) * 64 >= 12


def test_no_pair_appears_twice_when_a_scene_has_several_objects() -> None:
    assert all(len(scene.pairs) == len(scene.objects) for scene in SCENES)


def test_no_object_has_a_colour_that_its_background_hides() -> None:
    for scene in SCENES:
        assert TONES[scene.background.tone].hides.isdisjoint(item.colour for item in scene.objects)


def test_every_class_appears_when_there_are_many_scenes() -> None:
    shown = {item.pair for scene in SCENES for item in scene.objects}
    assert shown == set(CLASSES)


def test_number_of_objects_is_as_asked_when_given() -> None:
    assert [len(make_scene(9, objects=count).objects) for count in (1, 2, 3, 4)] == [1, 2, 3, 4]


def test_error_is_raised_when_number_of_objects_is_impossible() -> None:
    with pytest.raises(ValueError, match="1 to 4 objects, not 5"):
        make_scene(9, objects=5)
