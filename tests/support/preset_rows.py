"""Puts hand-made rows through the steps of a recipe that judge: rules for texts, and exchanges.

Steps that measure (fetching, decoding, models) are passed over: what they would have measured stands in the rows.
"""

from functools import cache
from hashlib import sha256

import polars as pl
import pyarrow as pa

from curation.contracts.exchange import Exchange
from curation.contracts.stage import Stage
from curation.recipe.load import parse_recipe
from curation.text.language import LanguageModel
from jobs.presets import load_preset
from schemas.columns import COLUMNS
from stages.catalogue import CATALOGUE

GOOD = {
    "caption": "a small boat on the quiet lake in the evening",
    "body_bytes": 50_000,
    "original_width": 640,
    "original_height": 480,
    "clip_score": 0.35,
    "image_embedding": [1.0, 0.0, 0.0, 0.0],
}
"""A row that no preset rejects for itself."""

TEXT_STEPS = ("text_rules", "text_prose", "text_grammar", "rare_tokens")

FRENCH = "un petit bateau rouge sur le lac tranquille dans les montagnes"
DISTINCT = "the " + " ".join(f"w{number}" for number in range(2000))
SMALL = {
    "align": ["rare_tokens.most_frequent=100000"],
    "cc12m": ["rare_tokens.min_count=1"],
    "datacomp_1b": ["clusters.targets=null"],
    "datacomp_image_based": ["clusters.targets=null"],
}
"""Bounds on counts are lowered for tables of two rows, and no targets asked for; tests of their own hold them."""


def words(count):
    """A text of so many different words, one of them a determiner."""
    return " ".join(DISTINCT.split()[:count])


def vector(cosine):
    """A vector with this cosine to that of `GOOD`."""
    return [cosine, (1 - cosine**2) ** 0.5, 0.0, 0.0]


@cache
def language_model():
    return LanguageModel()


def preset_recipe(name, *overrides):
    """A preset, as somebody runs it who has put in whom site owners can ask."""
    return parse_recipe(load_preset(name).text, name, CATALOGUE, ("fetch_images.contact=me@ours.net", *overrides))


def verdicts(recipe, rows, only=None):
    """What becomes of each row, in their order: None where it is kept, else `step.rule`.

    Args:
        rows: What differs from `GOOD`, by column. `url`, `key` and `sha256` differ from row to row unless given.
        only: Kinds of steps that are asked; all by default.
    """
    frame = _frame(rows)
    ends = [None] * len(rows)
    for step in recipe.steps:
        alive = frame.filter(pl.Series([end is None for end in ends]))
        judges = isinstance(step, Exchange) or (isinstance(step, Stage) and step.spec.decides)
        if not judges or (only and step.spec.kind not in only) or alive.is_empty():
            continue
        judged = _decided(step, alive) if isinstance(step, Exchange) else _processed(step, alive)
        for row, reason in judged.select("row", "reason").iter_rows():
            ends[row] = f"{step.config.step_name}.{reason}" if reason else None
        added = judged.select("row", *[name for name in step.spec.adds if name in judged.columns])
        frame = frame.drop(added.columns[1:], strict=False).join(added, on="row", how="left", maintain_order="left")
    return ends


def _frame(rows):
    full = [
        {"url": f"http://a/{at}.jpg", "key": _digest(at)[:32], "sha256": _digest(at), "row": at, **GOOD, **row}
        for at, row in enumerate(rows)
    ]
    names = {name: None for row in full for name in row}
    arrays = [pa.array([row.get(name) for row in full], COLUMNS[name].type) for name in names]
    return pl.DataFrame(pl.from_arrow(pa.table(arrays, list(names))))


def _digest(number):
    return sha256(str(number).encode()).hexdigest()


def _with(frame, names):
    """The frame with a null column for each of the names that it lacks."""
    missing = [name for name in names if name not in frame.columns]
    nulls = pa.table([pa.nulls(frame.height, COLUMNS[name].type) for name in missing], missing)
    return frame.hstack(pl.DataFrame(pl.from_arrow(nulls))) if missing else frame


def _decided(step, frame):
    asked = ("row", "key", *[name for name in step.spec.requires if name not in ("row", "key")])
    return step.decide(_with(frame, asked).select(asked).lazy()).collect()


def _processed(step, frame):
    if hasattr(step, "_model"):
        step._model = language_model()
    else:
        step.setup()
    asked = ("row", "key", *step.spec.requires)
    table = _with(frame, asked).select(asked).to_arrow()
    schema = pa.schema([COLUMNS[name].field.with_nullable(True) for name in asked])
    judged = pl.DataFrame(pl.from_arrow(step.process(table.cast(schema))))
    return judged if "reason" in judged.columns else judged.with_columns(reason=pl.lit(None, pl.String))
