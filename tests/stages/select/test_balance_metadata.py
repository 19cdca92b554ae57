import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.key_draws import key_draw, purpose_seed
from curation.row_keys import row_keys
from stages.select.balance_metadata import BalanceMetadata, BalanceMetadataConfig


def _entries(path: Path, *entries: str) -> str:
    path.write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    return str(path)


def _balance(**settings: Any) -> BalanceMetadata:
    return BalanceMetadata(BalanceMetadataConfig.model_validate_json(json.dumps(settings)))


def _frame(texts: Sequence[str | None], languages: Sequence[str | None] | None = None) -> pl.DataFrame:
    keys = row_keys("captions", [str(row) for row in range(len(texts))], texts)
    frame = pl.DataFrame({"row": range(len(texts)), "key": keys, "text": pl.Series(texts, dtype=pl.String)})
    return frame if languages is None else frame.with_columns(text_language=pl.Series(languages, dtype=pl.String))


def _verdicts(balance: BalanceMetadata, frame: pl.DataFrame) -> pl.DataFrame:
    return balance.decide(frame.lazy()).collect().sort("row")


def test_chance_is_that_of_any_entry_when_a_text_names_several(tmp_path: Path) -> None:
    # red is named by 4 rows, car by 2, kite by 1; with t = 1: 1/4, 1/2 and 1.
    texts = ["a red car", "red", "red red", "no car here", "my kite, red", "nothing", None]
    balance = _balance(metadata=_entries(tmp_path / "m.txt", "red", "car", "kite", "unseen"), max_per_entry=1)
    verdicts = _verdicts(balance, _frame(texts))
    assert verdicts["balance_entries"].to_list() == [2, 1, 1, 1, 2, 0, 0]
    # 1 - 3/4 * 1/2 = 5/8; 1 - 3/4 * 0 = 1.
    assert verdicts["balance_probability"].to_list() == [0.625, 0.25, 0.25, 0.5, 1.0, 0.0, 0.0]
    assert verdicts["reason"].to_list()[4:] == [None, "no_entry", "no_entry"]
    assert verdicts["detail"].to_list()[4:] == [None, "text names no entry", "text names no entry"]


def test_row_stays_when_its_draw_is_below_its_chance(tmp_path: Path) -> None:
    frame = _frame(["a dog"] * 4000)
    balance = _balance(metadata=_entries(tmp_path / "m.txt", "dog"), max_per_entry=1000, seed=3)
    verdicts = _verdicts(balance, frame)
    seed = purpose_seed("balance_metadata", 3)
    draws = [key_draw(key, seed) for key in frame["key"]]
    assert verdicts["reason"].to_list() == [None if draw < 0.25 else "not_drawn" for draw in draws]
    lost = next(row for row, draw in enumerate(draws) if draw >= 0.25)
    assert float(verdicts["detail"][lost].split()[1]) == pytest.approx(draws[lost], abs=1e-5)
    assert verdicts["detail"][lost].endswith(" >= 0.25")
    # Four standard deviations of a binomial count: sqrt(4000 * 0.25 * 0.75) = 27.4.
    assert abs(verdicts["reason"].null_count() - 1000) < 110
    other = _balance(metadata=str(tmp_path / "m.txt"), max_per_entry=1000, seed=4)
    assert _verdicts(other, frame)["reason"].to_list() != verdicts["reason"].to_list()


def test_exactly_so_many_rows_stay_when_every_entry_takes_its_own(tmp_path: Path) -> None:
    texts = ["dog"] * 300 + ["cat"] * 50 + ["dog cat"] * 10 + ["owl"] * 7 + ["owl dog"]
    balance = _balance(metadata=_entries(tmp_path / "m.txt", "dog", "cat", "owl"), max_per_entry=20, choose="exactly")
    frame = _frame(texts)
    verdicts = _verdicts(balance, frame)
    kept = verdicts.filter(pl.col("reason").is_null())["row"].to_list()
    # Of 311 rows with dog 20 are taken for it, of 60 with cat 20, and all 8 with owl; "owl dog" may be taken twice.
    of_dog = [row for row in kept if "dog" in texts[row]]
    of_cat = [row for row in kept if "cat" in texts[row]]
    assert len(of_dog) >= 20
    assert len(of_cat) >= 20
    assert 20 + 20 + 8 - 11 <= len(kept) <= 48
    assert set(range(360, 368)) <= set(kept)
    # A row with dog alone has but one way to be taken, so at most 20 of those are.
    assert len([row for row in kept if row < 300]) <= 20
    assert verdicts["reason"].drop_nulls().unique().to_list() == ["max_per_entry"]
    assert verdicts["detail"][next(row for row in range(300) if row not in kept)] == (
        f"none of its 1 entries drew it, with a chance of {round(20 / 311, 6)}"
    )
    assert _verdicts(balance, frame.sample(fraction=1, shuffle=True, seed=0)).equals(verdicts)


