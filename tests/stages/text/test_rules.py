import json
import pickle
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
import yaml
from pydantic import ValidationError

from curation.errors import RecipeError
from jobs.sandbox.captions import caption, half_right
from jobs.sandbox.scene import make_scene
from jobs.sandbox.seeded import Draws
from jobs.sandbox.trouble import CaptionKind
from jobs.sandbox.useless_texts import useless_text
from schemas.columns import schema_of
from stages.text.rules import TextRules, TextRulesConfig

REPOSITORY = Path(__file__).parents[3]
REAL_TEXTS = REPOSITORY.parent / "shared/data/alt_texts/laion_10000.parquet"
ADDED = ("text", "text_chars", "text_words", "text_repetition", "text_language")
STRICT = TextRulesConfig(
    min_chars=5,
    max_chars=1000,
    min_words=2,
    max_words=200,
    max_repetition=0.6,
    max_special_share=0.4,
    max_keywords=5,
    reject_file_names=True,
    reject_placeholders=True,
    reject_urls=True,
    languages=("en",),
)


def _sandbox_settings() -> TextRulesConfig:
    recipe = yaml.safe_load((REPOSITORY / "jobs/recipes/sandbox.yaml").read_text())
    step = next(step for step in recipe["steps"] if step["kind"] == "text_rules")
    return TextRulesConfig.model_validate_json(json.dumps(step))


SANDBOX = _sandbox_settings()

Run = Callable[[TextRulesConfig, list[str | None]], pa.Table]


@pytest.fixture(scope="module")
def run() -> Run:
    ready = TextRules(TextRulesConfig())
    ready.setup()

    def apply(config: TextRulesConfig, captions: list[str | None]) -> pa.Table:
        stage = TextRules(config)
        stage._model = ready._model  # loading the model once is enough
        return stage.process(_table(captions))

    return apply


def _table(captions: list[str | None]) -> pa.Table:
    rows = pa.array(range(len(captions)), pa.int64())
    keys = pa.array([f"{row:032x}" for row in range(len(captions))], pa.string())
    return pa.table({"row": rows, "key": keys, "caption": pa.array(captions, pa.string())})


def _reasons(table: pa.Table) -> list[str | None]:
    return table["reason"].to_pylist() if "reason" in table.column_names else [None] * len(table)


def test_measures_are_those_of_the_cleaned_text_when_caption_is_marked_up(run: Run) -> None:
    table = run(TextRulesConfig(), ["<b>A red</b> star &amp;amp; a&nbsp;big blue star"])
    assert table.select(ADDED).to_pylist() == [
        {
            "text": "A red star & a big blue star",
            "text_chars": 28,
            "text_words": 7,
            "text_repetition": pytest.approx(2 / 7),
            "text_language": "en",
        }
    ]
    assert table.schema.names == ["row", "key", "caption", *ADDED]


def test_schema_is_the_registered_one_when_a_table_is_processed(run: Run) -> None:
    for captions in ([], ["a red star"], [None]):
        assert run(STRICT, captions).select(ADDED).schema.equals(schema_of(*ADDED))


def test_row_is_rejected_as_missing_when_there_is_no_text(run: Run) -> None:
    table = run(TextRulesConfig(), [None, "", " <br> ", "x"])
    assert _reasons(table) == ["missing", "missing", "missing", None]
    assert table["detail"].to_pylist() == ["no caption", "nothing but markup", "nothing but markup", None]
    assert table["outcome"].to_pylist() == ["rejected", "rejected", "rejected", None]
    assert table.slice(0, 1).select(ADDED).to_pylist() == [dict.fromkeys(ADDED)]


@pytest.mark.parametrize(
    ("settings", "kept", "dropped", "rule", "detail"),
    [
        ({"min_chars": 4}, "star", "sta", "min_chars", "3 < 4"),
        ({"max_chars": 4}, "star", "stars", "max_chars", "5 > 4"),
        ({"min_words": 2}, "red star", "red-star", "min_words", "1 < 2"),
        ({"max_words": 2}, "red star", "a red star", "max_words", "3 > 2"),
        # 1 of 4 words, then 2 of 5.
        ({"max_repetition": 0.25}, "a red a blue", "a red a blue a", "max_repetition", "0.4 > 0.25"),
        ({"max_special_share": 0.25}, "red!", "rd!!", "max_special_share", "0.5 > 0.25"),
        ({"max_keywords": 2}, "star, moon", "star, moon, sun", "max_keywords", "3 > 2"),
        ({"reject_file_names": True}, "red star", "red_star.png", "file_name", "red_star.png"),
        ({"reject_placeholders": True}, "star photo", "Photo 12", "placeholder", "Photo 12"),
        ({"reject_urls": True}, "red star", "star from www.example.com now", "url", "www.example.com"),
        ({"reject_markup": True}, "star & moon", "star [b]moon[/b]", "markup", "[b]"),
        ({"pii": "reject"}, "star @ noon", "star by joe@example.org", "pii", "email of 1"),
        ({"reject_phrases": ("Our  shop!",)}, "our shops", "our SHOP", "phrase", "our SHOP"),
    ],
)
def test_text_is_rejected_when_it_is_past_the_bound(
    run: Run, settings: dict[str, object], kept: str, dropped: str, rule: str, detail: str
) -> None:
    table = run(TextRulesConfig(**settings), [kept, dropped])
    assert _reasons(table) == [None, rule]
    assert table["detail"].to_pylist() == [None, detail]


