"""Decides every row of a sandbox web: scene, caption, picture, trouble and address."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from jobs.sandbox.captions import caption, half_right, named_pairs
from jobs.sandbox.scene import SANDBOX_SEEDS, make_scene
from jobs.sandbox.seeded import Draws
from jobs.sandbox.trouble import CaptionKind, CopyKind, Rates, Trouble, count_of
from jobs.sandbox.useless_texts import useless_text

SCENES_PER_WEB = 1_000_000
"""Webs of different seeds (modulo 100) share no scene."""

_PLAN_SALT, _ROW_SALT = 0x9EB, 0x9EC
_FOLDERS = ("photos", "img", "uploads", "media/2019", "media/2021/07", "wp-content/uploads/2020/03", "cdn/v2", "a/b/c")
_EXTENSIONS: dict[str, tuple[str, ...]] = {
    "jpeg": (".jpg", ".jpg", ".jpg", ".jpeg", ".JPG", ""),
    "png": (".png",),
    "gif": (".gif",),
    "webp": (".webp", ".webp", ".jpg"),
    "avif": (".avif", ".avif", ".jpg"),
}
_USUAL_FORMATS = (("jpeg", 0.76), ("jpeg_progressive", 0.18), ("png", 0.06))
_LARGEST_PNG_PX = 480


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One pair of the web before its picture is made.

    `row_seed` seeds whatever else is decided about the row; `group` numbers the pictures that
    are copies of each other, None for a picture that has no copies; `body_of` is the
    `row_seed` of the row whose file this row's URL shows.
    """

    row_seed: int
    scene_seed: int
    caption_kind: CaptionKind
    copy_kind: CopyKind
    trouble: Trouble
    group: int | None
    is_original: bool
    body_of: int
    format: str
    long_side_px: int
    caption: str = ""
    host: str = ""
    path: str = ""


def plan_web(pairs: int, seed: int, hosts: Sequence[str], rates: Rates) -> list[PlannedRow]:
    """Returns the rows of a web in the order of its URL list; the same for the same arguments.

    Args:
        pairs: how many rows, at most `SCENES_PER_WEB`.
        seed: of the web, non-negative.
        hosts: the addresses that the pictures are spread over.
        rates: the shares of everything that is wrong.

    Raises:
        ValueError: if there are too many pairs, or too few for one of every trouble.
    """
    if not 1 <= pairs <= SCENES_PER_WEB:
        raise ValueError(f"a web has 1 to {SCENES_PER_WEB} pairs, not {pairs}")
    draws = Draws(_PLAN_SALT, seed)
    rows = list(_kinds(pairs, seed, rates, draws))
    rows = [_with_text_and_address(row, seed, hosts) for row in rows]
    return draws.shuffled(rows)


def _kinds(pairs: int, seed: int, rates: Rates, draws: Draws) -> Iterator[PlannedRow]:
    """Yields troubled rows, then originals with their copies, then everything else."""
    troubles = [kind for kind, rate in rates.troubles.items() for _ in range(count_of(rate, pairs))]
    copies = [kind for kind, rate in rates.copies.items() for _ in range(count_of(rate, pairs))]
    wrong = [kind for kind, rate in rates.captions.items() for _ in range(count_of(rate, pairs))]
    groups = list(_grouped(draws.shuffled(copies), draws))
    left = pairs - len(troubles) - len(copies) - len(groups) - len(wrong)
    if left < 0:
        raise ValueError(f"{pairs} pairs are {-left} too few for these rates; ask for more pairs or lower rates")
    usual = PlannedRow(
        row_seed=0,
        scene_seed=0,
        caption_kind=CaptionKind.RIGHT,
        copy_kind=CopyKind.NONE,
        trouble=Trouble.NONE,
        group=None,
        is_original=False,
        body_of=0,
        format="",
        long_side_px=0,
    )
    made = _Numbered(seed)
    for trouble in troubles:
        yield made.row(replace(usual, trouble=trouble))
    for number, group in enumerate(groups):
        original = made.row(replace(usual, group=number, is_original=True))
        yield original
        for kind in group:
            mismatched = draws.chance(rates.mismatched_copies)
            caption_kind = CaptionKind.MISMATCHED if mismatched else CaptionKind.RIGHT
            yield made.copy(replace(original, is_original=False, copy_kind=kind, caption_kind=caption_kind))
    for text_kind in [*wrong, *[CaptionKind.RIGHT] * left]:
        yield made.row(replace(usual, caption_kind=text_kind))


