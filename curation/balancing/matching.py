"""Which entries a text names, for texts by the hundred thousand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl

from curation.balancing.entries import search_patterns, searched_text

_TEXT_BYTES_AT_ONCE = 32 * 2**20
"""The automaton is built anew for every search (2 s for 500,000 entries), so a search gets much text, but not all."""
_TEXT_BYTES_WAITING = 4 * _TEXT_BYTES_AT_ONCE
_SEARCHES_AT_ONCE = 2
_NONE_FOR_NULL = pl.col("entries").fill_null(pl.lit([], dtype=pl.List(pl.UInt32)))


@dataclass(frozen=True)
class EntryList:
    """Entries to be searched for in the texts of one language.

    Attributes:
        entries: (n,) String, distinct.
        first_id: Number of the first entry; the others follow it.
        by_script: As in `search_patterns`.
        case_sensitive: Whether "Cat" names the entry "cat".
    """

    entries: pl.Series
    first_id: int = 0
    by_script: bool = False
    case_sensitive: bool = True
    _patterns: pl.DataFrame = field(init=False, repr=False)

    def __post_init__(self) -> None:
        entries = self.entries if self.case_sensitive else self.entries.str.to_lowercase()
        patterns = pl.DataFrame({"pattern": search_patterns(entries.alias("entry"), by_script=self.by_script)})
        numbered = patterns.with_row_index("entry", self.first_id)
        # Entries that differ in case alone are one, if case does not matter.
        object.__setattr__(self, "_patterns", numbered.unique("pattern", keep="first", maintain_order=True))

    def named_in(self, texts: pl.DataFrame) -> pl.DataFrame:
        """Searches texts for every entry, overlapping ones included.

        Args:
            texts: `text` (String), and other columns.

        Returns:
            The other columns, and `entries`: the numbers of those that the text names, ascending (List(UInt32)).
        """
        text = pl.col("text") if self.case_sensitive else pl.col("text").str.to_lowercase()
        patterns = pl.lit(self._patterns["pattern"].implode())
        # One column at a time, so that no more than one search's text is held twice.
        found = texts.select(searched_text(text).str.extract_many(patterns, overlapping=True).alias("pattern"))
        named = (
            found.with_row_index("at")
            .lazy()
            .explode("pattern", empty_as_null=False)
            .drop_nulls("pattern")
            .join(self._patterns.lazy(), on="pattern", how="inner", maintain_order="none")
            .select("at", "entry")
            .unique()
            .sort("at", "entry")
            .group_by("at", maintain_order=True)
            .agg(pl.col("entry").alias("entries"))
            .collect()
        )
        numbered = texts.drop("text").with_row_index("at")
        return numbered.join(named, on="at", how="left", maintain_order="left").drop("at").with_columns(_NONE_FOR_NULL)


def named_entries(batches: Iterable[pl.DataFrame], lists: dict[str, EntryList]) -> Iterator[pl.DataFrame]:
    """Searches a stream of texts, each for the entries of its language.

    Texts wait until there are enough of a language for a search to be worth its automaton, or too many wait in all.

    Args:
        batches: `text` (String), `language` (String) and other columns.
        lists: By language. Texts that are null, and those of other languages, name nothing.

    Yields:
        The other columns and `entries`, as in `EntryList.named_in`, in another order.
    """
    waiting: dict[str, list[pl.DataFrame]] = {}
    running: list[Future[pl.DataFrame]] = []
    with ThreadPoolExecutor(_SEARCHES_AT_ONCE) as pool:
        for batch in batches:
            searched = pl.col("text").is_not_null() & pl.col("language").is_in(list(lists)).fill_null(False)
            rest = batch.filter(~searched).drop("text", "language")
            yield rest.with_columns(entries=pl.lit(None, pl.List(pl.UInt32))).with_columns(_NONE_FOR_NULL)
            texts = batch.filter(searched)
            for (language,), own in texts.partition_by("language", as_dict=True, include_key=False).items():
                waiting.setdefault(str(language), []).append(own)
            for language in _due(waiting):
                running.append(pool.submit(lists[language].named_in, pl.concat(waiting.pop(language))))
            while len(running) > _SEARCHES_AT_ONCE:
                yield running.pop(0).result()
        for language, frames in sorted(waiting.items()):
            running.append(pool.submit(lists[language].named_in, pl.concat(frames)))
            if len(running) > _SEARCHES_AT_ONCE:
                yield running.pop(0).result()
        for search in running:
            yield search.result()


def _due(waiting: dict[str, list[pl.DataFrame]]) -> list[str]:
    """Languages whose texts have waited long enough."""
    sizes = {
        language: sum(int(frame["text"].str.len_bytes().sum()) for frame in frames)
        for language, frames in waiting.items()
    }
    due = [language for language, size in sizes.items() if size >= _TEXT_BYTES_AT_ONCE]
    if sum(sizes.values()) >= _TEXT_BYTES_WAITING and not due:
        due = [max(sizes, key=lambda language: (sizes[language], language))]
    return due
