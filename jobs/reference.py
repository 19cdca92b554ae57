"""Writes the reference pages of docs/ from the code: `python -m jobs.reference`."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from curation.contracts.config import StepConfig, is_tuning
from curation.engine.stage_chain import END_COLUMNS
from curation.recipe.load import parse_recipe
from curation.recipe.model import Recipe, RunSettings
from jobs.demo import RECIPE, recipe_text
from jobs.exit_codes import ExitCode
from jobs.presets_page import MADE, presets_page
from jobs.training.config import TrainConfig
from jobs.training.presets import PRESETS
from schemas.columns import COLUMNS, Role
from schemas.outcomes import FailureReason
from stages.catalogue import CATALOGUE

PAGES = Path(__file__).parents[1] / "docs"
_KINDS = (
    ("Sources", "the first entry of a recipe: where the rows come from", CATALOGUE.sources),
    ("Stages", "they measure, and may reject or fail rows by what they measured", CATALOGUE.stages),
    ("Exchanges", "they decide over columns of all rows at once", CATALOGUE.exchanges),
    ("Sinks", "the last step: it delivers", CATALOGUE.sinks),
)
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_ENTRY = re.compile(r"^ {8}([a-z_][a-z_0-9]*(?:, [a-z_][a-z_0-9]*)*): (.*)$")


def pages() -> dict[str, str]:
    """The reference pages by file name."""
    return {
        "steps.md": _steps_page(),
        "columns.md": _columns_page(),
        "presets.md": presets_page(),
        "training-settings.md": _training_page(),
    }


def _steps_page() -> str:
    used = parse_recipe(recipe_text(), RECIPE, CATALOGUE)
    lines = [
        "# Every step and its settings",
        "",
        MADE,
        "How a recipe is put together is told in [recipes.md](recipes.md). Every step has a `kind` and may have a "
        "`name`, which the ledger and the funnel then show in place of the kind; two steps of one kind need different "
        "names.",
        "",
        "*Tuning* marks settings that are in no fingerprint: changing them repeats no work. What a changed setting of "
        "any other kind repeats is told in [deciding-again.md](deciding-again.md). Columns are described in "
        "[columns.md](columns.md).",
    ]
    for title, what, classes in _KINDS:
        lines += ["", f"## {title}", "", f"{what[0].upper()}{what[1:]}."]
        for kind, step_class in classes.items():
            lines += ["", f"### {kind}", "", *_step_lines(kind, step_class, used)]
    lines += ["", "## run", "", "How the work is cut and tried again; the recipe's last key, which may be missing.", ""]
    return "\n".join([*lines, *_settings_lines(RunSettings)]) + "\n"


def _step_lines(kind: str, step_class: type[Any], used: Recipe) -> Iterator[str]:
    yield _prose(step_class)
    extra = _prose(step_class.Config)
    if not extra.startswith("Settings of"):
        yield ""
        yield extra
    for step in (used.source, *used.steps):
        if step.config.kind == kind and hasattr(step, "spec"):
            spec: Any = step.spec
            yield ""
            yield f"Reads {_names(spec.requires)}. Adds {_names(spec.adds)}. (Under the demo's recipe.)"
    yield ""
    yield from _settings_lines(step_class.Config)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns) or "nothing"


def _settings_lines(config: type[BaseModel]) -> Iterator[str]:
    """The table of a config's settings, then the tables of the configs nested in it."""
    fields = {name: field for name, field in config.model_fields.items() if not _is_of_every_step(config, name)}
    if not fields:
        yield "No settings."
        return
    described = _described(config)
    yield "| setting | values | default | |"
    yield "| --- | --- | --- | --- |"
    for name, field in fields.items():
        text = field.description or described.get(name) or ("See below." if _models_in(field.annotation) else "")
        tuning = " *Tuning.*" if is_tuning(field) else ""
        yield f"| `{name}` | {_values(field)} | {_default(field)} | {_sentence(text)}{tuning} |"
    for name, field in fields.items():
        for nested in _models_in(field.annotation):
            yield ""
            yield f"`{name}`: {_prose(nested)}"
            yield ""
            yield from _settings_lines(nested)


def _is_of_every_step(config: type[BaseModel], name: str) -> bool:
    """Whether the setting is the kind, or the name that any step may have and this one gives no meaning of its own."""
    plain = issubclass(config, StepConfig) and config.model_fields[name].default is None
    return name == "kind" or (name == "name" and plain)


