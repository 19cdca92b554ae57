"""What each preset rejects for itself: rows at both sides of every threshold."""

import polars as pl
import pyarrow as pa
import pytest
import yaml
from preset_rows import GOOD, SMALL, language_model, preset_recipe, vector, verdicts, words

from jobs.presets import load_preset, preset_names
from stages.text.prose import TextProse, TextProseConfig

# Another language leads English by 1.496, then by 1.529; `language_lead` is 1.5.
ENGLISH_STILL = {"caption": "the petit villa de boat hotel un"}
ENGLISH_NO_MORE = "la boat el the opera"
# The probability of English; a third of the words are stop words.
ENGLISH_AT_0_801 = "rose opera hotel to with villa"
ENGLISH_AT_0_799 = "piano and with menu modern solo"

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
    ("cc12m", ENGLISH_STILL, {"caption": ENGLISH_NO_MORE}, "text_rules.language"),
    ("cc12m", {"original_width": 1000, "original_height": 400}, {"original_width": 1001}, "select.aspect"),
    ("cc12m", {"original_width": 400, "original_height": 1000}, {"original_height": 1001}, "select.aspect"),
    ("laion400m", {"caption": "boats"}, {"caption": "boat"}, "text_rules.min_chars"),
    ("laion400m", {"body_bytes": 5000}, {"body_bytes": 4999}, "file_size.min_body_bytes"),
    ("laion400m", {"clip_score": 0.3}, {"clip_score": 0.2999}, "select.min_clip_score"),
    ("laion2b_en", {"clip_score": 0.28}, {"clip_score": 0.2799}, "select.min_clip_score"),
    ("laion2b_en", ENGLISH_STILL, {"caption": ENGLISH_NO_MORE}, "text_rules.language"),
    ("datacomp_basic", {"caption": "red boat here"}, {"caption": "red boats"}, "text_rules.min_words"),
    ("datacomp_basic", {"caption": "a b cd"}, {"caption": "a b c"}, "text_rules.min_chars"),
    ("datacomp_basic", ENGLISH_STILL, {"caption": ENGLISH_NO_MORE}, "text_rules.language"),
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
    ("datacomp_image_based", ENGLISH_STILL, {"caption": ENGLISH_NO_MORE}, "text_rules.language"),
    ("datacomp_1b", {"caption": "red boat"}, {"caption": "redboat"}, "text_rules.min_words"),
    ("datacomp_1b", {"caption": "a bcde"}, {"caption": "a bcd"}, "text_rules.min_chars"),
    ("datacomp_1b", ENGLISH_STILL, {"caption": ENGLISH_NO_MORE}, "text_rules.language"),
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
        {"caption": ENGLISH_AT_0_801},
        {"caption": ENGLISH_AT_0_799},
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


@pytest.mark.parametrize(("name", "stays", "change", "rule"), BOTH_SIDES)
def test_row_stays_at_a_threshold_and_goes_past_it(name, stays, change, rule):
    recipe = preset_recipe(name, *SMALL.get(name, []))

    # Alone, since shares and copies depend on the other rows.
    assert verdicts(recipe, [stays]) == [None]
    assert verdicts(recipe, [{**stays, **change}]) == [rule]


def test_the_texts_of_this_page_are_close_to_the_thresholds_of_languages():
    leads = language_model().score(pl.Series([ENGLISH_STILL["caption"], ENGLISH_NO_MORE])).lead_over(("en",))
    assert leads.tolist() == pytest.approx([1.4957, 1.5287], abs=1e-3)
    prose = TextProse(TextProseConfig(languages=("en",)))
    prose.setup()
    texts = pa.array([ENGLISH_AT_0_801, ENGLISH_AT_0_799])
    scores = prose.process(pa.table({"text": texts}))["text_language_score"].to_pylist()
    assert scores == pytest.approx([0.80087, 0.79892], abs=2e-4)


@pytest.mark.parametrize("name", preset_names())
def test_good_row_stays_when_it_is_alone(name):
    files = [
        f"{step['kind']}.metadata" for step in yaml.safe_load(load_preset(name).text)["steps"] if "metadata" in step
    ]
    if files:
        pytest.skip("its lists are files: see the tests of its own")

    assert verdicts(preset_recipe(name, *SMALL.get(name, [])), [GOOD]) == [None]


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


@pytest.mark.parametrize("name", ["datacomp_image_based", "datacomp_1b"])
@pytest.mark.usefixtures("files")
def test_image_goes_when_its_cluster_is_far_from_the_target_set(name):
    rows = [{"image_embedding": vector(cosine)} for cosine in (1.0, 0.2, 0.2, 1.0)]

    ends = verdicts(preset_recipe(name, "clusters.clusters=2"), rows, only=("deduplicate_semantic",))

    assert ends == [None, "clusters.far_from_targets", "clusters.far_from_targets", None]


def test_image_goes_above_one_minus_epsilon_when_semdedup_judges():
    recipe = preset_recipe("semdedup", "deduplicate_semantic.clusters=1")

    near = verdicts(recipe, [{"image_embedding": vector(1.0)}, {"image_embedding": vector(0.971)}])
    far = verdicts(recipe, [{"image_embedding": vector(1.0)}, {"image_embedding": vector(0.969)}])

    assert sorted(end is None for end in near) == [False, True]
    assert far == [None, None]
