"""Tries settings of the deciding steps: `curation whatif`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from rich.table import Table

from curation.engine.whatif import Example, WhatIf, what_if
from curation.errors import RecipeError
from curation.ledger.funnel import Funnel
from curation.ledger.open_run import open_run
from curation.masking import mask
from curation.plan.checks import checked_plan
from curation.recipe.load import parse_recipe
from curation.storage.layout import RECIPE
from jobs.exit_codes import ExitCode
from jobs.inspect import output_console, write_json
from stages.catalogue import CATALOGUE


def add_parsers(commands: Any) -> None:
    """Adds `whatif` to the command line."""
    parser = commands.add_parser("whatif", help="what other settings would keep and reject; writes nothing")
    parser.add_argument("dir", metavar="DIR", help="folder of the run")
    parser.add_argument("--set", action="append", required=True, metavar="PATH=VALUE", dest="overrides")
    parser.add_argument("--examples", type=int, default=3, metavar="N", help="rows of each kind to show")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(command=whatif_command)


def whatif_command(args: argparse.Namespace) -> int:
    """`curation whatif`."""
    store, record = open_run(args.dir)
    try:
        text = store.read_bytes(RECIPE).decode()
    except FileNotFoundError as error:
        raise RecipeError(f"{args.dir}: there is no {RECIPE}; `curation run` writes it") from error
    origin = store.locate(RECIPE)
    now = parse_recipe(text, origin, CATALOGUE)
    then = parse_recipe(text, origin, CATALOGUE, args.overrides)
    checked_plan(then)
    result = what_if(store, record, now, then, max(args.examples, 0))
    if args.json:
        write_json({**whatif_values(result), "set": [mask(override) for override in args.overrides]})
    else:
        _print(result)
    return ExitCode.DONE


def whatif_values(result: WhatIf) -> dict[str, Any]:
    """The answer as JSON values."""
    return {
        "rows_in": result.funnel.rows_in,
        "compared_with": "ledger" if result.from_ledger else "pool",
        "kept": {"present": result.present.kept, "then": result.funnel.kept},
        "lost": {"rows": sum(result.lost.values()), "by": result.lost},
        "gained": {"rows": sum(result.gained.values()), "by": result.gained},
        "unmeasured": result.unmeasured,
        "present": _funnel_values(result.present),
        "then": _funnel_values(result.funnel),
        "examples": {
            "lost": [asdict(example) for example in result.lost_examples],
            "gained": [asdict(example) for example in result.gained_examples],
        },
    }


def _funnel_values(funnel: Funnel) -> list[dict[str, Any]]:
    return [
        {"step": step.step, "rows_in": step.rows_in, "rejected": step.rejected, "failed": step.failed}
        for step in funnel.steps
    ]


def _print(result: WhatIf) -> None:
    console = output_console()
    console.print(
        f"{result.present.kept:,} rows are kept{'' if result.from_ledger else ' of what is measured so far'}, "
        f"{result.funnel.kept:,} would be: {sum(result.lost.values()):,} lost, {sum(result.gained.values()):,} gained"
    )
    for phase, rows in result.unmeasured.items():
        console.print(
            f"{rows:,} more rows would live on to {phase}, which has not measured them: whether they are kept cannot "
            "be told before a run has"
        )
    console.print(_table(result.present, result.funnel))
    _print_examples(console, "lost, by what would end it", result.lost_examples)
    _print_examples(console, "gained, by what ended it", result.gained_examples)


def _table(present: Funnel, then: Funnel) -> Table:
    table = Table("step", "ended by", "now", "then", "change")
    losses = [{step.step: {**step.rejected, **step.failed} for step in funnel.steps} for funnel in (present, then)]
    for step in dict.fromkeys([*losses[1], *losses[0]]):
        before, after = (funnel.get(step, {}) for funnel in losses)
        for reason in dict.fromkeys([*before, *after]):
            now, new = before.get(reason, 0), after.get(reason, 0)
            change = f"{new - now:+,}" if new != now else ""
            table.add_row(step, reason.removeprefix(step + "."), f"{now:,}", f"{new:,}", change)
    change = f"{then.kept - present.kept:+,}" if then.kept != present.kept else ""
    table.add_row("", "kept", f"{present.kept:,}", f"{then.kept:,}", change)
    return table


def _print_examples(console: Any, title: str, examples: tuple[Example, ...]) -> None:
    if not examples:
        return
    table = Table("key", "url", "caption", "reason", "figure", title=title, title_justify="left")
    for example in examples:
        table.add_row(example.key, example.url, example.caption, example.reason, example.detail or "")
    console.print(table, markup=False)
