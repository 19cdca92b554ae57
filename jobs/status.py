"""`curation status`: how far a run is, from its commits."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from curation.ledger.open_run import open_run
from curation.ledger.run_status import ItemStatus, RunStatus, StatusReader
from curation.removals.records import Removals
from jobs.exit_codes import ExitCode
from jobs.inspect import output_console, write_json
from jobs.revisit_report import revisit_title, revisit_values
from schemas.records import Removal

WATCH_EVERY_S = 5.0
_SHOWN_REASONS = 12


def add_parsers(commands: Any) -> None:
    """Adds `status`."""
    parser = commands.add_parser("status", help="how far a run is, from what is committed; also of one that died")
    parser.add_argument("dir", metavar="DIR", help="folder of the run")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--exact", action="store_true", help="count in every commit, not in 2,000 of each item")
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=WATCH_EVERY_S,
        metavar="SECONDS",
        help="again every so many seconds until the run ends; with --json, one document a line",
    )
    parser.set_defaults(command=status_command)


def status_command(args: argparse.Namespace) -> int:
    """`curation status`."""
    reader = StatusReader(args.dir)
    console = output_console()
    while True:
        status = reader.read(exact=args.exact)
        removals = _removals(args.dir)
        if args.json and args.watch is None:
            write_json(status_values(status, removals))
        elif args.json:
            sys.stdout.write(json.dumps(status_values(status, removals)) + "\n")
            sys.stdout.flush()
        else:
            _show(console, args.dir, status, removals, clear=args.watch is not None)
        if args.watch is None or status.driver == "ended":
            return ExitCode.DONE
        time.sleep(args.watch)


def _removals(folder: str) -> list[dict[str, Any]]:
    removals = Removals(open_run(folder)[0])
    return [_removal_values(removal, removals) for removal in removals.known]


def _removal_values(removal: Removal, removals: Removals) -> dict[str, Any]:
    return {
        "number": removal.number,
        "time": removal.time,
        "reason": removal.reason,
        "keys": len(removal.keys),
        "finished": removal not in removals.unfinished,
    }


def status_values(status: RunStatus, removals: list[dict[str, Any]]) -> dict[str, Any]:
    """The status as JSON values."""
    record = status.record
    return {
        "recipe": record.recipe,
        "state": record.state,
        "driver": status.driver,
        "last_activity": datetime.fromtimestamp(status.last, UTC).isoformat(timespec="seconds"),
        "revisit": revisit_values(record.revisit) if record.revisit else None,
        "rows": record.rows,
        "parts": record.parts,
        "estimated": status.estimated,
        "rejected": dict(status.rejected),
        "failed": dict(status.failed),
        "items": [_item_values(item) for item in status.items],
        "waiting": list(record.waiting),
        "ledger": record.ledger,
        "shards": record.shards,
        "removals": removals,
    }


def _item_values(item: ItemStatus) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "name": item.name,
        "units": item.units,
        "done": item.done,
        "set_aside": list(item.set_aside),
        "rows_in": item.rows.rows_in,
        "rows_measured": item.rows.rows_measured,
        "passed_on": item.rows.passed_on if item.rows.counted else None,
        "rejected": dict(item.rows.rejected) if item.rows.counted else None,
        "failed": dict(item.rows.failed) if item.rows.counted else None,
        "units_per_s": item.units_per_s,
        "left_s": item.left_s,
    }


def _show(console: Console, folder: str, status: RunStatus, removals: list[dict[str, Any]], *, clear: bool) -> None:
    record = status.record
    if clear:
        console.clear()
    again = f" ({revisit_title(record.revisit)})" if record.revisit else ""
    console.print(f"recipe {record.recipe}: {record.state}{again}, {record.rows:,} rows in {record.parts:,} parts")
    console.print(_driver_line(status), soft_wrap=True)
    console.print(_items_table(status))
    about = "about " if status.estimated else ""
    for outcome, counts in (("rejected", status.rejected), ("failed", status.failed)):
        if counts:
            shown = ", ".join(f"{reason} {rows:,}" for reason, rows in list(counts.items())[:_SHOWN_REASONS])
            rest = f", and {len(counts) - _SHOWN_REASONS} reasons more" if len(counts) > _SHOWN_REASONS else ""
            console.print(f"{outcome} so far: {about}{sum(counts.values()):,} ({shown}{rest})", soft_wrap=True)
    for entry in removals:
        told = "" if entry["finished"] else f", begun and not finished: `curation remove {folder}` finishes it"
        console.print(f"removal {entry['number']} of {entry['time']}: {entry['keys']:,} pairs{told}", soft_wrap=True)


def _driver_line(status: RunStatus) -> str:
    ago = f"last activity {_span(max(0.0, time.time() - status.last))} ago"
    if status.driver == "ended":
        return ago
    if status.driver == "deciding":
        return (
            f"{ago}: a decision shows nothing until it is made, so nobody can tell from here whether the driver lives"
        )
    if status.driver == "working":
        return f"{ago}: the driver seems to be at work"
    return f"{ago}: the driver is silent, and dead most likely; the same `curation run` goes on from here"


def _items_table(status: RunStatus) -> Table:
    table = Table(
        "item", "name", "done", "of", "set aside", "rows in", "rejected", "failed", "passed on", "rate", "left"
    )
    for item in status.items:
        rows, about = item.rows, "~" if item.rows.estimated else ""
        ends = [sum(rows.rejected.values()), sum(rows.failed.values()), rows.passed_on]
        table.add_row(
            item.kind,
            item.name,
            f"{item.done:,}",
            f"{item.units:,}",
            _units(item.set_aside),
            f"{about}{rows.rows_in:,}",
            *(f"{about}{count:,}" if rows.counted else "?" for count in ends),
            f"{item.units_per_s:,.2f}/s" if item.units_per_s else "",
            _span(item.left_s) if item.left_s is not None else "",
        )
    for name in status.record.waiting if status.record.state == "running" else ():
        table.add_row("waiting", name)
    return table


def _units(units: tuple[int, ...]) -> str:
    if not units:
        return "0"
    return f"{len(units)}: {', '.join(map(str, units[:3]))}{' …' if len(units) > 3 else ''}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
