"""Every preset is a valid recipe, and rejects what its paper rejects: rows at both sides of every threshold."""

import json
import re
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
import yaml
from drawn_keys import key_that_draws
from preset_rows import GOOD, TEXT_STEPS, preset_recipe, verdicts

from curation.key_draws import purpose_seed
from curation.plan.checks import checked_plan
from curation.plan.phases import Decision
from jobs.cli import main
from jobs.presets import load_preset, preset_names
from schemas.columns import COLUMNS
from stages.deliver.texts import chosen_texts

PUBLISHED = (
    "align cc12m laion400m laion2b_en clip_wit datacomp_basic datacomp_clip_l14_30 datacomp_image_based datacomp_1b "
    "metaclip metaclip2 dfn semdedup vl3_syn7m tips recap_datacomp capsfusion vecap laclip nguyen2023 mobileclip_dr "
    "obelics viscon"
)
FRENCH = "un petit bateau rouge sur le lac tranquille dans les montagnes"
DISTINCT = "the " + " ".join(f"w{number}" for number in range(2000))


def words(count):
    return " ".join(DISTINCT.split()[:count])


def vector(cosine):
    return [cosine, (1 - cosine**2) ** 0.5, 0.0, 0.0]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """What the presets ask their users for."""
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({"url": ["http://a/1.jpg"], "caption": ["a boat"]}).write_parquet("pairs.parquet")
    Path("metadata").mkdir()
    for name in ("queries.txt", "metadata/en.txt", "metadata/other.txt"):
        Path(name).write_text("boat\nlake\n")
    Path("metadata.json").write_text('["boat", "lake"]')


def test_every_published_selection_has_a_preset_when_listed():
    assert preset_names() == sorted(PUBLISHED.split())


@pytest.mark.parametrize("name", preset_names())
def test_header_names_its_source_when_a_preset_is_read(name):
    preset = load_preset(name)

    assert re.search(r" et al\. 20\d\d, .+ ?\(arXiv:\d{4}\.\d{5}\)", preset.paper)
    assert preset.thresholds.endswith(".")
    assert preset.text.startswith(f"# {name}: {preset.title}\n")
    assert yaml.safe_load(preset.text)["name"] == name


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.usefixtures("files")
def test_plan_is_valid_when_a_preset_has_what_it_asks_for(name):
    recipe = preset_recipe(name)

    plan = checked_plan(recipe)

    assert plan.sink is recipe.steps[-1]
    fetching = next(phase for phase in plan.phases if "fetch_images" in phase.name)
    assert not {"score_alignment", "recaption"} & {stage.spec.kind for stage in fetching.stages}


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.usefixtures("files")
def test_pair_given_twice_goes_before_anything_is_fetched(name):
    recipe = preset_recipe(name)
    names = [item.name for item in checked_plan(recipe).items]
    rows = [{"key": "a" * 32}, {"key": "a" * 32, "sha256": "f" * 64}, {"key": "b" * 32}]

    fetching = next(at for at, name in enumerate(names) if "fetch_images" in name)
    assert names.index("same_pair") < fetching
    # Whatever else judges the rows: of a pair that was given twice, the second is never measured.
    assert verdicts(recipe, rows, only=("deduplicate",))[:2] == [None, "same_pair.repeated_row"]


@pytest.mark.parametrize(("name", "first"), [("align", False), ("cc12m", False), ("metaclip", True), ("clip_wit", True)])
@pytest.mark.usefixtures("files")
def test_pair_given_twice_is_counted_as_the_header_says(name, first):
    items = checked_plan(preset_recipe(name)).items
    decisions = [item.name for item in items if isinstance(item, Decision)]

    assert decisions[0] == "same_pair" if first else decisions[:2] == ["rare_tokens", "same_pair"]
    assert ("count here as often as they come" in load_preset(name).departs) is not first
    assert ("so counts are of different pairs" in load_preset(name).departs) is first


