"""Turns what pydantic says of a config into lines: where, what is wrong, and what would be right."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from curation.recipe.yaml_document import Document, Path

_WORDING = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}
_QUOTED_CHARS = 60


@dataclass(frozen=True, slots=True)
class _Mistake:
    """One mistake.

    Attributes:
        location: Where it is in the document.
        fork: Where in the document a value may have several forms, None without such a choice.
        form: Which of the forms the mistake is one against.
        what: What is wrong.
        given: The value, None where `what` says it all.
    """

    location: Path
    fork: Path | None
    form: str
    what: str
    given: str | None


def describe_mistakes(error: ValidationError, config: type[BaseModel], document: Document, path: Path) -> str:
    """One line for each mistake in the config that stands at `path` of the document."""
    entries = error.errors()
    # Of a list whose only entry is wrong, pydantic says as well that it has too few.
    told = [entry for entry in entries if entry["type"] != "too_short" or not _has_inner(entry, entries)]
    mistakes = [_mistake(entry, config, document, path) for entry in told]
    lines = [_line(mistake, document) for mistake in mistakes if mistake.fork is None]
    for fork in dict.fromkeys(mistake.fork for mistake in mistakes if mistake.fork is not None):
        chosen = _of_nearest_form([mistake for mistake in mistakes if mistake.fork == fork], fork)
        lines.extend(_line(mistake, document) for mistake in chosen)
    return "\n".join(dict.fromkeys(lines))


def _has_inner(entry: Any, entries: Sequence[Any]) -> bool:
    """Whether another mistake lies inside the value of this one."""
    depth = len(entry["loc"])
    return any(len(other["loc"]) > depth and other["loc"][:depth] == entry["loc"] for other in entries)


def _mistake(entry: Any, config: type[BaseModel], document: Document, path: Path) -> _Mistake:
    """Tells places in the document from the names that pydantic gives to the forms of a value."""
    location, value = list(path), document.value_at(path)
    fork, form = None, ""
    for index, part in enumerate(entry["loc"]):
        last = index == len(entry["loc"]) - 1
        if isinstance(value, dict) and (part in value or (last and entry["type"] == "missing")):
            location, value = [*location, part], value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            location, value = [*location, part], value[part]
        elif fork is None:
            fork, form = tuple(location), str(part)
    what = _what(entry, config)
    told = entry["type"] in ("missing", "extra_forbidden", "value_error") or ", not " in what
    return _Mistake(tuple(location), fork, form, what, None if told else _quoted(entry["input"]))


def _of_nearest_form(mistakes: Sequence[_Mistake], fork: Path) -> list[_Mistake]:
    """Of a value that is right in none of its forms: the mistakes against the form that was meant."""
    forms: dict[str, list[_Mistake]] = {}
    for mistake in mistakes:
        forms.setdefault(mistake.form, []).append(mistake)
    meant = [found for found in forms.values() if all(mistake.location != fork for mistake in found)]
    if meant:
        return min(meant, key=len)
    here = [mistake for mistake in mistakes if mistake.location == fork]
    what = " or ".join(dict.fromkeys(mistake.what for mistake in here)).replace(" or must be ", " or ")
    return [_Mistake(fork, fork, "", what, here[0].given)]


def _line(mistake: _Mistake, document: Document) -> str:
    given = f", not {mistake.given}" if mistake.given is not None else ""
    where = ".".join(map(str, mistake.location))
    return f"{document.place(mistake.location)}: {where}: {mistake.what}{given}"


def _quoted(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _QUOTED_CHARS else f"{text[:_QUOTED_CHARS]}…"


def _what(entry: Any, config: type[BaseModel]) -> str:
    kind = entry["type"]
    if kind == "missing":
        return "missing; add it"
    if kind == "extra_forbidden":
        return f"unknown{did_you_mean(str(entry['loc'][-1]), _fields_at(config, entry['loc'][:-1]))}"
    message = str(entry["msg"])
    plain = message[0].lower() + message[1:]
    return _WORDING.get(kind) or plain.removeprefix("value error, ").replace("input should be ", "must be ", 1)


def did_you_mean(name: str, known: list[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    matches = difflib.get_close_matches(name.replace("-", "_").lower(), known, n=1, cutoff=0.5)
    if matches:
        return f"; did you mean {matches[0]}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def _fields_at(config: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Names of the settings of the config model in which the mistake lies."""
    models: list[type[BaseModel]] = [config]
    for part in location:
        if isinstance(part, str):
            nested = [model for owner in models for model in _models_of(owner, part)]
            models = nested or [model for model in models if _is_called(model, part)] or models
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _is_called(model: type[BaseModel], name: str) -> bool:
    """Whether pydantic means the model: one of several forms goes by its class, or by the value of its `Literal`."""
    literals = [field.annotation for field in model.model_fields.values() if get_origin(field.annotation) is Literal]
    return name == model.__name__ or any(name in get_args(literal) for literal in literals)


def _models_of(owner: type[BaseModel], field: str) -> list[type[BaseModel]]:
    if field not in owner.model_fields:
        return []
    found: list[type[BaseModel]] = []
    pending: list[Any] = [owner.model_fields[field].annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        pending.extend(getattr(annotation, "__args__", ()))
    return found
