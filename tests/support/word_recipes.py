"""A small real recipe that needs no network, no model and no Ray: captions are judged by their length."""

import json
from pathlib import Path

CAPTIONS = ["", "one", "two words", "three words here", "now four words here"]

RECIPE = """\
name: words
source:
  kind: url_table
  path: LIST
steps:
  - kind: text_rules
    min_words: 1
  - kind: select
    rules:
      - {column: text_words, min: 2}
run:
  part_rows: 5
"""


def write_recipe(folder: Path, rows: int = 20) -> Path:
    """A list of URLs and the recipe that reads it: row i has the caption `CAPTIONS[i % 5]`, i % 5 words long."""
    table = folder / "list.jsonl"
    lines = [{"url": f"http://example.com/{row}.jpg", "caption": CAPTIONS[row % 5]} for row in range(rows)]
    table.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = folder / "words.yaml"
    recipe.write_text(RECIPE.replace("LIST", str(table)))
    return recipe
