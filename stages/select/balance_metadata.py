"""`balance_metadata`: evens out how often captions name each entry of a list of concepts (MetaCLIP, CLIP)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from curation.balancing.capped import within_caps
from curation.balancing.entries import read_entries
from curation.balancing.matching import EntryList, named_entries
from curation.balancing.sampling import Counts, entry_probabilities, keep_probabilities, tail_share, threshold_of_tail
from curation.contracts.config import StepConfig
from curation.contracts.exchange import Exchange, ExchangeSpec
from curation.errors import RecipeError
from curation.key_draws import key_bits, purpose_seed, share_of_bits
from curation.text.normal_form import check_texts

logger = logging.getLogger(__name__)

_BATCH_ROWS = 100_000
_ALL = "*"
_OTHER = "other"
_JUDGED: dict[str, type[pl.DataType]] = {
    "row": pl.Int64,
    "balance_entries": pl.Int32,
    "balance_probability": pl.Float32,
    "draw": pl.Float32,
    "drawn": pl.Boolean,
}


class BalanceMetadataConfig(StepConfig):
    """Which entries are looked for, and how many of the rows that name one are kept.

    Attributes:
        metadata: The list of entries: a `.txt` file with one on each line, a `.json` file with a list or an object
            whose keys they are, or a `.parquet` file. Or a list for each language, by the codes of `language_column`;
            that of `other` is for all other languages, whose texts go (`no_entry`) if there is none.
        column: The text that is searched.
        language_column: Where `metadata` is by language: the language of the text.
        reference_language: Where `metadata` is by language: `max_per_entry` is of this one. That of each other is set
            so that entries with fewer matches have the same share of all matches of the language.
        max_per_entry: Up to how many rows that name an entry are kept for it (t). A row is kept if it is for any entry.
        choose: `draw`: each of the rows of an entry is kept for it with the chance max_per_entry / rows (MetaCLIP);
            `exactly`: exactly `max_per_entry` of them are (CLIP).
        case_sensitive: Whether "Cat" does not name the entry "cat".
        seed: Of the draw.
    """

    kind: Literal["balance_metadata"] = "balance_metadata"
    metadata: str | dict[str, str]
    column: str = "text"
    language_column: str = "text_language"
    reference_language: str = "en"
    max_per_entry: int = Field(default=20_000, ge=1)
    choose: Literal["draw", "exactly"] = "draw"
    case_sensitive: bool = True
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _knows_the_reference(self) -> BalanceMetadataConfig:
        if isinstance(self.metadata, dict) and self.reference_language not in self.metadata:
            raise ValueError(
                f"metadata has no list for the reference_language {self.reference_language!r}, whose tail sets that of "
                "the others"
            )
        return self


@dataclass(frozen=True)
class _Matches:
    """What was found in all texts.

    Attributes:
        files: Parquet files of `row`, `bits`, `entries` and, for `exactly`, `key`.
        counts: (n,) rows that name each entry.
    """

    files: list[Path]
    counts: Counts


class BalanceMetadata(Exchange):
    """Keeps rows by chance, the less often the more other rows name the same entries.

    Source: MetaCLIP (Xu et al. 2024), Algorithm 1; by language MetaCLIP 2 (Chuang et al. 2025), section 3. A row is
        drawn once, with P = 1 - ∏(1 - p) over its entries, as MetaCLIP 2's code does: a draw for each entry, as in
        MetaCLIP's, keeps it with the same chance. `exactly` is what CLIP (Radford et al. 2021, section 2.2) says of its
        queries; draws for different entries are independent.
    """

    Config = BalanceMetadataConfig
    config: BalanceMetadataConfig

    @property
    def spec(self) -> ExchangeSpec:
        """Reads the text, and its language where there is a list for each."""
        columns = (self.config.column, *([self.config.language_column] if self._by_language else []))
        requires = tuple(column for column in columns if column not in ("row", "key"))
        return ExchangeSpec("balance_metadata", 1, requires, ("balance_entries", "balance_probability"))

    def check(self) -> None:
        """Reads the lists of entries, and looks whether the columns can hold texts."""
        self._listed()
        for column in (self.config.column, *([self.config.language_column] if self._by_language else [])):
            check_texts(column)

    def content_digest(self) -> str:
        """That of the entries: a list in another order is the same list."""
        digest = sha256()
        for language, entries in self._listed().items():
            digest.update("\n".join([f"[{language}]", *entries.sort(), ""]).encode())
        return digest.hexdigest()

    def decide(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Searches all texts once, then draws.

        What is found waits in a temporary folder, so that memory holds 21 bytes for each row, and some searches.

        Raises:
            RecipeError: A list of entries cannot be read, or a column is no text.
        """
        schema = frame.collect_schema()
        for column in self.spec.requires:
            if schema[column] != pl.String:
                raise RecipeError(f"{self.config.step_name}: {column} is of type {schema[column]}, not text")
        lists = self._read_lists()
        with TemporaryDirectory(prefix="balance-") as folder:
            matches = self._search(frame, lists, Path(folder))
            judged = self._judge(lists, matches, self._thresholds(lists, matches.counts))
        return self._verdicts(judged.lazy())

    @property
    def _by_language(self) -> bool:
        return isinstance(self.config.metadata, dict)

    @property
    def _has_other(self) -> bool:
        return isinstance(self.config.metadata, dict) and _OTHER in self.config.metadata

    def _listed(self) -> dict[str, pl.Series]:
        """The entries of each language."""
        metadata = self.config.metadata
        listed: dict[str, pl.Series] = {}
        for language, path in (metadata if isinstance(metadata, dict) else {_ALL: metadata}).items():
            place = f"{self.config.step_name}.metadata{f'.{language}' if self._by_language else ''}"
            try:
                listed[language] = read_entries(path)
            except RecipeError as error:
                raise RecipeError(f"{place}: {error}") from error
        return listed

    def _read_lists(self) -> dict[str, EntryList]:
        lists: dict[str, EntryList] = {}
        first = 0
        for language, entries in self._listed().items():
            lists[language] = EntryList(entries, first, self._by_language, self.config.case_sensitive)
            first += len(entries)
        return lists

    def _search(self, frame: pl.LazyFrame, lists: dict[str, EntryList], folder: Path) -> _Matches:
        seed = purpose_seed(self.config.step_name, self.config.seed)
        key = ["key"] if self.config.choose == "exactly" else []
        given = frame.select(
            "row",
            *key,
            bits=key_bits(seed),
            text=pl.col(self.config.column),
            language=self._language(lists),
        )
        batches = given.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=False, engine="streaming")
        counts = np.zeros(sum(len(entry_list.entries) for entry_list in lists.values()), np.int64)
        files = []
        for number, found in enumerate(named_entries(batches, lists)):
            ids = found["entries"].explode(empty_as_null=False).drop_nulls().to_numpy()
            counts += np.bincount(ids, minlength=len(counts))
            files.append(folder / f"{number}.parquet")
            found.write_parquet(files[-1], compression="lz4", statistics=False)
        return _Matches(files, counts)

    def _language(self, lists: dict[str, EntryList]) -> pl.Expr:
        if not self._by_language:
            return pl.lit(_ALL)
        language = pl.col(self.config.language_column)
        return pl.when(language.is_in(list(lists))).then(language).otherwise(pl.lit(_OTHER))

    def _thresholds(self, lists: dict[str, EntryList], counts: Counts) -> Counts:
        """t of each entry: that of its language."""
        t = self.config.max_per_entry
        thresholds = np.full(len(counts), t, np.int64)
        if not self._by_language:
            return thresholds
        slices = {
            language: slice(entry_list.first_id, entry_list.first_id + len(entry_list.entries))
            for language, entry_list in lists.items()
        }
        reference = counts[slices[self.config.reference_language]]
        if not reference.sum():
            logger.warning(
                "%s: no text names an entry of the reference language %s, so max_per_entry %d is that of all",
                *(self.config.step_name, self.config.reference_language, t),
            )
            return thresholds
        share = tail_share(reference, t)
        for language, own in slices.items():
            if language != self.config.reference_language:
                thresholds[own] = threshold_of_tail(counts[own], share)
            logger.info("%s: max_per_entry of %s is %d", self.config.step_name, language, thresholds[own][0])
        return thresholds

    def _judge(self, lists: dict[str, EntryList], matches: _Matches, thresholds: Counts) -> pl.DataFrame:
        probabilities = entry_probabilities(matches.counts, thresholds)
        judged = pl.concat([pl.DataFrame(schema=_JUDGED), *(_drawn(file, probabilities) for file in matches.files)])
        if self.config.choose == "draw":
            return judged
        entries = pl.concat([entry_list.entries for entry_list in lists.values()])
        kept = within_caps(matches.files, entries, matches.counts, thresholds, self.config.seed)
        return judged.with_columns(drawn=pl.col("row").is_in(kept.implode()))

    def _verdicts(self, judged: pl.LazyFrame) -> pl.LazyFrame:
        nothing = pl.col("balance_entries") == 0
        unsearched = ", or there is no list for its language" if self._by_language and not self._has_other else ""
        lost = ~pl.col("drawn")
        chance = pl.col("balance_probability").round(6)
        if self.config.choose == "draw":
            rule, evidence = "not_drawn", pl.format("draw {} >= {}", pl.col("draw").round(6), chance)
        else:
            rule = "max_per_entry"
            evidence = pl.format("none of its {} entries drew it, with a chance of {}", "balance_entries", chance)
        return judged.select(
            "row",
            reason=pl.when(nothing).then(pl.lit("no_entry")).when(lost).then(pl.lit(rule)),
            detail=pl.when(nothing)
            .then(pl.lit(f"{self.config.column} names no entry{unsearched}"))
            .when(lost)
            .then(evidence),
            balance_entries="balance_entries",
            balance_probability="balance_probability",
        )


def _drawn(file: Path, probabilities: npt.NDArray[np.float64]) -> pl.DataFrame:
    """The draw of each row of a file of matches."""
    found = pl.read_parquet(file, columns=["row", "bits", "entries"])
    lengths = found["entries"].list.len().to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    ids = found["entries"].explode(empty_as_null=False).drop_nulls().to_numpy()
    chance = keep_probabilities(probabilities, ids, offsets)
    draw = found.select(share_of_bits(pl.col("bits"))).to_series().to_numpy()
    columns = {
        "row": found["row"],
        "balance_entries": lengths,
        "balance_probability": chance,
        "draw": draw,
        "drawn": draw < chance,
    }
    return pl.DataFrame(columns).cast(_JUDGED)
