from jobs.sandbox.seeded import Draws


def test_stream_is_the_same_when_seeds_are() -> None:
    first, second = Draws(3, 4), Draws(3, 4)
    assert [first.uniform() for _ in range(200)] == [second.uniform() for _ in range(200)]


def test_stream_differs_when_seeds_are_swapped() -> None:
    assert Draws(3, 4).uniform() != Draws(4, 3).uniform()


def test_stream_has_known_values_when_drawn_on_any_platform() -> None:
    draws = Draws(1, 2)
    assert [draws.below(1000) for _ in range(5)] == [448, 430, 419, 277, 821]


def test_shuffle_keeps_all_items_when_there_are_many() -> None:
    items = list(range(300))
    shuffled = Draws(5).shuffled(items)
    assert shuffled != items
    assert sorted(shuffled) == items


def test_weighted_never_picks_an_item_when_its_weight_is_zero() -> None:
    draws = Draws(6)
    picks = [draws.weighted((("never", 0.0), ("rarely", 1.0), ("often", 3.0))) for _ in range(2000)]
    assert "never" not in picks
    assert 0.70 < picks.count("often") / len(picks) < 0.80