def _prose(documented: type[Any]) -> str:
    """The docstring up to its first section, each paragraph on a line of its own."""
    paragraphs: list[str] = []
    for paragraph in inspect.cleandoc(documented.__doc__ or "").split("\n\n"):
        if re.match(r"(Attributes|Args|Returns|Raises|Source):", paragraph):
            break
        paragraphs.append(" ".join(paragraph.split()))
    return "\n\n".join(paragraphs)


def _described(config: type[BaseModel]) -> dict[str, str]:
    """What the docstrings' `Attributes:` sections say of each setting."""
    found: dict[str, str] = {}
    for documented in reversed(config.__mro__):
        names: list[str] = []
        for line in _attribute_lines(documented.__doc__ or ""):
            entry = _ENTRY.match(line)
            if entry:
                names = entry[1].split(", ")
                found.update(dict.fromkeys(names, entry[2].strip()))
            else:
                found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found


def _attribute_lines(docstring: str) -> Iterator[str]:
    inside = False
    for line in docstring.splitlines():
        if line.strip() == "Attributes:":
            inside = True
        elif inside and line.startswith(" " * 8):
            yield line
        elif line.strip():
            inside = False


def _values(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(mark, name)}"
        for mark in field.metadata
        for name, sign in _BOUNDS.items()
        if hasattr(mark, name)
    ]
    return _cell(", ".join([_type_name(field.annotation), *dict.fromkeys(bounds)]))


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin is Literal:
        return " \\| ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " \\| ".join(_type_name(argument) for argument in arguments)
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type_name(arguments[0])} to {_type_name(arguments[1])}"
    if hasattr(annotation, "__metadata__"):
        return _type_name(annotation.__origin__)
    plain = {str: "text", int: "whole number", float: "number", bool: "true \\| false"}
    return plain.get(annotation) or ("settings" if isinstance(annotation, type) else str(annotation))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ""
    return "the settings' own" if isinstance(value, BaseModel) else f"`{_as_yaml(value)}`"


def _as_yaml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(_as_yaml(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_as_yaml(item)}' for name, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _cell(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    """A description as recipes see it: null instead of None, and a capital unless it begins with a value."""
    text = re.sub(r"\bNone\b", "null", _cell(text))
    return text if re.match(r"(auto|null):", text) else text[:1].upper() + text[1:]


_ROLES = {
    Role.SCALAR: "ledger, shards",
    Role.PAYLOAD: "pool, shards",
    Role.TRANSIENT: "nowhere",
    Role.VOLATILE: "pool",
}


def _columns_page() -> str:
    lines = [
        "# Every column",
        "",
        MADE,
        "A ledger has the columns that the steps of its recipe made, and those that the source carried along under "
        "their own names and types.",
        "",
        "| column | type | unit | where | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for column in COLUMNS.values():
        where = "ledger" if column.name in END_COLUMNS else _ROLES[column.role]
        cells = (f"`{column.name}`", str(column.type), column.unit or "", where, column.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", "## Why a row can fail", "", "The `reason` of a row whose `outcome` is `failed` is one of these:", ""]
    return "\n".join([*lines, ", ".join(f"`{reason.value}`" for reason in FailureReason) + "."]) + "\n"


def _training_page() -> str:
    lines = [
        "# Settings of a training",
        "",
        MADE,
        "For `curation train`, see [training.md](training.md): in a file for `--config`, or one by one with `--set`.",
        "",
        *_settings_lines(TrainConfig),
        "",
        "## Presets",
        "",
        "What differs from the defaults above:",
    ]
    for name, preset in PRESETS.items():
        changed = preset.model_dump(mode="json", exclude_defaults=True)
        lines += ["", f"- `{name}`: " + (f"`{_as_yaml(changed)}`" if changed else "nothing")]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the pages, or says which ones are out of date."""
    parser = argparse.ArgumentParser(prog="python -m jobs.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    args = parser.parse_args(argv)
    old = [name for name, text in pages().items() if not _is_current(PAGES / name, text)]
    for name in old:
        sys.stdout.write(f"docs/{name}: {'out of date' if args.check else 'written'}\n")
        if not args.check:
            (PAGES / name).write_text(pages()[name], encoding="utf-8")
    return ExitCode.ERROR if old and args.check else ExitCode.DONE


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
