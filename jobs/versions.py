"""Compares: `curation versions` and `curation diff`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from rich.table import Table

from curation.errors import RecipeError
from curation.ledger.diff import LedgerDiff, Transition, diff_ledgers
from curation.ledger.open_run import open_ledger
from curation.ledger.versions import Version, list_versions
from jobs.exit_codes import ExitCode
from jobs.inspect import output_console, write_json


def add_parsers(commands: Any) -> None:
    """Adds `versions` and `diff` to the command line."""
    versions = commands.add_parser("versions", help="the versions of a folder: what each recipe that was run came to")
    versions.add_argument("dir", metavar="DIR", help="folder of the run")
    versions.set_defaults(command=versions_command)
    diff = commands.add_parser("diff", help="which rows ended otherwise in another run, or another version of a run")
    diff.add_argument("before", metavar="A", help="folder of a run; DIR#FINGERPRINT: a version of it")
    diff.add_argument("after", metavar="B", nargs="?", help="likewise; left out: A is its folder's version before that")
    diff.add_argument("--examples", type=int, default=3, metavar="N", help="rows of each kind to show")
    diff.set_defaults(command=diff_command)
    for parser in (versions, diff):
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def versions_command(args: argparse.Namespace) -> int:
    """`curation versions`."""
    versions = list_versions(args.dir)
    if args.json:
        write_json({"versions": [{**asdict(version), "written": version.written.isoformat()} for version in versions]})
        return ExitCode.DONE
    table = Table("version", "written", "rows", "kept", "shards", "differs from the one before")
    for version in versions:
        table.add_row(
            f"{version.fingerprint}{' (latest)' if version.is_latest else ''}",
            f"{version.written:%Y-%m-%d %H:%M}",
            f"{version.rows:,}",
            f"{version.kept:,}",
            version.shards or "none",
            "\n".join(version.changes or ()),
        )
    output_console().print(table, markup=False)
    return ExitCode.DONE


def diff_command(args: argparse.Namespace) -> int:
    """`curation diff`."""
    before, after = (args.before, args.after) if args.after else _last_two(args.before)
    diff = diff_ledgers(open_ledger(before), open_ledger(after), max(args.examples, 0))
    if args.json:
        document = {"before": before, "after": after, "changed": diff.changed, **asdict(diff)}
        write_json({**document, "kept": {"before": diff.kept[0], "after": diff.kept[1]}})
    else:
        _print(diff, before, after)
    return ExitCode.DONE


def _last_two(folder: str) -> tuple[str, str]:
    """The latest version of a folder, and the one that was written before it."""
    versions = list_versions(folder)
    latest = next((place for place, version in enumerate(versions) if version.is_latest), None)
    others: list[Version] = [version for place, version in enumerate(versions) if place != latest]
    if latest is None or not others:
        raise RecipeError(f"{folder}: name two runs or versions; this folder has {len(versions)} of its own to compare")
    return f"{folder}#{others[-1].fingerprint}", folder


def _print(diff: LedgerDiff, before: str, after: str) -> None:
    console = output_console()
    console.print(f"from {before} to {after}", markup=False, soft_wrap=True)
    console.print(
        f"{diff.same:,} rows ended the same way, {diff.changed:,} otherwise; "
        f"{diff.kept[0]:,} were kept, {diff.kept[1]:,} are"
    )
    for text, counts in (("only the first has", diff.only_before), ("only the second has", diff.only_after)):
        if counts:
            parts = ", ".join(f"{label} {rows:,}" for label, rows in counts.items())
            console.print(f"{text} {sum(counts.values()):,} rows: {parts}", markup=False, soft_wrap=True)
    if diff.transitions:
        table = Table("was", "is", "rows")
        for transition in diff.transitions:
            table.add_row(transition.before, transition.after, f"{transition.rows:,}")
        console.print(table, markup=False)
    for transition in diff.transitions:
        _print_examples(console, transition)


def _print_examples(console: Any, transition: Transition) -> None:
    if not transition.examples:
        return
    title = f"{transition.before} -> {transition.after}"
    table = Table("key", "url", "caption", "figure before", "figure after", title=title, title_justify="left")
    for example in transition.examples:
        details = (example["detail_before"] or "", example["detail_after"] or "")
        table.add_row(example["key"], example["url"], example["caption"], *details)
    console.print(table, markup=False)
