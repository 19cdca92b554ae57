"""What the presets' rules for texts keep of 10,000 real alt-texts."""

from pathlib import Path

import polars as pl
import pytest
from preset_rows import TEXT_STEPS, preset_recipe, verdicts

from jobs.presets import preset_names

REAL_TEXTS = Path(__file__).parents[3] / "shared/data/alt_texts/laion_10000.parquet"
KEPT_OF_10000 = {
    "align": (9_130, 9_200),
    "cc12m": (0, 0),
    "datacomp_1b": (9_600, 9_670),
    "datacomp_basic": (9_380, 9_440),
    "datacomp_image_based": (9_600, 9_670),
    "laion2b_en": (9_780, 9_820),
    "obelics": (560, 620),
}
"""By the rules for texts alone. Of 10,000 texts nearly each has a word that is rare among them, so cc12m keeps none."""


@pytest.fixture(scope="module")
def real_rows():
    if not REAL_TEXTS.exists():
        pytest.skip("../shared/data/alt_texts is absent")
    return [{"caption": text} for text in pl.read_parquet(REAL_TEXTS)["TEXT"].to_list()]


@pytest.fixture(scope="module")
def kept_of():
    """How many rows the rules for texts of a recipe keep; asked once for each set of rules."""
    known = {}

    def count(recipe, rows):
        rules = tuple(repr(step.config) for step in recipe.steps if step.config.kind in TEXT_STEPS)
        if rules not in known:
            known[rules] = sum(end is None for end in verdicts(recipe, rows, only=TEXT_STEPS))
        return known[rules]

    return count


@pytest.mark.parametrize("name", preset_names())
def test_share_that_was_measured_stays_when_real_texts_are_judged(name, real_rows, kept_of):
    least, most = KEPT_OF_10000.get(name, (10_000, 10_000))

    assert least <= kept_of(preset_recipe(name), real_rows) <= most


def test_a_sixth_reads_like_captions_when_cc12m_counts_no_rare_words(real_rows):
    ends = verdicts(preset_recipe("cc12m", "rare_tokens.min_count=1"), real_rows, only=TEXT_STEPS)

    assert 1_650 < sum(end is None for end in ends) < 1_850
