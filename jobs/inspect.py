"""Looks into a run: `curation funnel`, `explain` and `query`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from decimal import Decimal
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from curation.errors import RecipeError
from curation.ledger.explain import explain, verdict_line
from curation.ledger.funnel import Funnel, make_funnel
from curation.ledger.open_run import find_version, open_ledger
from curation.ledger.query import query
from curation.recipe.yaml_document import parse_yaml
from curation.storage.layout import RECIPE, version_recipe
from jobs.exit_codes import ExitCode

_PIPE_WIDTH = 240


def add_parsers(commands: Any) -> None:
    """Adds the commands that look into a run."""
    for name, command, text in (
        ("funnel", funnel_command, "how many rows each step let through"),
        ("explain", explain_command, "why a row ended as it did"),
        ("query", query_command, "SQL over the table `ledger`"),
    ):
        parser = commands.add_parser(name, help=text)
        parser.add_argument("dir", metavar="DIR", help="folder of the run; DIR#FINGERPRINT: a version of it")
        if name == "explain":
            parser.add_argument("wanted", metavar="KEY_OR_URL")
        if name == "query":
            parser.add_argument("sql", metavar="SQL")
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
        parser.set_defaults(command=command)


def funnel_command(args: argparse.Namespace) -> int:
    """`curation funnel`."""
    funnel = run_funnel(args.dir)
    if args.json:
        steps = [
            {
                "step": step.step,
                "rows_in": step.rows_in,
                "rows_out": step.rows_out,
                "rejected": step.rejected,
                "failed": step.failed,
            }
            for step in funnel.steps
        ]
        write_json({"rows_in": funnel.rows_in, "kept": funnel.kept, "steps": steps})
    else:
        output_console().print(_funnel_table(funnel))
    return ExitCode.DONE


def run_funnel(folder: str) -> Funnel:
    """The funnel of a version of a run, its steps in the order of the recipe that made it."""
    store, fingerprint = find_version(folder)
    texts = store.read_many([version_recipe(fingerprint), RECIPE])
    recipe = parse_yaml(next(text for text in texts if text is not None).decode(), RECIPE).values
    names = [str(step.get("name") or step["kind"]) for step in recipe["steps"]]
    return make_funnel(open_ledger(folder), names)


def _funnel_table(funnel: Funnel) -> Table:
    table = Table("step", "in", "rejected", "failed", "out", "of these", title=f"{funnel.rows_in:,} rows in")
    for step in funnel.steps:
        losses = {**step.rejected, **step.failed}
        reasons = ", ".join(f"{reason.removeprefix(step.step + '.')} {rows:,}" for reason, rows in losses.items())
        table.add_row(
            step.step,
            f"{step.rows_in:,}",
            f"{sum(step.rejected.values()):,}",
            f"{sum(step.failed.values()):,}",
            f"{step.rows_out:,}",
            reasons,
        )
    return table


def explain_command(args: argparse.Namespace) -> int:
    """`curation explain`."""
    rows = explain(open_ledger(args.dir), args.wanted)
    if not rows:
        raise RecipeError(f"{args.wanted}: neither a key nor a URL of this run")
    if args.json:
        write_json({"rows": rows})
        return ExitCode.DONE
    console = output_console()
    for row in rows:
        console.print(f"row {row['row']} (key {row['key']}): {verdict_line(row)}", markup=False, soft_wrap=True)
        table = Table("column", "value", show_header=False)
        for name, value in row.items():
            table.add_row(name, str(value))
        console.print(table, markup=False)
    return ExitCode.DONE


def query_command(args: argparse.Namespace) -> int:
    """`curation query`."""
    frame = query(open_ledger(args.dir), args.sql)
    if args.json:
        write_json({"columns": frame.columns, "rows": frame.to_dicts()})
    else:
        with pl.Config(tbl_rows=100, tbl_cols=-1, fmt_str_lengths=80, tbl_hide_dataframe_shape=True):
            sys.stdout.write(f"{frame}\n")
    return ExitCode.DONE


def output_console() -> Console:
    """A console on standard output."""
    # Lines for a file or a pipe are not broken where a terminal would end.
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def write_json(document: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(_json_values(document), indent=1, default=str, allow_nan=False) + "\n")


def _json_values(value: Any) -> Any:
    """The same with null for NaN and the infinities, which JSON does not have, and decimals as plain numbers."""
    if isinstance(value, dict):
        return {str(name): _json_values(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_values(entry) for entry in value]
    if isinstance(value, Decimal):
        return float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
