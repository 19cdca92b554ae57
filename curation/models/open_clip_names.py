"""The architectures and pretrained tags that the installed open_clip knows, without importing it.

Importing open_clip imports torch, which takes seconds; a recipe is checked in a fraction of one.
"""

import ast
import importlib.util
from functools import cache
from pathlib import Path


@cache
def list_architectures() -> tuple[str, ...]:
    """Returns the names of open_clip's model configurations, sorted; empty if not installed."""
    folder = _package_folder()
    if folder is None:
        return ()
    return tuple(sorted(path.stem for path in (folder / "model_configs").glob("*.json")))


@cache
def pretrained_tags() -> dict[str, tuple[str, ...]]:
    """Returns each architecture's pretrained tags; empty if the table cannot be read.

    An architecture whose name ends in `-quickgelu` has those tags whose weights were trained with that activation.

    Source: the assignments of `open_clip/pretrained.py`, whose table `_PRETRAINED` maps names to
    dicts of tags.
    """
    folder = _package_folder()
    path = folder / "pretrained.py" if folder else None
    if path is None or not path.is_file():
        return {}
    values = {
        target.id: statement.value
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    table = values.get("_PRETRAINED")
    if not isinstance(table, ast.Dict):
        return {}
    found = {}
    for key, value in zip(table.keys, table.values, strict=True):
        named = values.get(value.id) if isinstance(value, ast.Name) else value
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            tags = _items(named)
            found[key.value] = tuple(tags)
            if quick := tuple(tag for tag, config in tags.items() if _has_quick_gelu(config)):
                found[f"{key.value}-quickgelu"] = quick
    return found


def clean_tag(tag: str) -> str:
    """Returns a tag as open_clip looks it up: lower case, underscores."""
    return tag.lower().replace("-", "_")


def _package_folder() -> Path | None:
    found = importlib.util.find_spec("open_clip")
    return Path(found.origin).parent if found and found.origin else None


def _items(value: ast.expr | None) -> dict[str, ast.expr]:
    """Of `dict(name=…)` or `{"name": …}`."""
    if isinstance(value, ast.Call):
        return {word.arg: word.value for word in value.keywords if word.arg}
    if isinstance(value, ast.Dict):
        pairs = zip(value.keys, value.values, strict=True)
        return {key.value: item for key, item in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    return {}


def _has_quick_gelu(config: ast.expr) -> bool:
    stated = _items(config).get("quick_gelu")
    return isinstance(stated, ast.Constant) and stated.value is True
