"""Values for every column that a step may read, good and bad ones, so that steps can be tried by their spec alone."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pictures import gradient, png_of_size, saved

from curation.row_keys import row_keys
from schemas.columns import COLUMNS, EMBEDDING_TYPE

_HERE = Path(__file__).as_uri()

BODIES = [
    saved(gradient(60, 40), "jpg"),
    saved(gradient(300, 280), "png"),
    saved(gradient(31, 90), "webp"),
    saved(gradient(40, 40), "gif"),
    saved(gradient(64, 64), "jpg")[:-400],
    png_of_size(30_000, 30_000),
    b"<html>not an image</html>",
    b"\xff\xd8\xff",
    b"",
]
IMAGES = [saved(gradient(64, 48), "jpg", quality=90), saved(gradient(48, 64), "png"), b"\xff\xd8\xff no image"]
TEXTS = [
    "A red circle above a blue square",
    "Ein Foto von einer Katze auf dem Sofa",
    "IMG_2031.JPG",
    "image",
    "buy cheap shoes, shoes online, best shoes, shoes sale",
    "&lt;b&gt;two&nbsp;&amp; three&lt;/b&gt;",
    "",
    " \t\n",
    "x" * 2000,
    "\U0001f600 \ud7ff \u200b\u202e",
    None,
]
URLS = ["/picture.jpg", "/gone", "/page", "/missing", "not a url", "ftp://example.com/a.jpg", "", None, "/picture.jpg"]


def urls_of(web):
    """URLs of a web on loopback, and some that are none."""
    return [web.url(url) if url and url.startswith("/") else url for url in URLS]


def _hexadecimal(digits):
    return [f"{place * 0x9E3779B97F4A7C15 % 16**digits:0{digits}x}" for place in range(5)]


def _values(name, urls):
    special = {
        "url": urls,
        "body": BODIES,
        "reference": [f"{_HERE}#", None, f"{_HERE}.missing#"],
        "reference_error": ["failed_to_download: HTTP Error 404: Not Found", "failed_to_resize: image too small", None],
        "image": IMAGES,
        "sha256": [*_hexadecimal(64), _hexadecimal(64)[0], None],
        "pdq": [*_hexadecimal(64), _hexadecimal(64)[0], None],
        "pdq_inner": [*_hexadecimal(64), None],
        "image_embedding": [[0.6, 0.8, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], None, [0.8, 0.6, 0.0, 0.0], [0.0] * 4],
        "copy_descriptor": [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], None, [0.0, 0.0, 1.0, 0.0]],
        "clip_score": [0.31, 0.02, -0.5, 0.31, None],
    }
    if name in special:
        return special[name]
    kind = COLUMNS[name].type
    if pa.types.is_string(kind):
        return TEXTS
    if pa.types.is_integer(kind):
        return [0, 1, 7, 64, 100, None]
    if pa.types.is_floating(kind):
        return [0.0, 1.0, -0.5, None]
    return [None]


def _array(values, kind):
    if kind == EMBEDDING_TYPE:
        values = [None if value is None else np.array(value, np.float16) for value in values]
    return pa.array(values, kind)


def table_for(requires, rows=24, urls=URLS):
    """A table of `row`, `key` and the columns, with values that differ in step from column to column."""
    names = list(dict.fromkeys(["row", "key", *requires]))
    numbers = list(range(100, 100 + rows))
    columns = {"row": numbers, "key": row_keys("samples", [str(number) for number in numbers], [None] * rows)}
    for place, name in enumerate(names):
        if name not in columns:
            values = _values(name, urls)
            columns[name] = [values[(number + place) % len(values)] for number in range(rows)]
    arrays = [_array(columns[name], COLUMNS[name].type) for name in names]
    return pa.table(arrays, schema=pa.schema([COLUMNS[name].field.with_nullable(True) for name in names]))