class _Numbered:
    """Gives rows their numbers, scenes and files."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._first_scene = SANDBOX_SEEDS.start + (seed * SCENES_PER_WEB) % len(SANDBOX_SEEDS)
        self._count = 0

    def row(self, row: PlannedRow) -> PlannedRow:
        number = self._next()
        draws = Draws(_ROW_SALT, self._seed, number, 0)
        form = _format_of(row.trouble, draws)
        long_side = _long_side(draws)
        if form.startswith("png"):
            long_side = min(long_side, _LARGEST_PNG_PX)
        scene_seed = self._first_scene + number
        return replace(row, row_seed=number, body_of=number, scene_seed=scene_seed, format=form, long_side_px=long_side)

    def copy(self, row: PlannedRow) -> PlannedRow:
        number = self._next()
        if row.copy_kind is CopyKind.EXACT:
            return replace(row, row_seed=number)
        return replace(row, row_seed=number, body_of=number, format="jpeg")

    def _next(self) -> int:
        self._count += 1
        return self._count - 1


def _grouped(copies: list[CopyKind], draws: Draws) -> Iterator[list[CopyKind]]:
    """Splits copies into groups that have, with their original, 2 to 4 members."""
    at = 0
    while at < len(copies):
        size = draws.weighted(((1, 0.65), (2, 0.25), (3, 0.1)))
        yield copies[at : at + size]
        at += size


def _long_side(draws: Draws) -> int:
    low, high = draws.weighted((((320, 800), 0.86), ((800, 1200), 0.11), ((1200, 1600), 0.03)))
    return round(draws.between(low, high))


def _format_of(trouble: Trouble, draws: Draws) -> str:
    special = {
        Trouble.CMYK: "jpeg_cmyk",
        Trouble.SIXTEEN_BIT: "png_sixteen_bit",
        Trouble.PALETTE: "png_palette",
        Trouble.RGBA: "png_rgba",
        Trouble.EXIF_ROTATED: "jpeg_rotated",
        Trouble.ANIMATED_GIF: "gif",
        Trouble.WEBP: "webp",
        Trouble.AVIF: "avif",
        Trouble.BOMB: "png_bomb",
        Trouble.JPEG_AS_HTML: "jpeg",
    }
    return special.get(trouble) or draws.weighted(_USUAL_FORMATS)


def _with_text_and_address(row: PlannedRow, seed: int, hosts: Sequence[str]) -> PlannedRow:
    draws = Draws(_ROW_SALT, seed, row.row_seed, 1)
    extension = draws.pick(_EXTENSIONS[row.format.partition("_")[0]])
    # The number makes the path unlike every other; the rest looks like a content hash.
    name = f"{draws.below(2**36):09x}{row.row_seed:x}"
    folder = "private" if row.trouble is Trouble.ROBOTS else draws.pick(_FOLDERS)
    text = _text(row, draws)
    return replace(row, caption=text, host=draws.pick(hosts), path=f"/{folder}/{name}{extension}")


def _text(row: PlannedRow, draws: Draws) -> str:
    scene = make_scene(row.scene_seed)
    if row.caption_kind is CaptionKind.RIGHT:
        return caption(scene, draws.below(2**32))
    if row.caption_kind is CaptionKind.HALF_RIGHT:
        return half_right(scene, draws.below(2**32))
    if row.caption_kind.useless:
        return useless_text(row.caption_kind, draws)
    block = row.scene_seed - row.scene_seed % SCENES_PER_WEB
    while True:
        text = caption(make_scene(block + draws.below(SCENES_PER_WEB)), draws.below(2**32))
        if scene.pairs.isdisjoint(named_pairs(text)):
            return text
