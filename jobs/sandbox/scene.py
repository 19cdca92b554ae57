"""Scenes: a few objects before a background, decided by one number."""

from dataclasses import dataclass
from functools import lru_cache

from jobs.sandbox.seeded import Draws
from jobs.sandbox.vocabulary import (
    ASPECTS,
    COLOUR_JITTER,
    COLOURS,
    SHAPES,
    SIZES,
    TONES,
    Rgb,
)

SANDBOX_SEEDS = range(0, 100_000_000)
"""Seeds of the scenes that a sandbox web shows."""

TRAINING_SEEDS = range(100_000_000, 200_000_000)
"""Seeds of the scenes that the embedded models are trained on."""

HELD_OUT_SEEDS = range(200_000_000, 300_000_000)
"""Seeds of the scenes that models are evaluated on."""

_SALT = 0x5CE7E5
_MARGIN = 0.03
_GAP = 0.02
_PLACING_TRIES = 60
_MIN_STEP_ACROSS = 0.07


@dataclass(frozen=True, slots=True)
class Background:
    """Clouds of one tone.

    `low` and `high` say which stretch of the tone (0 dark, 1 light) the clouds span.
    """

    tone: str
    noise_seed: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object.

    `x` and `y` are its centre in the scene's central square (0 to 1, from the top left) and
    `extent` is its width in sides of that square; `rgb` is its colour as drawn, `tilt` is in
    degrees.
    """

    colour: str
    shape: str
    size: str
    texture: str
    x: float
    y: float
    extent: float
    tilt: float
    rgb: Rgb

    @property
    def pair(self) -> tuple[str, str]:
        """The object's (colour, shape)."""
        return (self.colour, self.shape)


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture before it is drawn.

    Objects are ordered from left to right. They all lie in the central square, so that a model
    that crops to a square still sees them.
    """

    seed: int
    aspect: tuple[int, int]
    background: Background
    objects: tuple[SceneObject, ...]

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """The (colour, shape) of every object; no two objects share one."""
        return frozenset(item.pair for item in self.objects)


def make_scene(seed: int, *, objects: int | None = None) -> Scene:
    """Returns the scene of a seed.

    Args:
        seed: any non-negative number; see the ranges above.
        objects: how many objects, 1 to 4; by default the seed decides.

    Raises:
        ValueError: if `objects` is not 1 to 4.
    """
    if objects is not None and not 1 <= objects <= 4:
        raise ValueError(f"a scene has 1 to 4 objects, not {objects}")
    return _make_scene(seed, objects)


@lru_cache(maxsize=4096)
def _make_scene(seed: int, objects: int | None) -> Scene:
    draws = Draws(_SALT, seed)
    tone = draws.pick(tuple(TONES))
    low = draws.between(0.0, 0.2)
    background = Background(
        tone=tone,
        noise_seed=int(draws.uniform() * 2**48),
        low=low,
        high=draws.between(0.8, 1.0),
    )
    aspect = draws.pick(ASPECTS)
    drawn = draws.weighted(((1, 0.28), (2, 0.34), (3, 0.26), (4, 0.12)))
    placed = _place(draws, objects or drawn)
    visible = [colour for colour in COLOURS if colour not in TONES[tone].hides]
    pairs: set[tuple[str, str]] = set()
    made = []
    for size, extent, x, y in sorted(placed, key=lambda place: place[2]):
        pair = (draws.pick(visible), draws.pick(SHAPES))
        while pair in pairs:
            pair = (draws.pick(visible), draws.pick(SHAPES))
        pairs.add(pair)
        made.append(
            SceneObject(
                colour=pair[0],
                shape=pair[1],
                size=size,
                texture=_texture(draws, size),
                x=x,
                y=y,
                extent=extent,
                tilt=draws.between(-9.0, 9.0),
                rgb=_jittered(draws, COLOURS[pair[0]]),
            )
        )
    return Scene(seed=seed, aspect=aspect, background=background, objects=tuple(made))


def _texture(draws: Draws, size: str) -> str:
    # A small object has too few pixels at 64 x 64 to show a texture.
    if size == "small":
        return "plain"
    return draws.weighted((("plain", 0.58), ("striped", 0.16), ("dotted", 0.13), ("checkered", 0.13)))


def _jittered(draws: Draws, rgb: Rgb) -> Rgb:
    red, green, blue = (min(255, max(0, round(value + draws.between(-COLOUR_JITTER, COLOUR_JITTER)))) for value in rgb)
    return (red, green, blue)


def _place(draws: Draws, count: int) -> list[tuple[str, float, float, float]]:
    """Returns (size, extent, x, y) of each object; begins again when the last finds no room."""
    while True:
        places: list[tuple[str, float, float, float]] = []
        for _ in range(count):
            place = _free_place(draws, places, count)
            if place is None:
                break
            places.append(place)
        if len(places) == count:
            return places


def _free_place(
    draws: Draws, taken: list[tuple[str, float, float, float]], count: int
) -> tuple[str, float, float, float] | None:
    weights = {"small": 0.3, "medium": 0.4, "big": 0.3}
    if count >= 3 and any(place[0] == "big" for place in taken):
        weights["big"] = 0.0
    size = draws.weighted(tuple(weights.items()))
    extent = draws.between(*SIZES[size])
    edge = extent / 2 + _MARGIN
    for _ in range(_PLACING_TRIES):
        x, y = draws.between(edge, 1 - edge), draws.between(edge, 1 - edge)
        if all(_apart(x, y, extent, place) for place in taken):
            return (size, extent, x, y)
    return None


def _apart(x: float, y: float, extent: float, place: tuple[str, float, float, float]) -> bool:
    _, other_extent, other_x, other_y = place
    # Centres that differ in x make the order from left to right plain to see.
    if abs(x - other_x) < _MIN_STEP_ACROSS:
        return False
    reach = (extent + other_extent) / 2 + _GAP
    return (x - other_x) ** 2 + (y - other_y) ** 2 >= reach**2
