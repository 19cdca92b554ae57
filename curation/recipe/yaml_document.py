"""YAML in, plain values and line numbers out: duplicate keys refused, no dates, no `no` that means false."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from curation.errors import RecipeError

Path = tuple[str | int, ...]


class _StrictLoader(yaml.SafeLoader):
    """YAML 1.2's core scalars: `true` and `false` alone are booleans, `1e-3` is a number, dates are text."""


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith((":bool", ":timestamp", ":float", ":int"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def _construct_int(loader: yaml.SafeLoader, node: yaml.Node) -> int:
    return int(str(loader.construct_scalar(node)))  # type: ignore[arg-type]


def _construct_float(loader: yaml.SafeLoader, node: yaml.Node) -> float:
    return float(str(loader.construct_scalar(node)))  # type: ignore[arg-type]


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _construct_float)


@dataclass(frozen=True)
class Document:
    """A YAML document: its values, and the line on which each of them stands."""

    origin: str
    values: Any
    lines: dict[Path, int]

    def place(self, path: Path) -> str:
        """`file:line` of the value at the path, or of the nearest value around it."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return f"{self.origin}:{line}"
        return self.origin

    def value_at(self, path: Path) -> Any:
        """The value at the path, None where there is none."""
        value = self.values
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value


def parse_yaml(text: str, origin: str) -> Document:
    """Parses one document.

    Raises:
        RecipeError: It is no YAML, or a mapping has a key twice.
    """
    loader = _StrictLoader(text)
    lines: dict[Path, int] = {}
    try:
        node = loader.get_single_node()
        values = None if node is None else _construct(loader, node, (), lines, origin)
    except yaml.YAMLError as error:
        raise RecipeError(f"{_place_of(error, origin)}: not valid YAML: {_problem_of(error)}") from error
    finally:
        loader.dispose()
    return Document(origin, values, lines)


def _place_of(error: yaml.YAMLError, origin: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return origin if mark is None else f"{origin}:{mark.line + 1}"


def _problem_of(error: yaml.YAMLError) -> str:
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    return " ".join(part for part in parts if part) or " ".join(str(error).split())


def _construct(loader: _StrictLoader, node: yaml.Node, path: Path, lines: dict[Path, int], origin: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in result:
                where = ".".join(map(str, (*path, key)))
                raise RecipeError(f"{origin}:{line}: {where}: the key stands here a second time; remove one")
            result[key] = _construct(loader, value_node, (*path, key), lines, origin)
            lines[(*path, key)] = line
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*path, index), lines, origin) for index, item in enumerate(node.value)]
    return loader.construct_object(node, deep=True)
