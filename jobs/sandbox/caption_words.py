"""The openings, endings and joints from which captions are put together."""

OPENINGS: tuple[tuple[str, float], ...] = (
    ("", 6.0),
    ("a photo of", 2.0),
    ("a picture of", 1.5),
    ("an image of", 1.0),
    ("photo of", 1.0),
    ("image of", 0.5),
    ("an illustration showing", 0.6),
    ("a close-up of", 0.6),
    ("a drawing with", 0.6),
    ("a view of", 0.4),
    ("we see", 0.4),
    ("there is", 0.6),
    ("this shows", 0.5),
    ("look at", 0.3),
    ("pictured here:", 0.3),
)

BACKDROPS: tuple[str, ...] = (
    "on a {tone} background",
    "against a {tone} background",
    "in front of a {tone} background",
    "on a {tone} backdrop",
    "against a cloudy {tone} backdrop",
    "before a blurry {tone} wall",
    "over {tone} clouds",
    "with {tone} clouds behind",
    "on {tone}",
)

TONE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "gray": ("gray", "grey"),
    "beige": ("beige", "sandy"),
    "lilac": ("lilac", "mauve"),
    "mint": ("mint", "minty"),
    "slate": ("slate", "steely"),
    "rose": ("rose", "rosy"),
}

PASSIVES: tuple[str, ...] = (
    "can be seen",
    "is shown",
    "was drawn",
    "is visible",
    "was photographed",
    "has been placed",
)

ACTIVES: tuple[str, ...] = ("sits", "stands", "lies", "floats", "appears", "hangs")

JOINTS: tuple[str, ...] = (" and ", " and ", " with ", " together with ", " plus ", " next to ", " & ")

OTHERS: tuple[str, ...] = (
    "and other things",
    "among other shapes",
    "and more",
    "and something else",
    "beside another object",
)

NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "left": ("to the left of", "left of", "on the left side of"),
    "right": ("to the right of", "right of", "on the right side of"),
    "above": ("above", "over", "higher than"),
    "below": ("below", "under", "beneath", "lower than"),
}

PLACES: dict[str, tuple[str, ...]] = {
    "left": ("on the left", "at the left", "on the left side"),
    "right": ("on the right", "at the right", "on the right side"),
    "top": ("at the top", "in the upper part"),
    "bottom": ("at the bottom", "in the lower part"),
    "middle": ("in the middle", "in the centre"),
}
