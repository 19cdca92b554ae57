"""Published selections as recipes: `curation recipes`, `curation recipes show NAME`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from curation.errors import RecipeError
from curation.models.suggestions import nearest
from jobs.exit_codes import ExitCode

_FOLDER = Path(__file__).parent / "recipes" / "presets"
_ENTRY = re.compile(r"# (Paper|Thresholds|Departs|Left out): (.*)")
_PIPE_WIDTH = 200


@dataclass(frozen=True, slots=True)
class Preset:
    """A published selection, as its file's header describes it.

    Attributes:
        name: Of the preset, of its file and of its recipe.
        title: What it selects, in one line.
        paper: Authors, year, title and where to find it.
        thresholds: Where each figure comes from.
        departs: Where it does something else than the paper; None if nowhere.
        left_out: What of the paper it does not do; None if nothing.
        text: The whole file.
    """

    name: str
    title: str
    paper: str
    thresholds: str
    departs: str | None
    left_out: str | None
    text: str


def preset_names() -> list[str]:
    """All names, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        RecipeError: There is none; says which one was meant.
    """
    names = preset_names()
    if name not in names:
        hint = nearest(name, names) or f"; there are {', '.join(names)}"
        raise RecipeError(f"{name}: no preset has this name{hint}")
    text = (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    title, entries = _header(text)
    return Preset(
        name,
        title.removeprefix(f"{name}: "),
        entries["Paper"],
        entries["Thresholds"],
        entries.get("Departs"),
        entries.get("Left out"),
        text,
    )


def _header(text: str) -> tuple[str, dict[str, str]]:
    """The first line, and the entries below it; an entry goes on in lines that are indented more."""
    title, *lines = [line for line in text.partition("\nname:")[0].splitlines() if line.startswith("#")]
    entries: dict[str, str] = {}
    last = ""
    for line in lines:
        entry = _ENTRY.match(line)
        if entry:
            last = entry[1]
            entries[last] = entry[2]
        elif last:
            entries[last] += f" {line.lstrip('# ')}"
    return title.removeprefix("# "), entries


def add_parsers(commands: Any) -> None:
    """Adds `recipes` to the command line."""
    parser = commands.add_parser("recipes", help="published selections as recipes: list them, or show one")
    parser.set_defaults(command=list_command)
    actions = parser.add_subparsers(metavar="ACTION")
    listed = actions.add_parser("list", help="name, what it selects, and the paper")
    listed.set_defaults(command=list_command)
    show = actions.add_parser("show", help="the YAML of one, to be saved and edited")
    show.add_argument("name", metavar="NAME")
    show.set_defaults(command=show_command)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    for action in (listed, show):
        # A default of its own would undo what stands before the action.
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)


def list_command(args: argparse.Namespace) -> int:
    """`curation recipes` and `curation recipes list`."""
    presets = [load_preset(name) for name in preset_names()]
    if args.json:
        _write_json([{"name": preset.name, "title": preset.title, "paper": preset.paper} for preset in presets])
        return ExitCode.DONE
    table = Table("name", "selects", "paper")
    for preset in presets:
        table.add_row(preset.name, preset.title, preset.paper)
    Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
    return ExitCode.DONE


def show_command(args: argparse.Namespace) -> int:
    """`curation recipes show`."""
    preset = load_preset(args.name)
    if args.json:
        _write_json(asdict(preset))
    else:
        sys.stdout.write(preset.text)
    return ExitCode.DONE


def _write_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
