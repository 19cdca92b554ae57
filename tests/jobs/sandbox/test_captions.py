from collections import Counter

import pytest

from jobs.sandbox.captions import canonical_caption, caption, half_right, named_pairs
from jobs.sandbox.scene import make_scene

SCENES = [make_scene(seed) for seed in range(1500)]


def test_caption_names_only_what_is_there_when_parsed() -> None:
    complete = 0
    for number, scene in enumerate(SCENES):
        named = named_pairs(caption(scene, number))
        assert named
        assert set(named.values()) == {1}
        assert scene.pairs.issuperset(named)
        complete += scene.pairs == set(named)
    assert 0.85 < complete / len(SCENES) < 0.97


def test_caption_has_3_to_30_words_when_scenes_vary() -> None:
    lengths = {len(caption(scene, number).split()) for number, scene in enumerate(SCENES)}
    assert min(lengths) == 3
    assert 25 <= max(lengths) <= 30


def test_captions_vary_when_only_the_seed_does() -> None:
    assert len({caption(SCENES[2], seed) for seed in range(100)}) > 90
    assert caption(SCENES[2], 5) == caption(SCENES[2], 5)


def test_positions_and_relations_are_true_when_a_caption_states_them() -> None:
    checked = Counter[str]()
    for seed in range(3000):
        scene = make_scene(seed, objects=2)
        text = caption(scene, 1).lower()
        first = next(iter(named_pairs(text)))
        named = {item.pair: item for item in scene.objects}
        item = named.pop(first)
        others = list(named.values())
        for words, is_so in (
            ("to the left of", lambda a, b: a.x < b.x),
            ("to the right of", lambda a, b: a.x > b.x),
            (" above ", lambda a, b: a.y < b.y),
            (" beneath ", lambda a, b: a.y > b.y),
        ):
            if words in text:
                assert is_so(item, others[0]), text
                checked[words] += 1
        if text.count(" and ") == 0 and text.endswith("at the top"):
            assert min(entry.y for entry in scene.objects) < 0.4, text
            checked["at the top"] += 1
    assert all(checked[words] >= 5 for words in ("to the left of", "to the right of", " above ", " beneath "))


def test_canonical_caption_names_every_object_once_in_order_when_parsed() -> None:
    for scene in SCENES:
        assert list(named_pairs(canonical_caption(scene)).items()) == [(item.pair, 1) for item in scene.objects]


def test_canonical_caption_reads_as_expected_when_objects_have_sizes_and_textures() -> None:
    assert canonical_caption(make_scene(9)) == "a big red star and a big striped turquoise diamond on a gray background"


def test_half_right_caption_has_one_attribute_wrong_when_parsed() -> None:
    wrong_colours = 0
    for number, scene in enumerate(SCENES):
        named = named_pairs(half_right(scene, number))
        (wrong,) = set(named) - scene.pairs
        left = scene.pairs - set(named)
        assert any((wrong[0] == colour) != (wrong[1] == shape) for colour, shape in left)
        wrong_colours += any(wrong[1] == shape for _, shape in left)
    assert 0.3 < wrong_colours / len(SCENES) < 0.7


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("A Crimson disc, beside a striped violet moon", {("red", "circle"): 1, ("purple", "crescent"): 1}),
        ("a red striped sand timer", {("red", "hourglass"): 1}),
        ("two things: a ring in black & a box coloured green.", {("black", "ring"): 1, ("green", "square"): 1}),
        ("a red circle and a red circle", {("red", "circle"): 2}),
        ("a plus sign on a gray background", {}),
        ("a red background with a circle", {}),
        ("", {}),
    ],
)
def test_pairs_are_found_when_text_uses_synonyms(text: str, pairs: dict[tuple[str, str], int]) -> None:
    assert named_pairs(text) == Counter(pairs)
