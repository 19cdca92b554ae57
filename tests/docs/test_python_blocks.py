"""Python that the pages show can be parsed, and what it imports is there."""

import ast
import importlib.util

import pytest
from documents import blocks

BLOCKS = blocks("python")


def imported_names(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)


def is_there(module, name):
    """Looks without importing where it can: some of what pages name takes seconds to load."""
    if name is None:
        return importlib.util.find_spec(module) is not None
    return hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_imports_resolve_when_a_page_shows_python(block):
    missing = [(module, name) for module, name in imported_names(block.text) if not is_there(module, name)]

    assert missing == []
