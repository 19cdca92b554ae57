"""What presets decide over all rows: shares, counts, balance and draws, at both sides of every bound."""

from pathlib import Path

import pyarrow as pa
import pytest
from drawn_keys import key_that_draws
from preset_rows import FRENCH, GOOD, SMALL, TEXT_STEPS, preset_recipe, vector, verdicts

from curation.key_draws import purpose_seed
from schemas.columns import COLUMNS
from stages.deliver.texts import chosen_texts


@pytest.mark.parametrize(
    ("name", "kept", "rule"),
    [
        ("datacomp_clip_l14_30", [17, 18, 19, 16, 15, 14], "select.top_30_percent"),
        ("datacomp_1b", [17, 18, 19, 16, 15, 14], "select.top_30_percent"),
        ("dfn", [17, 18, 19], "select.top_15_percent"),
        ("nguyen2023", list(range(14)), "select.bottom_70_percent"),
    ],
)
def test_share_of_the_best_stays_when_a_preset_takes_a_share(name, kept, rule):
    rows = [{"clip_score": score / 100, "image_embedding": vector(score / 20)} for score in range(20)]
    ends = verdicts(preset_recipe(name, *SMALL.get(name, [])), rows)

    assert {row for row, end in enumerate(ends) if end is None} == set(kept)
    assert set(ends) == {None, rule}


def test_share_is_of_all_pairs_when_datacomp_1b_drops_texts_too():
    rows = [{"clip_score": score / 100, "caption": FRENCH if score > 7 else GOOD["caption"]} for score in range(10)]

    ends = verdicts(preset_recipe("datacomp_1b", *SMALL["datacomp_1b"]), rows)

    assert [end for end in ends if end != "select.top_30_percent"] == [
        None,
        "text_rules.language",
        "text_rules.language",
    ]


def test_word_is_rare_below_twenty_when_cc12m_judges():
    rows = [{"caption": "the red boat"}] * 19 + [{"caption": "the red boat on lakes"}] * 20

    assert verdicts(preset_recipe("cc12m"), rows) == [None] * 39
    ends = verdicts(preset_recipe("cc12m"), rows[:-1])
    assert ends == [None] * 19 + ["rare_tokens.min_count"] * 19


def test_word_is_rare_outside_the_most_frequent_when_align_judges():
    rows = [{"caption": "red green blue", "url": f"http://b/{at}"} for at in range(5)]
    rows.append({"caption": "red green zebra"})

    # red, green, "red green" and blue, "green blue", then "green zebra" and zebra.
    assert verdicts(preset_recipe("align", "rare_tokens.most_frequent=7"), rows) == [None] * 6
    assert verdicts(preset_recipe("align", "rare_tokens.most_frequent=6"), rows) == [None] * 5 + [
        "rare_tokens.most_frequent"
    ]


def test_text_goes_with_eleven_images_when_align_counts():
    rows = [{"caption": "a text of many"} for _ in range(10)]

    assert verdicts(preset_recipe("align"), rows) == [None] * 10
    assert verdicts(preset_recipe("align"), [*rows, rows[0]]) == ["limit_repeats.max_images_per_text"] * 11


def test_image_goes_with_more_than_a_thousand_texts_when_align_counts():
    rows = [{"caption": f"a text number n{at}", "sha256": "0" * 64} for at in range(1000)]

    assert set(verdicts(preset_recipe("align"), rows)) == {None}
    assert set(verdicts(preset_recipe("align"), [*rows, {"caption": "one too many", "sha256": "0" * 64}])) == {
        "limit_repeats.max_texts_per_image"
    }


def test_url_goes_with_more_than_ten_texts_when_obelics_counts():
    rows = [{"caption": f"the boat on a lake n{at}", "url": "http://a/1.jpg"} for at in range(10)]

    assert set(verdicts(preset_recipe("obelics"), rows)) == {None}
    assert set(
        verdicts(preset_recipe("obelics"), [*rows, {"caption": "one text too many", "url": "http://a/1.jpg"}])
    ) == {"limit_repeats.max_texts_per_image"}


def test_pair_goes_when_laion400m_has_its_url_and_text_already():
    rows = [{"key": "a" * 32}, {"key": "a" * 32}, {"key": "b" * 32}]

    assert verdicts(preset_recipe("laion400m"), rows) == [None, "same_pair.repeated_row", None]


def test_pair_given_twenty_times_is_not_rare_when_cc12m_judges():
    rows = [{"caption": "the red boat", "key": "a" * 32}] * 20

    assert verdicts(preset_recipe("cc12m"), rows) == [None] + ["same_pair.repeated_row"] * 19
    assert verdicts(preset_recipe("cc12m"), rows[1:]) == ["rare_tokens.min_count"] * 19


