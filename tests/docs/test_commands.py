"""Whatever the pages tell people to type is understood by the command line, the Makefile and the recipes."""

import importlib.util
import re
import shlex
from dataclasses import dataclass

import pytest
from documents import ROOT, blocks

from curation.recipe.load import parse_recipe
from jobs.cli import make_parser
from jobs.exit_codes import ExitCode
from stages.catalogue import CATALOGUE

FOREIGN = ("ray ", "kubectl ", "docker ", "pip ", "export ", "python -m venv", "i2d/bin/pip ")
AS_JOBS = {"jobs.curate": "run", "jobs.train": "train", "jobs.evaluate": "evaluate"}


@dataclass(frozen=True)
class Typed:
    block: object
    text: str

    def __str__(self):
        return f"{self.block.place} {self.text}"


def typed_lines():
    for block in blocks("bash"):
        for line in block.text.replace("\\\n", " ").splitlines():
            if line.strip():
                yield Typed(block, line.strip())


LINES = list(typed_lines())


def arguments_of(typed):
    """What the command line of this project gets of a line; None where it gets nothing."""
    text = typed.text.partition(" -- ")[2] if typed.text.startswith("ray job submit") else typed.text
    words = shlex.split(text, comments=True)
    words = words[: words.index(">")] if ">" in words else words
    if words[:1] == ["curation"]:
        return words[1:]
    if words[:2] == ["python", "-m"] and words[2] in AS_JOBS:
        return [AS_JOBS[words[2]], *words[3:]]
    return None


@pytest.mark.parametrize("typed", LINES, ids=str)
def test_line_is_a_known_command_when_it_stands_in_a_page(typed):
    known = ("curation ", "python -m jobs.", "make ", *FOREIGN)

    assert typed.text.startswith(known)


@pytest.mark.parametrize("typed", [line for line in LINES if arguments_of(line)], ids=str)
def test_arguments_are_understood_when_a_page_gives_them(typed):
    args = make_parser().parse_args(arguments_of(typed))

    assert callable(args.command)


@pytest.mark.parametrize("typed", [line for line in LINES if line.text.startswith("make ")], ids=str)
def test_target_exists_when_a_page_names_it(typed):
    target = shlex.split(typed.text)[1]

    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("typed", [line for line in LINES if line.text.startswith("python -m ")], ids=str)
def test_module_exists_when_a_page_runs_it(typed):
    assert importlib.util.find_spec(shlex.split(typed.text)[2]) is not None


def recipe_named(name, page):
    """The text of a recipe that a command names: a file of the project, or the recipe that the page explains.

    A recipe that says in its first line which file it is, is that one alone.
    """
    if (ROOT / name).is_file():
        return (ROOT / name).read_text()
    shown = [
        block.text for block in blocks("yaml", page, ROOT / "docs" / "your-own-urls.md") if "\nsteps:" in block.text
    ]
    return next(text for text in shown if not text.startswith("# ") or text.startswith(f"# {name}\n"))


@pytest.mark.parametrize("typed", [line for line in LINES if " run " in line.text and "--set" in line.text], ids=str)
def test_override_leads_somewhere_when_a_page_sets_it(typed):
    args = make_parser().parse_args(arguments_of(typed))
    plain = parse_recipe(recipe_named(args.recipe, typed.block.page), args.recipe, CATALOGUE)

    changed = parse_recipe(recipe_named(args.recipe, typed.block.page), args.recipe, CATALOGUE, args.overrides)

    assert changed.resolved() != plain.resolved()


def test_every_command_is_listed_when_readme_lists_commands():
    readme = (ROOT / "README.md").read_text()
    (subcommands,) = (action for action in make_parser()._actions if hasattr(action, "choices") and action.choices)

    listed = set(re.findall(r"^\| `curation (\w+)", readme, re.MULTILINE))

    assert listed == set(subcommands.choices)


def test_every_exit_code_is_explained_when_readme_lists_them():
    explained = re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert sorted(map(int, explained)) == sorted(ExitCode)


def test_demo_and_test_come_first_when_readme_names_commands():
    first = next(line.text for line in LINES if line.block.page == ROOT / "README.md")

    assert first == "make demo"
    assert [line.text for line in LINES if line.block.page == ROOT / "README.md"][1] == "make test"
