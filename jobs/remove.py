"""Takes down what must go: `curation remove`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from curation.console.progress import PlainProgress
from curation.errors import RecipeError
from curation.ledger.open_run import open_run
from curation.plan.checks import checked_plan
from curation.recipe.load import parse_recipe
from curation.recipe.model import Recipe
from curation.removals.lists import Kind, read_list
from curation.removals.records import Removals
from curation.removals.remove import Takedown, TakedownResult, carry_out, note_redirected, note_removal
from curation.storage.layout import RECIPE, removal_path
from curation.storage.store import Store
from jobs.curate import Where, curate, summarise
from jobs.exit_codes import ExitCode
from jobs.inspect import write_json
from schemas.records import RunRecord
from stages.catalogue import CATALOGUE

_KINDS: tuple[Kind, ...] = ("urls", "keys", "domains")
_COPIES_SHOWN = 10


def add_parsers(commands: Any) -> None:
    """Adds `remove` to the command line."""
    parser = commands.add_parser(
        "remove",
        help="take rows down: out of pool, ledgers and shards, for good",
        description="Takes rows out of everything that a run's folder holds, and notes that they never come back. "
        "Without a list it finishes a removal that was broken off, and erases what was measured of rows that a "
        "redirect has led to what was removed.",
    )
    parser.add_argument("dir", metavar="DIR", help="folder of the run")
    for kind, what in (
        ("urls", "URLs of images, in any spelling, before or after redirects"),
        ("keys", "keys of pairs, as the ledger has them"),
        ("domains", "domains; their subdomains are meant too"),
    ):
        parser.add_argument(f"--{kind}", metavar="FILE", help=f"{what}; one in each line")
    parser.add_argument("--reason", metavar="TEXT", help="is kept with the record, in clear text")
    parser.add_argument("--copies", action="store_true", help="also remove what deduplication took for copies of them")
    parser.add_argument("--no-run", action="store_true", help="leave the new version to the next `curation run`")
    parser.add_argument("--run-has-ended", action="store_true", help="though the folder's record says that one goes on")
    parser.add_argument("--runner", choices=["ray", "in-process"], default="ray")
    parser.add_argument("--address", help="Ray cluster to join; default: RAY_ADDRESS, or one on this machine")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.set_defaults(command=remove_command)


def remove_command(args: argparse.Namespace) -> int:
    """`curation remove`."""
    takedown = _takedown(args)
    store, record = open_run(args.dir)
    recipe = parse_recipe(_recipe_text(store), store.locate(RECIPE), CATALOGUE)
    result = TakedownResult()
    idle = record.state != "running" or args.run_has_ended
    if takedown is not None:
        result = note_removal(store, record, recipe.source, takedown, with_copies=args.copies, idle=idle)
    elif not Removals(store).known:
        raise RecipeError(f"{args.dir}: nothing was removed here yet; give a list with --urls, --keys or --domains")
    result.erased = carry_out(store)
    if takedown is None:
        result.removal = note_redirected(store, record, idle=idle)
        result.erased += carry_out(store)
    sys.stderr.writelines(f"removal {erased.number}: erased\n" for erased in result.erased)
    document = _values(result)
    document["run"] = None
    mistakes = None
    if not args.no_run and _had_version(store, record):
        try:
            document["run"] = _new_version(args, recipe)
        except RecipeError as error:
            # What was asked for is done: rows are erased, whatever hinders the run that would deliver the rest.
            mistakes = error
    if args.json:
        write_json(document)
    else:
        sys.stdout.write(_text(args.dir, document, result, given=takedown is not None))
    if mistakes is not None:
        raise RecipeError(f"the rows are removed, but no new version could be written: {mistakes}") from mistakes
    return ExitCode.QUARANTINED if document["run"] and document["run"]["quarantined"] else ExitCode.DONE


def _recipe_text(store: Store) -> str:
    try:
        return store.read_bytes(RECIPE).decode()
    except FileNotFoundError as error:
        raise RecipeError(
            f"{store.locate(RECIPE)}: is missing, so nothing tells where the rows come from; put the recipe of the run "
            "there (`curation run` writes it anew)"
        ) from error


def _takedown(args: argparse.Namespace) -> Takedown | None:
    given = {kind: getattr(args, kind) for kind in _KINDS if getattr(args, kind) is not None}
    if not given:
        return None
    read = {kind: read_list(kind, path) for kind, path in given.items()}
    lists = tuple(record for record, _ in read.values())
    return Takedown(lists, {kind: entries for kind, (_, entries) in read.items()}, args.reason)


def _had_version(store: Store, record: RunRecord) -> bool:
    """Whether there is a version to be followed by a new one; also where the run that makes it was broken off."""
    return record.ledger is not None or Removals(store).known[-1].had_version


def _new_version(args: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    plan = checked_plan(recipe)
    progress = PlainProgress(sys.stderr)
    result = curate(recipe, plan, args.dir, args.runner, where=Where(args.address), listener=progress)
    return summarise(args.dir, recipe, result)


def _values(result: TakedownResult) -> dict[str, Any]:
    removal = result.removal
    return {
        "removal": removal and removal.number,
        "record": removal and removal_path(removal.number),
        "keys": len(removal.keys) if removal else 0,
        "erased": [erased.model_dump(mode="json", exclude={"version"}) for erased in result.erased],
        "source_rows": result.source_rows,
        "copies": result.copies,
    }


def _text(folder: str, document: dict[str, Any], result: TakedownResult, *, given: bool) -> str:
    lines = []
    if result.removal is not None:
        lines.append(f"removal {result.removal.number}: {len(result.removal.keys):,} pairs ({document['record']})")
    elif given and not result.erased:
        lines.append("nothing new: all of it was removed before")
    for erased in result.erased:
        lines.append(
            f"erased: {erased.pool_rows:,} rows in {erased.pool_files:,} files of the pool, {erased.ledger_rows:,} "
            f"rows of ledgers; deleted: {erased.decisions:,} decisions, {len(erased.shards):,} deliveries"
        )
    run = document["run"]
    if run is not None:
        lines.append(f"new version: {run['kept']:,} of {run['rows_in']:,} rows kept; ledger: {run['ledger']}")
        lines.extend([f"shards: {run['shards']}"] if run["shards"] else [])
    else:
        lines.append(f"no new version was written; `curation run {folder}/{RECIPE} --out {folder}` writes it")
    if result.copies:
        shown = ", ".join(result.copies[:_COPIES_SHOWN]) + (", ..." if len(result.copies) > _COPIES_SHOWN else "")
        lines.append(f"not removed: {len(result.copies):,} pairs whose pictures are copies of removed ones: {shown}")
        lines.append("they may be kept now that those are gone; the same command with --copies removes them, too")
    if given and result.source_rows is None:
        lines.append("the source cannot be read; if it still has these rows, they stay out of this folder")
    elif result.source_rows:
        lines.append(
            f"the source still has them, in {result.source_rows:,} rows: it is yours and was not touched. They stay "
            "out of this folder; take them out of the source, and out of copies of shards that were made before"
        )
    return "\n".join(lines) + "\n"
