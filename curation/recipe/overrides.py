"""`--set a.b=c`: replaces one value of a recipe before it is validated."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from curation.errors import RecipeError
from curation.recipe.yaml_document import parse_yaml

_MAY_BE_MISSING = ("run", "placement")
"""Mappings that a recipe need not have for a value in them to be set."""


def apply_overrides(values: dict[str, Any], overrides: Sequence[str]) -> None:
    """Applies overrides in place.

    The path's first name is a key of the recipe or the name of a step; in a list, an entry is found by its
    place or by its `name`, `kind` or `column`. In a step with `rules`, a rule may be named without them:
    `select.clip_score.min` is `select.rules.clip_score.min`, unless the step has a setting of that name.
    The value is read as YAML. A mapping that the recipe leaves at its default, or at null, begins empty:
    `deduplicate.perceptual.max_distance=20`.

    Raises:
        RecipeError: An override is not of the form, or its path leads nowhere.
    """
    for override in overrides:
        path, separator, text = override.partition("=")
        names = path.strip().split(".")
        if not separator or not all(names):
            raise RecipeError(f"--set {override}: write it as path=value, such as select.rules.0.min=0.25")
        if names[0] not in values and _entry(values.get("steps"), names[0]) is not None:
            names.insert(0, "steps")
        target: Any = values
        for name in names[:-1]:
            target = _descend(target, name, override)
        _assign(target, names[-1], parse_yaml(text, f"--set {override}").values, override)


def _entry(entries: Any, name: str) -> int | None:
    if not isinstance(entries, list):
        return None
    if name.isdigit() and int(name) < len(entries):
        return int(name)
    known = [entry if isinstance(entry, dict) else {} for entry in entries]
    fields = [[entry.get(field) for entry in known] for field in ("name", "kind", "column")]
    # A step without a name is called by its kind, so it comes before one of that kind with another name.
    called: list[Any]
    for called in (fields[0], _names_in(entries), fields[1], fields[2]):
        if name in called:
            return called.index(name)
    return None


def _descend(target: Any, name: str, override: str) -> Any:
    if isinstance(target, dict):
        if target.get(name) is not None:
            return target[name]
        # Settings of a step that are mappings have defaults. Where there are rules, the name was meant for one of them.
        if name in _MAY_BE_MISSING or ("kind" in target and "rules" not in target):
            target[name] = {}
            return target[name]
        rules = _called(target.get("rules"), name)
        if len(rules) == 1:
            return rules[0]
        if rules:
            raise RecipeError(
                f"--set {override}: {len(rules)} rules go by {name!r}; name the one that is meant by its place, "
                f"such as rules.{target['rules'].index(rules[0])}"
            )
        known = [*target, *_names_in(target.get("steps")), *_names_in(target.get("rules"))]
        raise RecipeError(f"--set {override}: there is no {name!r}{_nearest(name, known)}")
    index = _entry(target, name)
    if index is None:
        raise RecipeError(f"--set {override}: there is no entry {name!r}{_nearest(name, _names_in(target))}")
    return target[index]


def _called(rules: Any, name: str) -> list[Any]:
    """The rules of a step that have this name; where none has, those that look at the column of this name."""
    known = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
    named = [rule for rule in known if rule.get("name") == name]
    return named or [rule for rule in known if rule.get("column") == name]


def _names_in(entries: Any) -> list[str]:
    """What the entries of a list can be called."""
    if not isinstance(entries, list):
        return []
    named = [entry if isinstance(entry, dict) else {} for entry in entries]
    fields = [[entry.get(field) for field in ("name", "kind", "column")] for entry in named]
    return [str(next(filter(None, values), index)) for index, values in enumerate(fields)]


def _assign(target: Any, name: str, value: Any, override: str) -> None:
    if isinstance(target, dict):
        target[name] = value
    elif (index := _entry(target, name)) is not None:
        target[index] = value
    else:
        raise RecipeError(f"--set {override}: {name!r} names nothing that can be set")


def _nearest(name: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; known are {', '.join(known)}" if known else ""
