"""What scenes are made of, and the words for it.

Shapes and colours were chosen so that they can be told apart when an object is 12 pixels wide.
"""

from typing import NamedTuple

Rgb = tuple[int, int, int]


class Tone(NamedTuple):
    """A background's main colour: its darkest and lightest value and the colours it would hide."""

    dark: Rgb
    light: Rgb
    hides: frozenset[str]


SHAPES: tuple[str, ...] = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "diamond",
    "cross",
    "ring",
    "crescent",
    "arrow",
    "hourglass",
    "arch",
)

COLOURS: dict[str, Rgb] = {
    "red": (218, 30, 36),
    "orange": (252, 132, 18),
    "yellow": (250, 226, 40),
    "green": (36, 150, 48),
    "turquoise": (48, 218, 206),
    "blue": (34, 62, 214),
    "purple": (124, 36, 166),
    "pink": (252, 128, 190),
    "brown": (108, 60, 24),
    "black": (18, 18, 20),
    "white": (246, 246, 246),
}

COLOUR_JITTER = 9
"""How far each channel of an object's colour may lie from the value in `COLOURS`."""

PATTERN_INK: dict[str, Rgb] = {
    "red": (132, 10, 16),
    "orange": (255, 205, 150),
    "yellow": (255, 250, 185),
    "green": (135, 215, 140),
    "turquoise": (20, 145, 140),
    "blue": (135, 155, 250),
    "purple": (182, 112, 214),
    "pink": (255, 205, 230),
    "brown": (185, 140, 100),
    "black": (98, 98, 100),
    "white": (186, 190, 198),
}
"""The second colour of a textured object: a lighter or darker kind of its own colour."""

SIZES: dict[str, tuple[float, float]] = {
    "small": (0.19, 0.23),
    "medium": (0.28, 0.33),
    "big": (0.42, 0.48),
}
"""An object's width as a fraction of the picture's shorter side."""

TEXTURES: tuple[str, ...] = ("plain", "striped", "dotted", "checkered")

TONES: dict[str, Tone] = {
    "gray": Tone((66, 66, 68), (186, 186, 190), frozenset()),
    "beige": Tone((96, 82, 58), (212, 192, 156), frozenset({"brown"})),
    "lilac": Tone((84, 70, 108), (190, 176, 212), frozenset({"purple", "pink"})),
    "mint": Tone((58, 92, 74), (160, 206, 182), frozenset({"green", "turquoise"})),
    "slate": Tone((52, 70, 98), (146, 170, 204), frozenset({"blue", "turquoise"})),
    "rose": Tone((106, 68, 74), (214, 172, 176), frozenset({"pink", "brown"})),
}

ASPECTS: tuple[tuple[int, int], ...] = ((1, 1), (4, 3), (3, 4), (5, 4), (4, 5))
"""Width to height of scenes."""

SHAPE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "circle": ("disc",),
    "square": ("box",),
    "diamond": ("rhombus",),
    "cross": ("plus sign",),
    "ring": ("hoop",),
    "crescent": ("moon",),
    "hourglass": ("sand timer",),
    "arch": ("archway",),
}

COLOUR_SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("crimson",),
    "turquoise": ("cyan",),
    "purple": ("violet",),
    "yellow": ("golden",),
    "green": ("emerald",),
}

SIZE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "medium": ("medium-sized", "mid-sized"),
    "big": ("big", "large", "huge"),
}

TEXTURE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "plain": ("plain",),
    "striped": ("striped", "stripy"),
    "dotted": ("dotted", "spotted"),
    "checkered": ("checkered", "chequered"),
}

CLASSES: tuple[tuple[str, str], ...] = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
"""Every (colour, shape), the classes of zero-shot classification."""


def class_name(pair: tuple[str, str]) -> str:
    """Returns the words for a class, such as "red circle"."""
    return f"{pair[0]} {pair[1]}"
