"""CSV, JSON lines and plain lists of URLs: written once as Parquet, block by block, so that any slice can be read."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from curation.recipe.mistakes import did_you_mean
from stages.sources.inferred_types import (
    ALL,
    Candidates,
    candidates_of_texts,
    candidates_of_values,
    to_metadata,
)

CANDIDATES_KEY = "column_candidates"
"""Under this the Parquet file says what the types of its carried columns may be."""

_BLOCK_BYTES = 16 * 2**20
_BLOCK_ROWS = 16_384
_SAMPLE_LINES = 1000
_ALWAYS_TEXT = ("url", "caption")

Block = tuple[pa.Table, dict[str, Candidates]]


@dataclass(frozen=True, slots=True)
class TextLayout:
    """How a text file is read.

    Attributes:
        columns: Names of the columns wanted, by the name they shall have.
        delimiter: Between the fields of CSV.
        encoding: Of the text.
    """

    columns: Mapping[str, str]
    delimiter: str
    encoding: str


def write_as_parquet(format: str, stream: IO[bytes], layout: TextLayout, target: IO[bytes]) -> None:
    """Writes the wanted columns of a text file as Parquet, all of them as text.

    Raises:
        ValueError: The text cannot be read. The message names the line, not the file.
    """
    blocks = _READERS[format](stream, layout)
    schema = pa.schema([(name, pa.string()) for name in layout.columns])
    candidates = _all_candidates(layout)
    with pq.ParquetWriter(target, schema, compression="zstd", write_page_checksum=True) as writer:
        for table, found in blocks:
            writer.write_table(table.cast(schema), row_group_size=_BLOCK_ROWS)
            candidates = {name: left & found[name] for name, left in candidates.items()}
        writer.add_key_value_metadata({CANDIDATES_KEY: to_metadata(candidates)})


def column_names(format: str, stream: IO[bytes], layout: TextLayout) -> list[str]:
    """The columns of a text file: the header of CSV, the keys of the first 1,000 objects of JSON lines."""
    if format == "txt":
        return []
    if format == "csv":
        text = io.TextIOWrapper(stream, encoding=_decoder(layout.encoding), newline="")
        return next(csv.reader(text, delimiter=layout.delimiter), [])
    names: dict[str, None] = {}
    for _, row in islice(_json_rows(stream, layout), _SAMPLE_LINES):
        names.update(dict.fromkeys(row))
    return list(names)


def _all_candidates(layout: TextLayout) -> dict[str, Candidates]:
    """What the carried columns may be before any value was seen."""
    return {name: ALL for name in layout.columns if name not in _ALWAYS_TEXT}


def _csv_blocks(stream: IO[bytes], layout: TextLayout) -> Iterator[Block]:
    wanted = list(dict.fromkeys(layout.columns.values()))
    reader = pa_csv.open_csv(
        stream,
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES, encoding=layout.encoding),
        parse_options=pa_csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
        # An empty field is null, "" is an empty text, and no word, such as NA, means anything but itself.
        convert_options=pa_csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    candidates = _all_candidates(layout)
    for batch in reader:
        table = pa.table({name: batch.column(source) for name, source in layout.columns.items()})
        candidates = {name: candidates_of_texts(table[name], left) for name, left in candidates.items()}
        yield table, candidates


def _txt_blocks(stream: IO[bytes], layout: TextLayout) -> Iterator[Block]:
    lines = (line.strip() for line in _text_lines(stream, layout))
    urls = (line for line in lines if line)
    while block := list(islice(urls, _BLOCK_ROWS)):
        yield pa.table({"url": pa.array(block, pa.string())}), {}


def _json_blocks(stream: IO[bytes], layout: TextLayout) -> Iterator[Block]:
    rows = _json_rows(stream, layout)
    seen: set[str] = set()
    while block := list(islice(rows, _BLOCK_ROWS)):
        columns, candidates = {}, {}
        for _, row in block:
            seen.update(row)
        for name, source in layout.columns.items():
            values = [row.get(source) for _, row in block]
            if name in _ALWAYS_TEXT:
                _check_texts(block, source, values)
            else:
                candidates[name] = candidates_of_values(values)
            columns[name] = _text_column(values)
        yield pa.table(columns), candidates
    missing = [source for source in layout.columns.values() if source not in seen]
    if seen and missing:
        raise ValueError(f"no line has the key {missing[0]!r}{did_you_mean(missing[0], sorted(seen))}")


def _json_rows(stream: IO[bytes], layout: TextLayout) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_text_lines(stream, layout), 1):
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number}: not an object with columns, but {line[:40].strip()}")
        yield number, row


def _text_lines(stream: IO[bytes], layout: TextLayout) -> Iterator[str]:
    # Lines end at \n alone: JSON may hold the other signs that Python takes for the end of a line.
    return iter(io.TextIOWrapper(stream, encoding=_decoder(layout.encoding), newline="\n"))


def _decoder(encoding: str) -> str:
    """The encoding's name; of UTF-8 the one that swallows a byte order mark."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _check_texts(block: Sequence[tuple[int, Any]], source: str, values: Sequence[Any]) -> None:
    for (number, _), value in zip(block, values, strict=True):
        if not isinstance(value, str | None):
            raise ValueError(f"line {number}: {source} is {value!r}, not text")


def _text_column(values: Sequence[Any]) -> pa.Array:
    """Texts as they are, everything else as JSON."""
    texts = [value if isinstance(value, str | None) else json.dumps(value, ensure_ascii=False) for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # JSON can escape one half of a surrogate pair, which UTF-8 cannot write.
        return pa.array([None if text is None else _mended(text) for text in texts], pa.string())


def _mended(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_READERS: dict[str, Callable[[IO[bytes], TextLayout], Iterator[Block]]] = {
    "csv": _csv_blocks,
    "jsonl": _json_blocks,
    "txt": _txt_blocks,
}
