"""`text_rules`: makes plain text of alt-texts and drops those that describe nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import polars as pl
import pyarrow as pa
from pydantic import Field

from curation.contracts.config import StepConfig
from curation.contracts.marks import Mark, rejected, with_marks
from curation.contracts.pieces import with_columns
from curation.contracts.stage import Stage, StageSpec
from curation.errors import RecipeError
from curation.text.keywords import keyword_counts
from curation.text.language import LANGUAGES, LanguageModel
from curation.text.lexicon import load_lexicon
from curation.text.normalise import plain_texts
from curation.text.personal import find_personal_data
from curation.text.persons import replace_persons
from curation.text.remains import MARKUP
from curation.text.useless import FILE_NAME, PLACEHOLDER, URL, fold
from curation.text.words import repetition, special_share, words
from schemas.columns import schema_of

_ADDS = ("text", "text_chars", "text_words", "text_repetition", "text_language")
_QUOTED_CHARS = 80

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]


class TextRulesConfig(StepConfig):
    """Which texts go on. A caption that is null, or empty once cleaned, never does.

    Attributes:
        min_chars, max_chars: Length of the cleaned text, in characters.
        min_words, max_words: Runs of letters and digits; each character of Chinese and Japanese counts as one.
        max_repetition: Share of words that repeat an earlier one.
        max_special_share: Share of characters that are no letters, digits or white space.
        max_keywords: Keywords of a list; what is no list of keywords has none.
        reject_file_names: "IMG_2034.JPG", "front_view", "9f8a33bc21_o.png".
        reject_placeholders: "image 3", "no description", "click to enlarge", or no letter at all.
        reject_urls: An address anywhere in the text.
        reject_markup: What cleaning could not resolve: tags that were cut off, BBCode, short codes, template fields,
            escapes.
        reject_phrases: Whole texts, compared without regard to case and punctuation.
        languages: ISO 639-1 codes of the languages that may stay. A text whose language is undecided stays.
        language_lead: How far another language must lead all of `languages` for a text to be dropped, in nats of the
            classifier's normalised score. At 1.5, 2 % of 10,000 LAION texts chosen as English went, nine in ten of
            them rightly, none of 150,000 generated English captions, and 205 of 207 short foreign ones.
        pii: What becomes of a text with an e-mail address or a phone number: `mask` puts `<EMAIL>` or `<PHONE>` in its
            place in `text`, `reject` drops it, null does not look. Numbers count with a country code, in the groups of
            North America, or behind a word such as "tel"; others look like those of products. `caption` stays as it
            is: leave it out of shards (`write_shards.leave_out`).
        mask_persons: Whether `<PERSON>` takes the place of names in English texts: of a known first name with a
            surname. About six in seven of what it replaced in LAION texts were names, of persons or of brands called
            after them; first names alone and rare names stay.
    """

    kind: Literal["text_rules"] = "text_rules"
    min_chars: Count | None = None
    max_chars: Count | None = None
    min_words: Count | None = None
    max_words: Count | None = None
    max_repetition: Share | None = None
    max_special_share: Share | None = None
    max_keywords: Count | None = None
    reject_file_names: bool = False
    reject_placeholders: bool = False
    reject_urls: bool = False
    reject_markup: bool = False
    reject_phrases: tuple[str, ...] = ()
    languages: tuple[str, ...] | None = Field(None, min_length=1)
    language_lead: float = Field(1.5, ge=0.0)
    pii: Literal["mask", "reject"] | None = None
    mask_persons: bool = False


class TextRules(Stage):
    """Cleans every caption, measures it, and rejects it by the first rule it breaks."""

    Config = TextRulesConfig
    config: TextRulesConfig

    def __init__(self, config: TextRulesConfig) -> None:
        super().__init__(config)
        self._model: LanguageModel | None = None

    @property
    def spec(self) -> StageSpec:
        """Judges cheap columns alone, row by row."""
        return StageSpec("text_rules", 1, ("caption",), self._adds(), rowwise=True, decides=True)

    def _adds(self) -> tuple[str, ...]:
        config = self.config
        return (*_ADDS, *["text_pii"] * (config.pii is not None), *["text_persons"] * config.mask_persons)

    def check(self) -> None:
        """Looks whether each language can be told."""
        unknown = sorted(set(self.config.languages or ()) - set(LANGUAGES))
        if unknown:
            raise RecipeError(
                f"{self.config.step_name}.languages: {', '.join(unknown)} cannot be told apart; "
                f"these ISO 639-1 codes can: {', '.join(LANGUAGES)}"
            )

    def setup(self) -> None:
        """Loads the language model, and the lists of names."""
        self._model = LanguageModel()
        if self.config.mask_persons:
            load_lexicon()

    def close(self) -> None:
        """Lets the language model go."""
        self._model = None

    def process(self, table: pa.Table) -> pa.Table:
        """Adds the cleaned text and its measures, and marks what breaks a rule."""
        assert self._model is not None, "setup comes first"
        captions = pl.Series("caption", pl.from_arrow(table["caption"]), dtype=pl.String)
        text, personal = self._impersonal(plain_texts(captions))
        measured = self._measured(text.alias("text"), self._model).hstack(personal)
        adds = self._adds()
        added = measured.select(adds).to_arrow().cast(schema_of(*adds))
        table = with_columns(table, list(added.schema), added.columns)
        marks = self._marks(measured)
        return with_marks(table, marks) if any(marks) else table

    def _impersonal(self, text: pl.Series) -> tuple[pl.Series, list[pl.Series]]:
        """The text that goes on, and what was found of persons in it."""
        found = []
        if self.config.pii is not None:
            data = find_personal_data(text)
            found += [data.found.alias("text_pii"), data.first.alias("first_pii")]
            text = data.masked if self.config.pii == "mask" else text
        if self.config.mask_persons:
            text, persons = replace_persons(text, load_lexicon())
            found.append(persons.alias("text_persons"))
        return text, found

    def _measured(self, text: pl.Series, model: LanguageModel) -> pl.DataFrame:
        """The columns that the stage adds, then those that only its rules read; null where there is no text."""
        scores = model.score(text)
        frame = pl.DataFrame([text, scores.named().alias("text_language")])
        some = pl.col("text").is_not_null()
        measured = frame.with_columns(words=words(pl.col("text"))).select(
            "text",
            text_chars=pl.col("text").str.len_chars().cast(pl.Int32),
            text_words=pl.col("words").list.len().cast(pl.Int32),
            text_repetition=pl.when(some).then(repetition(pl.col("words"))),
            text_language="text_language",
        )
        config = self.config
        if config.max_special_share is not None:
            measured = measured.with_columns(special_share=special_share(pl.col("text")))
        if config.max_keywords is not None:
            measured = measured.with_columns(keywords=keyword_counts(text, config.max_keywords))
        if config.languages is not None:
            lead = pl.Series(scores.lead_over(config.languages))
            measured = measured.with_columns(leading=scores.best(), lead=lead)
        return measured

    def _marks(self, measured: pl.DataFrame) -> list[Mark | None]:
        marks: list[Mark | None] = [None] * len(measured)
        for rule, broken, detail in self._rules():
            breaking = measured.select(broken.fill_null(False)).to_series().arg_true()
            details = measured[breaking].select(detail).to_series()
            for at, evidence in zip(breaking, details, strict=True):
                marks[at] = marks[at] or rejected(rule, evidence)
        return marks

    def _rules(self) -> Iterator[tuple[str, pl.Expr, pl.Expr]]:
        """Yields the name, the condition and the evidence of each rule, in the order in which they are applied."""
        text, config = pl.col("text"), self.config
        nothing = pl.when(text.is_null()).then(pl.lit("no caption")).otherwise(pl.lit("nothing but markup"))
        yield "missing", text.is_null() | (text == ""), nothing
        yield from self._rules_of_kinds()
        for rule, figure, bound in (
            ("min_chars", "text_chars", config.min_chars),
            ("max_chars", "text_chars", config.max_chars),
            ("min_words", "text_words", config.min_words),
            ("max_words", "text_words", config.max_words),
            ("max_special_share", "special_share", config.max_special_share),
            ("max_keywords", "keywords", config.max_keywords),
            ("max_repetition", "text_repetition", config.max_repetition),
        ):
            if bound is not None:
                least = rule.startswith("min_")
                broken = pl.col(figure) < bound if least else pl.col(figure) > bound
                yield rule, broken, pl.format(f"{{}} {'<' if least else '>'} {bound}", _short(pl.col(figure)))
        if config.languages is not None:
            wanted = f"{{}} leads {' and '.join(config.languages)} by {{}} > {config.language_lead}"
            evidence = pl.format(wanted, "leading", _short(pl.col("lead")))
            yield "language", pl.col("lead") > config.language_lead, evidence

    def _rules_of_kinds(self) -> Iterator[tuple[str, pl.Expr, pl.Expr]]:
        """Yields the rules for texts of a certain kind, whose evidence is what was found in them."""
        text = pl.col("text")
        quoted = text.str.slice(0, _QUOTED_CHARS)
        if self.config.reject_urls:
            yield "url", text.str.contains(URL), text.str.extract(rf"((?:{URL})\S*)").str.slice(0, _QUOTED_CHARS)
        if self.config.reject_markup:
            yield "markup", text.str.contains(MARKUP), text.str.extract(f"({MARKUP})").str.slice(0, _QUOTED_CHARS)
        if self.config.pii == "reject":
            yield "pii", pl.col("text_pii") > 0, pl.format("{} of {}", "first_pii", "text_pii")
        if self.config.reject_file_names:
            yield "file_name", text.str.contains(FILE_NAME), quoted
        if self.config.reject_phrases:
            phrases = pl.DataFrame({"text": self.config.reject_phrases}).select(fold(text)).to_series()
            yield "phrase", fold(text).is_in(phrases.implode()), quoted
        if self.config.reject_placeholders:
            yield "placeholder", text.str.contains(PLACEHOLDER), quoted


def _short(figure: pl.Expr) -> pl.Expr:
    return figure.cast(pl.Float64).round(4).cast(pl.String).str.strip_suffix(".0")
