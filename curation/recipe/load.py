"""From a YAML file to a recipe whose steps are built: every mistake of form is found here, before anything starts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import fsspec
from pydantic import ValidationError

from curation.catalogue import Catalogue, Step
from curation.contracts.config import Config, StepConfig
from curation.contracts.sink import Sink
from curation.errors import RecipeError
from curation.masking import remember_settings, was_masked
from curation.recipe.mistakes import describe_mistakes, did_you_mean
from curation.recipe.model import Recipe, RunSettings
from curation.recipe.overrides import apply_overrides
from curation.recipe.yaml_document import Document, Path, parse_yaml

_KEYS = ["name", "source", "steps", "run"]


def load_recipe(path: str, catalogue: Catalogue, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe from any fsspec path and builds its steps.

    Raises:
        RecipeError: With one line for each mistake: the file and line, the place in the recipe, the remedy.
    """
    try:
        with fsspec.open(path, "r", encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise RecipeError(f"{path}: the recipe cannot be read: {error}") from error
    return parse_recipe(text, path, catalogue, overrides)


def parse_recipe(text: str, origin: str, catalogue: Catalogue, overrides: Sequence[str] = ()) -> Recipe:
    """Like `load_recipe`, from the YAML text itself; `origin` names it in messages."""
    document = parse_yaml(text, origin)
    values = document.values
    if not isinstance(values, dict):
        raise RecipeError(f"{origin}: a recipe is a mapping with the keys {', '.join(_KEYS)}")
    apply_overrides(values, overrides)
    remember_settings(values)
    mistakes = [
        f"{document.place((key,))}: {key}: unknown{did_you_mean(key, _KEYS)}" for key in values if key not in _KEYS
    ]
    builder = _Builder(document, mistakes)
    mistakes += [
        f"{document.place(path)}: {'.'.join(map(str, path))}: a secret stood here and was masked when the recipe was "
        "saved; delete it and leave it to the environment (docs/security.md)"
        for path in _masked_paths(values, ())
    ]
    source = builder.step(values.get("source"), ("source",), catalogue.sources)
    steps = builder.steps(values.get("steps"), catalogue)
    run = builder.config(values.get("run", {}), ("run",), RunSettings)
    name = values.get("name", "curation")
    if not isinstance(name, str):
        mistakes.append(f"{document.place(('name',))}: name: must be text, not {name!r}")
    if mistakes:
        raise RecipeError("\n".join(mistakes))
    return Recipe(name=name, source=source, steps=tuple(steps), run=run, origin=origin)


def _masked_paths(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _masked_paths(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _masked_paths(inner, (*path, place))
    elif isinstance(value, str) and was_masked(value):
        yield path


class _Builder:
    """Builds steps from values and collects every mistake on the way."""

    def __init__(self, document: Document, mistakes: list[str]) -> None:
        self._document = document
        self._mistakes = mistakes

    def _complain(self, path: Path, what: str) -> None:
        self._mistakes.append(f"{self._document.place(path)}: {'.'.join(map(str, path))}: {what}")

    def config(self, values: Any, path: Path, model: type[Config]) -> Any:
        """The validated config, or None with a complaint. Strictly as JSON: '3' is not 3."""
        try:
            return model.model_validate_json(json.dumps(values))
        except ValidationError as error:
            self._mistakes.append(describe_mistakes(error, model, self._document, path))
            return None

    def step(self, values: Any, path: Path, classes: Mapping[str, Any]) -> Any:
        """The built step, or None with a complaint."""
        if not isinstance(values, dict):
            self._complain(path, f"must be a mapping with a `kind`: one of {', '.join(sorted(classes))}")
            return None
        kind = values.get("kind")
        if not isinstance(kind, str):
            self._complain(path, f"has no `kind`; add one of {', '.join(sorted(classes))}")
            return None
        if kind not in classes:
            self._complain((*path, "kind"), f"unknown kind {kind!r}{did_you_mean(kind, list(classes))}")
            return None
        step_class = classes[kind]
        config: StepConfig | None = self.config(values, path, step_class.Config)
        return None if config is None else step_class(config)

    def steps(self, values: Any, catalogue: Catalogue) -> list[Step]:
        """The built steps; complains of repeated names and of a sink that is not last."""
        if not isinstance(values, list) or not values:
            self._complain(("steps",), "must be a list of at least one step")
            return []
        built = []
        names: set[str] = set()
        for index, entry in enumerate(values):
            step = self.step(entry, ("steps", index), catalogue.steps)
            if step is None:
                continue
            if step.config.step_name in names:
                self._complain(("steps", index), f"a second step named {step.config.step_name}; give it a `name`")
            names.add(step.config.step_name)
            if isinstance(step, Sink) and index != len(values) - 1:
                self._complain(("steps", index), f"{step.config.kind} delivers and must be the last step")
            built.append(step)
        return built
