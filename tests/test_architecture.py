"""What the house must look like, and what must not be found in it."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from stages.catalogue import CATALOGUE

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "curation", "stages", "jobs")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "misc", "base"}
STEPS = {**CATALOGUE.sources, **CATALOGUE.stages, **CATALOGUE.exchanges, **CATALOGUE.sinks}


def trees():
    for path in SOURCES:
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree):
    """Modules that a file imports anywhere, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno


def test_no_file_is_too_long_when_counted():
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: lines for path, lines in long.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_too_long_when_counted():
    long = {
        f"{path}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert {place: lines for place, lines in long.items() if lines > MAX_FUNCTION_LINES} == {}


def test_every_file_says_what_it_is_for_when_opened():
    assert [str(path) for path, tree in trees() if not ast.get_docstring(tree)] == []


def test_no_file_has_a_name_that_means_anything_when_listed():
    assert [str(path.relative_to(ROOT)) for path in SOURCES if set(path.stem.split("_")) & VAGUE] == []


def test_ray_is_imported_by_the_runners_and_the_trainer_alone_when_searched():
    allowed = ("curation/runtime/", "jobs/training/")
    found = [
        f"{path}:{line}"
        for path, tree in trees()
        for module, line in imported(tree)
        if module.split(".")[0] == "ray" and not path.as_posix().startswith(allowed)
    ]
    assert found == []


def test_nothing_imports_the_tests_when_searched():
    assert [
        str(path) for path, tree in trees() if any(name.split(".")[0] == "tests" for name, _ in imported(tree))
    ] == []


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_a_test_file_mirrors_the_source_when_a_step_is_in_the_catalogue(kind):
    source = Path(inspect.getfile(STEPS[kind])).relative_to(ROOT)
    assert (ROOT / "tests" / source.parent / f"test_{source.name}").is_file()


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_the_config_stands_beside_its_step_when_a_step_is_in_the_catalogue(kind):
    assert inspect.getfile(STEPS[kind].Config) == inspect.getfile(STEPS[kind])
    assert STEPS[kind].Config.model_fields["kind"].default == kind


def test_a_wrong_recipe_is_told_before_anything_heavy_is_loaded_when_a_command_starts(tmp_path):
    (tmp_path / "r.yaml").write_text("source: {kind: url_tabel}\nsteps: [{kind: slect}]\n")
    code = (
        "import sys\nfrom jobs.cli import main\n"
        f"code = main(['run', {str(tmp_path / 'r.yaml')!r}, '--out', {str(tmp_path / 'out')!r}])\n"
        "print(code, *sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    exit_code, *modules = done.stdout.split()
    assert exit_code == "2"
    assert "r.yaml:1: source.kind: unknown kind 'url_tabel'; did you mean url_table?" in done.stderr
    assert "r.yaml:2: steps.0.kind: unknown kind 'slect'; did you mean select?" in done.stderr
    assert {"ray", "torch", "transformers", "open_clip", "webdataset"}.isdisjoint(modules)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_can_be_imported_first_when_nothing_else_is(package):
    assert importlib.import_module(package).__doc__