def test_presets_are_listed_when_asked_for(capsys):
    assert main(["recipes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == preset_names()
    assert main(["recipes", "list"]) == 0
    assert "Jia et al. 2021" in capsys.readouterr().out


def test_yaml_is_printed_as_it_is_when_one_is_shown(capsys):
    assert main(["recipes", "show", "datacomp_basic"]) == 0
    assert capsys.readouterr().out == load_preset("datacomp_basic").text
    assert main(["recipes", "show", "--json", "datacomp_basic"]) == 0
    assert json.loads(capsys.readouterr().out)["paper"].startswith("Gadre et al. 2023")


def test_nearest_name_is_told_when_there_is_no_such_preset(capsys):
    assert main(["recipes", "show", "metaklip"]) == 2
    assert capsys.readouterr().err == "metaklip: no preset has this name; did you mean metaclip?\n"
    assert main(["recipes", "show", "zzzzzz"]) == 2
    assert "there are align, capsfusion" in capsys.readouterr().err


WIDE, MOST = {"original_width": 200}, "select.max_original"
BOTH_SIDES = [
    # preset, a row that just stays, what is different of one that just goes, the rule
    ("align", {"caption": words(3)}, {"caption": words(2)}, "text_rules.min_words"),
    ("align", {"caption": words(20)}, {"caption": words(21)}, "text_rules.max_words"),
    ("align", {"original_width": 201, "original_height": 400}, {"original_width": 200}, "select.short_side"),
    ("align", {"original_height": 201, "original_width": 400}, {"original_height": 200}, "select.short_side"),
    ("align", {"original_width": 899, "original_height": 300}, {"original_width": 900}, "select.aspect"),
    ("align", {"original_width": 300, "original_height": 899}, {"original_height": 900}, "select.aspect"),
    ("cc12m", {"caption": words(3)}, {"caption": words(2)}, "text_rules.min_words"),
    ("cc12m", {"caption": words(256)}, {"caption": words(257)}, "text_rules.max_words"),
    ("cc12m", {"caption": "the red boat the lake"}, {"caption": "the red boat the"}, "text_rules.max_repetition"),
    ("cc12m", {"caption": "the boat below"}, {"caption": "the younger below"}, "text_grammar.min_nouns"),
    ("cc12m", {"caption": "the red boat"}, {"caption": "our red boat"}, "text_grammar.min_determiners"),
    ("cc12m", {}, {"caption": FRENCH}, "text_rules.language"),
    ("cc12m", {"original_width": 1000, "original_height": 400}, {"original_width": 1001}, "select.aspect"),
    ("cc12m", {"original_width": 400, "original_height": 1000}, {"original_height": 1001}, "select.aspect"),
    ("laion400m", {"caption": "boats"}, {"caption": "boat"}, "text_rules.min_chars"),
    ("laion400m", {"body_bytes": 5000}, {"body_bytes": 4999}, "file_size.min_body_bytes"),
    ("laion400m", {"clip_score": 0.3}, {"clip_score": 0.2999}, "select.min_clip_score"),
    ("laion2b_en", {"clip_score": 0.28}, {"clip_score": 0.2799}, "select.min_clip_score"),
    ("laion2b_en", {}, {"caption": FRENCH}, "text_rules.language"),
    ("datacomp_basic", {"caption": "red boat here"}, {"caption": "red boats"}, "text_rules.min_words"),
    ("datacomp_basic", {"caption": "a b cd"}, {"caption": "a b c"}, "text_rules.min_chars"),
    ("datacomp_basic", {}, {"caption": FRENCH}, "text_rules.language"),
    (
        "datacomp_basic",
        {"original_width": 200, "original_height": 300},
        {"original_width": 199},
        "select.min_original_width",
    ),
    (
        "datacomp_basic",
        {"original_height": 200, "original_width": 300},
        {"original_height": 199},
        "select.min_original_height",
    ),
    ("datacomp_basic", {"original_width": 900, "original_height": 300}, {"original_width": 901}, "select.aspect"),
    ("datacomp_basic", {"original_width": 300, "original_height": 900}, {"original_height": 901}, "select.aspect"),
    ("datacomp_image_based", {"caption": "red boat"}, {"caption": "redboat"}, "text_rules.min_words"),
    ("datacomp_image_based", {"caption": "a bcde"}, {"caption": "a bcd"}, "text_rules.min_chars"),
    ("datacomp_image_based", {}, {"caption": FRENCH}, "text_rules.language"),
    ("datacomp_1b", {"caption": "red boat"}, {"caption": "redboat"}, "text_rules.min_words"),
    ("datacomp_1b", {"caption": "a bcde"}, {"caption": "a bcd"}, "text_rules.min_chars"),
    ("datacomp_1b", {}, {"caption": FRENCH}, "text_rules.language"),
    ("vl3_syn7m", {"original_width": 900, "original_height": 300}, {"original_width": 901}, "shape.aspect"),
    ("vl3_syn7m", {"original_width": 300, "original_height": 900}, {"original_height": 901}, "shape.aspect"),
    ("vl3_syn7m", {"clip_score": 0.2}, {"clip_score": 0.1999}, "aligned.min_clip_score"),
    ("mobileclip_dr", {"clip_score": -1.0}, {"clip_score": None}, "scored.min_clip_score"),
    ("obelics", {"caption": "the boats and sails"}, {"caption": "the boats and"}, "text_rules.min_words"),
    # 3 of 10 words, then 2.
    (
        "obelics",
        {"caption": "the old green boats on small lakes in deep water"},
        {"caption": "the old green boats on small lakes beyond deep water"},
        "text_prose.min_stop_word_share",
    ),
    (
        "obelics",
        {"caption": "a red van on the road"},
        {"caption": "the salsa of a diva"},
        "text_prose.min_language_score",
    ),
    ("obelics", {"original_width": 150, "original_height": 200}, {"original_width": 149}, "select.min_original_width"),
    (
        "obelics",
        {"original_height": 150, "original_width": 200},
        {"original_height": 149},
        "select.min_original_height",
    ),
    (
        "obelics",
        {"original_width": 20000, "original_height": 10000},
        {"original_width": 20001},
        "select.max_original_width",
    ),
    (
        "obelics",
        {"original_height": 20000, "original_width": 10000},
        {"original_height": 20001},
        "select.max_original_height",
    ),
    ("obelics", {"original_width": 800, "original_height": 400}, {"original_width": 801}, "select.aspect"),
    ("obelics", {"original_width": 400, "original_height": 800}, {"original_height": 801}, "select.aspect"),
]
SMALL = {"align": ["rare_tokens.most_frequent=100000"], "cc12m": ["rare_tokens.min_count=1"]}
"""Bounds on counts are lowered for tables of two rows; tests of their own hold them."""


@pytest.mark.parametrize(("name", "stays", "change", "rule"), BOTH_SIDES)
def test_row_stays_at_a_threshold_and_goes_past_it(name, stays, change, rule):
    recipe = preset_recipe(name, *SMALL.get(name, []))

    # Alone, since shares and copies depend on the other rows.
    assert verdicts(recipe, [stays]) == [None]
    assert verdicts(recipe, [{**stays, **change}]) == [rule]


@pytest.mark.parametrize("name", preset_names())
def test_good_row_stays_when_it_is_alone(name):
    files = [
        f"{step['kind']}.metadata" for step in yaml.safe_load(load_preset(name).text)["steps"] if "metadata" in step
    ]
    if files:
        pytest.skip("its lists are files: see the tests of its own")

    assert verdicts(preset_recipe(name, *SMALL.get(name, [])), [GOOD]) == [None]


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
    ends = verdicts(preset_recipe(name), rows)

    assert {row for row, end in enumerate(ends) if end is None} == set(kept)
    assert set(ends) == {None, rule}


def test_share_is_of_all_pairs_when_datacomp_1b_drops_texts_too():
    rows = [{"clip_score": score / 100, "caption": FRENCH if score > 7 else GOOD["caption"]} for score in range(10)]

    ends = verdicts(preset_recipe("datacomp_1b"), rows)

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

    assert set(verdicts(preset_recipe("obelics"), rows)) <= {None, "deduplicate.exact"}
    assert set(
        verdicts(preset_recipe("obelics"), [*rows, {"caption": "one text too many", "url": "http://a/1.jpg"}])
    ) == {"limit_repeats.max_texts_per_image"}


PROSE = (
    "max_char_repetition",
    "max_ngram_repetition",
    "max_special_share",
    "min_stop_word_share",
    "min_language_score",
)
ALONE = [
    ("max_words", words(1000), words(1001)),
    # 6 of 20 characters, then 7 of 21.
    ("max_special_share", "we are in it!! !! !!", "we are in it!! !! !!!"),
    # Twice 5 words of 20 n-grams, then of 19.
    (
        "max_ngram_repetition",
        "a b c d e f g h i j k l m n o p q r s a b c d e",
        "a b c d e f g h i j k l m n o p q r a b c d e",
    ),
    # Of 21 n-grams of 10 characters one twice: 2 of 21, then 2 of 19.
    ("max_char_repetition", "abcdefghijklmnopqrstabcdefghij", "abcdefghijklmnopqrabcdefghij"),
]


@pytest.mark.parametrize(("rule", "stays", "goes"), ALONE, ids=lambda value: value[:20])
def test_text_stays_at_a_threshold_of_obelics_when_the_other_bounds_are_off(rule, stays, goes):
    off = [f"text_prose.{bound}=null" for bound in PROSE if bound != rule]
    off += [] if rule == "max_words" else ["text_rules.min_words=null"]

    ends = verdicts(preset_recipe("obelics", *off), [{"caption": stays}, {"caption": goes}])

    assert ends == [None, f"{'text_rules' if rule == 'max_words' else 'text_prose'}.{rule}"]


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
    english = [{"caption": "a small boat on the quiet water"}] * boats + [{"caption": "the lake in the evening sun"}] * 3

    ends = verdicts(preset_recipe("metaclip2", "balance_metadata.max_per_entry=3"), [*two, *five, *rest, *english])

    assert ends[:2] == of_two
    assert ends[2:4] == of_five
    assert set(ends[8:]) == {None}


@pytest.mark.usefixtures("files")
def test_caption_stays_behind_when_cc12m_replaces_names():
    assert preset_recipe("cc12m").sink.config.leave_out == ("caption",)


def test_nothing_goes_for_its_embedding_when_clusters_alone_are_wanted():
    rows = [{"image_embedding": vector(0.1)}] * 3

    assert verdicts(preset_recipe("datacomp_image_based", "clusters.clusters=1"), rows) == [None] * 3


def test_image_goes_above_one_minus_epsilon_when_semdedup_judges():
    recipe = preset_recipe("semdedup", "deduplicate_semantic.clusters=1")

    near = verdicts(recipe, [{"image_embedding": vector(1.0)}, {"image_embedding": vector(0.971)}])
    far = verdicts(recipe, [{"image_embedding": vector(1.0)}, {"image_embedding": vector(0.969)}])

    assert sorted(end is None for end in near) == [False, True]
    assert far == [None, None]


def test_hundred_images_of_a_cluster_stay_when_vl3_balances():
    recipe = preset_recipe("vl3_syn7m", "clusters.clusters=1")
    rows = [{"image_embedding": vector(at / 200)} for at in range(101)]

    assert sum(end is None for end in verdicts(recipe, rows[:100])) == 100
    assert sum(end is None for end in verdicts(recipe, rows)) == 100