def test_each_language_has_its_own_entries_and_bound_when_lists_are_by_language(tmp_path: Path) -> None:
    metadata = {
        "en": _entries(tmp_path / "en.txt", "a", "b", "c"),
        "de": _entries(tmp_path / "de.json.txt", "x", "y", "z"),
        "other": _entries(tmp_path / "other.txt", "x"),
    }
    # English: a 1, b 1, c 8. With t = 2 the tail has 2 of 10 matches, 0.2.
    texts = ["a", "b", *["c"] * 8]
    languages: list[str | None] = ["en"] * 10
    # German: x 1, y 3, z 16. Shares of the tail are 0.05, 0.2 and 1: t is 3, so z stays with 3/16.
    texts += ["x", *["y"] * 3, *["z"] * 16, "c"]
    languages += ["de"] * 21
    # Of others: x 2 is the whole tail, so t is 2.
    texts += ["x", "x", "y"]
    languages += ["fr", None, "fr"]
    verdicts = _verdicts(_balance(metadata=metadata, max_per_entry=2), _frame(texts, languages))
    chances = verdicts["balance_probability"].to_list()
    assert chances[:10] == [1.0, 1.0, *[0.25] * 8]
    assert chances[10:31] == [1.0, *[1.0] * 3, *[0.1875] * 16, 0.0]
    assert chances[31:] == [1.0, 1.0, 0.0]
    assert verdicts["reason"].to_list()[30:] == ["no_entry", None, None, "no_entry"]


def test_bound_of_all_is_the_given_one_when_the_reference_language_has_no_match(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = {"en": _entries(tmp_path / "en.txt", "a"), "de": _entries(tmp_path / "de.txt", "x")}
    verdicts = _verdicts(_balance(metadata=metadata, max_per_entry=2), _frame(["x"] * 8, ["de"] * 8))
    assert verdicts["balance_probability"].to_list() == [0.25] * 8
    assert "no text names an entry of the reference language en" in caplog.text


@pytest.mark.parametrize("choose", ["draw", "exactly"])
def test_verdicts_do_not_hang_on_it_when_rows_and_entries_come_in_another_order(tmp_path: Path, choose: str) -> None:
    draws = random.Random(0)
    words = [f"w{number}" for number in range(40)]
    texts = [" ".join(draws.choices(words, weights=range(1, 41), k=5)) for _ in range(500)]
    frame = _frame(texts)
    settings = {"max_per_entry": 8, "choose": choose}
    straight = _verdicts(_balance(metadata=_entries(tmp_path / "m.txt", *words), **settings), frame)
    assert 100 < straight["reason"].null_count() < 450
    backwards = _balance(metadata=_entries(tmp_path / "m.txt", *reversed(words)), **settings)
    assert _verdicts(backwards, frame.reverse()).equals(straight)


def test_a_changed_list_is_another_decision_when_its_file_has_the_same_name(tmp_path: Path) -> None:
    def digest(*entries: str) -> str:
        return _balance(metadata=_entries(tmp_path / "m.txt", *entries)).content_digest()

    first = digest("red", "car")
    assert digest("car", "red") == first
    assert digest("red", "car", "kite") != first
    both = {"en": _entries(tmp_path / "a.txt", "red"), "de": _entries(tmp_path / "b.txt", "rot")}
    swapped = {"en": both["de"], "de": both["en"]}
    assert _balance(metadata=both).content_digest() != _balance(metadata=swapped).content_digest()


def test_case_matters_when_nothing_is_said(tmp_path: Path) -> None:
    metadata = _entries(tmp_path / "m.txt", "Paris", "paris")
    frame = _frame(["in Paris", "in PARIS"])
    assert _verdicts(_balance(metadata=metadata), frame)["balance_entries"].to_list() == [1, 0]
    folded = _balance(metadata=metadata, case_sensitive=False)
    assert _verdicts(folded, frame)["balance_entries"].to_list() == [1, 1]


def test_check_tells_the_place_when_a_list_cannot_be_read(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.txt")
    with pytest.raises(RecipeError, match=r"^balance_metadata\.metadata: .*missing\.txt: cannot be read"):
        _balance(metadata=missing).check()
    with pytest.raises(RecipeError, match=r"^balance_metadata\.metadata\.de: .*missing\.txt: cannot be read"):
        _balance(metadata={"en": _entries(tmp_path / "en.txt", "a"), "de": missing}).check()


def test_reference_is_asked_for_when_its_list_is_not_given() -> None:
    with pytest.raises(ValidationError, match="metadata has no list for the reference_language 'en'"):
        _balance(metadata={"de": "de.txt"})


def test_decision_is_refused_when_the_column_is_no_text(tmp_path: Path) -> None:
    balance = _balance(metadata=_entries(tmp_path / "m.txt", "a"), column="tags")
    frame = _frame(["a"]).with_columns(tags=pl.Series([1]))
    with pytest.raises(RecipeError, match="balance_metadata: tags is of type Int64, not text"):
        balance.decide(frame.lazy())
