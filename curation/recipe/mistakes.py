"""Turns what pydantic says of a config into one line: where, what is wrong, and what would be right."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from curation.recipe.yaml_document import Document, Path

_WORDING = {
    "missing": "missing; add it",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
}


def describe_mistakes(error: ValidationError, config: type[BaseModel], document: Document, path: Path) -> str:
    """One line for each mistake in the config that stands at `path` of the document."""
    lines = []
    for mistake in error.errors():
        location = (*path, *(part for part in mistake["loc"] if not _is_branch(part)))
        where = ".".join(map(str, location))
        lines.append(f"{document.place(location)}: {where}: {_what(mistake, config)}")
    return "\n".join(dict.fromkeys(lines))


def _is_branch(part: str | int) -> bool:
    """Whether pydantic put the part there to name a branch of a union, not a place in the document."""
    return isinstance(part, str) and (part.endswith("]") or "-" in part or part[:1].isupper() or part in _SCALARS)


_SCALARS = {"int", "float", "str", "bool", "none", "nullable"}


def _what(mistake: Any, config: type[BaseModel]) -> str:
    kind = mistake["type"]
    if kind == "extra_forbidden":
        return f"unknown{did_you_mean(str(mistake['loc'][-1]), _fields_at(config, mistake['loc'][:-1]))}"
    wording = _WORDING.get(kind)
    if wording is None:
        return str(mistake["msg"][0].lower() + mistake["msg"][1:]).removeprefix("value error, ")
    if kind == "missing":
        return wording
    return f"{wording}, not {mistake['input']!r}"


def did_you_mean(name: str, known: list[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if matches:
        return f"; did you mean {matches[0]}?"
    return f"; known are {', '.join(sorted(known))}" if known else ""


def _fields_at(config: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Names of the settings of the config model in which the mistake lies."""
    models: list[type[BaseModel]] = [config]
    for part in location:
        if isinstance(part, str):
            nested = [model for owner in models for model in _models_of(owner, part)]
            models = nested or models
    return [name for model in models for name in model.model_fields]


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
