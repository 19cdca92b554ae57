"""The entries that captions are searched for: how lists of them are read, and what counts as naming one."""

from __future__ import annotations

import io
import json
from pathlib import PurePosixPath

import polars as pl

from curation.errors import RecipeError, first_line
from curation.text.line_list import lines_of, read_file

_PUNCTUATION = r"!-/:-@\[-`{-~，。、；：？！“”‘’（）【】《》〈〉「」『』～—"
_UNSPACED_SCRIPTS = (
    # Chinese and Japanese characters, and their radicals.
    r"\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2CEAF}\x{2CEB0}-\x{2EBEF}\x{F900}-\x{FAFF}\x{2E80}-\x{2FDF}\x{2FF0}-\x{2FFF}"
    # Thai, Lao, Burmese, Khmer, Tibetan.
    r"\x{0E00}-\x{0EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{0F00}-\x{0FFF}"
)
_NEEDS_NO_SPACE = f"[{_PUNCTUATION}{_UNSPACED_SCRIPTS}]"


def read_entries(path: str) -> pl.Series:
    """The distinct entries of a list, in its order, without white space around them: (n,) String.

    Args:
        path: A file, or whatever fsspec reads: `.txt` with an entry on each line; `.json` with a list of texts, or with
            an object whose keys they are; `.parquet` with a column `entry`, or a single column of texts.

    Raises:
        RecipeError: There is no such file, or no entries are in it.
    """
    readers = {".txt": _from_text, ".json": _from_json, ".parquet": _from_parquet}
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in readers:
        raise RecipeError(f"{path}: is no list of entries; give a .txt, .json or .parquet file")
    content = read_file(path)
    try:
        entries = readers[suffix](content, path)
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise RecipeError(f"{path}: {first_line(error)}") from error
    entries = entries.str.strip_chars().drop_nulls()
    entries = entries.filter(entries != "").unique(maintain_order=True).alias("entry")
    if entries.is_empty():
        raise RecipeError(f"{path}: has no entries, so no row could stay")
    return entries


def _from_text(content: bytes, path: str) -> pl.Series:
    # An entry may well begin with `#`.
    return pl.Series([line.text for line in lines_of(content, path, comments=False)], dtype=pl.String)


def _from_json(content: bytes, _: str) -> pl.Series:
    document = json.loads(content)
    entries = list(document) if isinstance(document, (list, dict)) else [None]
    if not all(isinstance(entry, str) for entry in entries):
        raise ValueError("is neither a list of texts nor an object whose keys are the entries")
    return pl.Series(entries, dtype=pl.String)


def _from_parquet(content: bytes, _: str) -> pl.Series:
    frame = pl.read_parquet(io.BytesIO(content))
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    name = "entry" if "entry" in texts else texts[0] if len(texts) == 1 else None
    if name is None:
        raise ValueError(f"has {len(texts)} columns of texts; call the one with the entries `entry`")
    return frame[name]


def search_patterns(entries: pl.Series, *, by_script: bool) -> pl.Series:
    """What is searched for in texts that `searched_text` has made: each entry between spaces.

    Args:
        entries: (n,) String, none empty.
        by_script: A side at which an entry has punctuation or a character of a script that is written without spaces
            (Chinese, Japanese, Thai, Lao, Burmese, Khmer, Tibetan) gets no space.

    Source: MetaCLIP (Xu et al. 2024), `substr_matching.py`; with `by_script` MetaCLIP 2 (Chuang et al. 2025),
        `curation/substr_matching.py`.
    """
    if not by_script:
        return " " + entries + " "
    entry = pl.col("entry")
    first = pl.when(entry.str.contains(f"^{_NEEDS_NO_SPACE}")).then(pl.lit("")).otherwise(pl.lit(" "))
    last = pl.when(entry.str.contains(f"{_NEEDS_NO_SPACE}$")).then(pl.lit("")).otherwise(pl.lit(" "))
    return pl.DataFrame({"entry": entries}).select(pl.concat_str(first, entry, last)).to_series()


def searched_text(text: pl.Expr) -> pl.Expr:
    """A text with spaces around it and around each mark of punctuation, and spaces for tabs and line ends.

    Source: `spacing` of MetaCLIP and MetaCLIP 2, which are the same.
    """
    padded = pl.concat_str(pl.lit(" "), text, pl.lit(" "))
    return padded.str.replace_all(r"([,.;:?!`])", " $1 ").str.replace_all(r"[\t\n\r]", " ")