def test_personal_data_is_masked_and_counted_when_asked_for(run: Run) -> None:
    table = run(TextRulesConfig(pii="mask", max_words=4), ["call joe@example.org or +49 30 1234567", None, "a star"])
    assert table["text"].to_pylist() == ["call <EMAIL> or <PHONE>", None, "a star"]
    assert table["text_pii"].to_pylist() == [2, None, 0]
    assert table["text_words"].to_pylist()[0] == 4
    assert _reasons(table) == [None, "missing", None]


def test_names_are_masked_and_counted_when_asked_for(run: Run) -> None:
    table = run(TextRulesConfig(mask_persons=True), ["Joe Biden and <b>Anna Kowalski</b>", "a star", None])
    assert table["text"].to_pylist() == ["<PERSON> and <PERSON>", "a star", None]
    assert table["text_persons"].to_pylist() == [2, 0, None]


def test_columns_of_persons_are_absent_when_nobody_looks_for_them(run: Run) -> None:
    assert run(STRICT, ["joe@example.org"]).schema.names[:8] == ["row", "key", "caption", *ADDED]
    assert not {"text_pii", "text_persons"} & set(run(STRICT, ["joe@example.org"]).schema.names)
    assert TextRules(TextRulesConfig(pii="reject", mask_persons=True)).spec.adds == (*ADDED, "text_pii", "text_persons")


def test_text_is_rejected_with_both_languages_named_when_it_is_foreign(run: Run) -> None:
    table = run(TextRulesConfig(languages=("en", "de")), ["un cercle rouge sur fond gris", "ein roter Kreis", "a star"])
    assert _reasons(table) == ["language", None, None]
    assert table["detail"][0].as_py().startswith("fr leads en and de by ")


def test_undecided_language_stays_when_languages_are_asked_for(run: Run) -> None:
    table = run(TextRulesConfig(languages=("en",)), ["12 34", "golden hoop"])
    assert _reasons(table) == [None, None]
    assert table["text_language"].to_pylist()[0] is None


def test_first_rule_is_named_when_a_text_breaks_several(run: Run) -> None:
    table = run(STRICT, ["x.jpg", "www.x.de/a.jpg", "ab", "le chien joue"])
    assert _reasons(table) == ["file_name", "url", "min_chars", "language"]


def test_result_does_not_depend_on_the_batch_when_rows_come_in_chunks(run: Run) -> None:
    captions = ["a red star", None, "x.jpg", "le chat dort sur le canapé", "a, b1, c2, d3, e4, f5, g6", "日本の庭"]
    whole = run(STRICT, captions)
    for at, caption_ in enumerate(captions):
        single = run(STRICT, [caption_])
        row = whole.slice(at, 1).to_pylist()[0]
        assert {**dict.fromkeys(row), **single.to_pylist()[0], "row": at, "key": row["key"]} == row


def test_input_is_untouched_when_processed(run: Run) -> None:
    stage = pickle.loads(pickle.dumps(TextRules(STRICT)))
    stage.setup()
    table = _table(["<i>x.jpg</i>", None])
    before = table.to_pylist()
    stage.process(table)
    stage.close()
    assert table.to_pylist() == before


def test_check_refuses_when_a_language_cannot_be_told() -> None:
    with pytest.raises(RecipeError, match=r"text_rules.languages: xx cannot be told apart.*\ben\b"):
        TextRules(TextRulesConfig(languages=("en", "xx"))).check()


@pytest.mark.parametrize("settings", [{"languages": ()}, {"max_repetition": 1.5}, {"min_words": -1}, {"min_word": 2}])
def test_config_refuses_when_a_setting_is_impossible(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TextRulesConfig(**settings)


def test_right_captions_stay_when_the_sandbox_recipe_judges(run: Run) -> None:
    scenes = [make_scene(900_000_000 + seed) for seed in range(1500)]
    captions = [caption(scene, seed) for seed, scene in enumerate(scenes)]
    captions += [half_right(scene, seed) for seed, scene in enumerate(scenes[:300])]
    table = run(SANDBOX, captions)
    rejected = [text for text, reason in zip(captions, _reasons(table), strict=True) if reason]
    assert rejected == []


@pytest.mark.parametrize("kind", [kind for kind in CaptionKind if kind.useless])
def test_useless_texts_go_when_the_sandbox_recipe_judges(run: Run, kind: CaptionKind) -> None:
    texts = [useless_text(kind, Draws(41, seed)) for seed in range(300)]
    kept = [text for text, reason in zip(texts, _reasons(run(SANDBOX, texts)), strict=True) if not reason]
    assert kept == []


@pytest.mark.skipif(not REAL_TEXTS.exists(), reason="../shared/data/alt_texts is absent")
def test_few_real_texts_go_when_they_were_chosen_as_english(run: Run) -> None:
    captions = pl.read_parquet(REAL_TEXTS)["TEXT"].to_list()
    reasons = pl.Series(_reasons(run(STRICT, captions)), dtype=pl.String)
    shares = dict(reasons.drop_nulls().value_counts(normalize=False).iter_rows())
    assert reasons.null_count() > 9_400
    assert 80 < shares["file_name"] < 120
    assert 20 < shares["url"] < 50
    assert 100 < shares["language"] < 200
    assert shares["placeholder"] < 5