@pytest.mark.parametrize(("name", "step"), [("clip_wit", "exactly"), ("metaclip", "draw"), ("metaclip2", "draw")])
@pytest.mark.usefixtures("files")
def test_rows_of_an_entry_are_capped_when_texts_are_balanced(name, step):
    recipe = preset_recipe(name, "balance_metadata.max_per_entry=5")
    rows = [{"caption": f"a small boat on the quiet water n{at}"} for at in range(40)] + [
        {"caption": "nothing that is looked for"}
    ]

    ends = verdicts(recipe, rows)

    kept = sum(end is None for end in ends)
    assert kept == 5 if step == "exactly" else 0 < kept < 15
    assert ends[-1].startswith("balance_metadata.")


@pytest.mark.parametrize("name", ["clip_wit", "metaclip", "metaclip2"])
@pytest.mark.usefixtures("files")
def test_entry_has_twenty_thousand_rows_when_texts_are_balanced(name):
    recipe, asked = preset_recipe(name), (*TEXT_STEPS, "balance_metadata")
    rows = [{"caption": "a small boat on the quiet water"}] * 20_000

    assert set(verdicts(recipe, rows, only=asked)) == {None}
    ends = verdicts(recipe, rows + rows[:5_000], only=asked)

    kept = sum(end is None for end in ends)
    # Drawn with a chance of 0.8: 20,000 of 25,000, give or take 63.
    assert kept == 20_000 if name == "clip_wit" else 19_700 < kept < 20_300


@pytest.mark.parametrize(("name", "share"), [("laclip", 0.8), ("recap_datacomp", 0.5), ("vecap", 0.5)])
def test_text_is_synthetic_below_the_share_when_a_preset_mixes(name, share):
    rule = preset_recipe(name).sink.config.text_rule
    keys = [key_that_draws(draw, rule.seed ^ int.from_bytes(b"texts")) for draw in (share - 1e-9, share)]
    made = [{"text": "made", "model": "m", "prompt": None, "score": -1.0}]
    captions = pa.array([made, made], COLUMNS["captions"].type)

    assert chosen_texts(pa.table({"key": keys, "text": ["alt", "alt"], "captions": captions}), rule) == ["made", "alt"]


BATEAU = "un petit bateau rouge sur les eaux tranquilles du matin"
LAC = "une promenade autour du lac avec toute la famille"
MONTAGNE = "une belle montagne sous la neige en hiver"


@pytest.mark.parametrize(
    ("boats", "of_two", "of_five"),
    [
        # English: boat 2, lake 3. Below t = 3 are 2 of 5 matches; of French 1 + 2 of 8 are nearest to that: t is 2.
        (2, [None, None], [None, "balance_metadata.not_drawn"]),
        # boat 3 is not below 3, so no match is in the tail; of French 1 of 8 is nearest to that: t is 1.
        (3, [None, "balance_metadata.not_drawn"], ["balance_metadata.not_drawn"] * 2),
    ],
)
@pytest.mark.usefixtures("files")
def test_bound_of_a_language_hangs_on_the_english_tail_when_metaclip2_balances(boats, of_two, of_five):
    Path("metadata/other.txt").write_text("montagne\nbateau\nlac\n")
    seed = purpose_seed("balance_metadata", 0)
    # At both sides of 1/2, which is the chance with t = 1 of what two rows name, and of 2/5.
    two = [{"caption": BATEAU, "key": key_that_draws(draw, seed, 1)} for draw in (0.5 - 1e-9, 0.5)]
    five = [{"caption": LAC, "key": key_that_draws(draw, seed, 2)} for draw in (0.4 - 1e-9, 0.4 + 1e-9)]
    rest = [{"caption": MONTAGNE}] + [{"caption": LAC}] * 3
    english = [{"caption": "a small boat on the quiet water"}] * boats + [
        {"caption": "the lake in the evening sun"}
    ] * 3

    ends = verdicts(preset_recipe("metaclip2", "balance_metadata.max_per_entry=3"), [*two, *five, *rest, *english])

    assert ends[:2] == of_two
    assert ends[2:4] == of_five
    assert set(ends[8:]) == {None}


def test_hundred_images_of_a_cluster_stay_when_vl3_balances():
    recipe = preset_recipe("vl3_syn7m", "clusters.clusters=1")
    rows = [{"image_embedding": vector(at / 200)} for at in range(101)]

    assert sum(end is None for end in verdicts(recipe, rows[:100])) == 100
    assert sum(end is None for end in verdicts(recipe, rows)) == 100
