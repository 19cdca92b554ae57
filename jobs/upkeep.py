"""Looks after the folder of a run: `curation verify`, `gc` and `copy`."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta
from typing import Any

from curation.errors import RecipeError
from curation.upkeep.copies import copy_run
from curation.upkeep.repair import Repair, drop_damaged
from curation.upkeep.sweep import sweep
from curation.upkeep.verify import Verification, verify_run
from jobs.exit_codes import ExitCode
from stages.deliver.validate import verify_shards

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SHOWN = 20


def add_parsers(commands: Any) -> None:
    """Adds the commands that look after a folder."""
    verify = commands.add_parser(
        "verify", help="check every checksum, count and schema of what is committed, and find what is not"
    )
    _add_folder(verify)
    verify.add_argument(
        "--repair",
        "--recompute",
        action="store_true",
        help="delete what is damaged, with its commits, so that the next `curation run` makes it again",
    )
    _add_ended(verify)
    verify.add_argument("--threads", type=int, default=8, help="files read at a time")
    verify.set_defaults(command=verify_command)
    gc = commands.add_parser("gc", help="remove what no commit names and is older than a day")
    _add_folder(gc)
    gc.add_argument("--older-than", default="1d", metavar="AGE", help="such as 12h or 7d; default: 1d")
    gc.add_argument("--dry-run", action="store_true", help="tell what would go, and remove nothing")
    _add_ended(gc)
    gc.set_defaults(command=gc_command)
    copy = commands.add_parser("copy", help="copy a run to another folder or store, verified; it can be resumed there")
    copy.add_argument("source", metavar="FROM", help="folder of the run, any fsspec path")
    copy.add_argument("target", metavar="TO", help="empty folder, or one in which a copy was broken off")
    copy.add_argument("--threads", type=int, default=8, help="files copied at a time")
    copy.add_argument("--json", action="store_true", help="one JSON document on standard output")
    copy.set_defaults(command=copy_command)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="folder of the run, any fsspec path")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def _add_ended(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run-has-ended", action="store_true", help="the run that is going on here, by its record, has died"
    )


def verify_command(args: argparse.Namespace) -> int:
    """`curation verify`."""
    found = verify_run(args.dir, verify_shards, threads=_positive(args.threads))
    repair = drop_damaged(args.dir, found, idle=args.run_has_ended) if args.repair and found.damages else None
    if args.json:
        _write_json(_verification_values(found, repair))
    else:
        sys.stdout.write(_verification_text(args.dir, found, repair))
    mended = not found.damages or (repair is not None and not repair.beyond)
    return ExitCode.DONE if mended else ExitCode.ERROR


def _verification_values(found: Verification, repair: Repair | None) -> dict[str, Any]:
    return {
        "commits": len(found.inventory.commits),
        "files": found.files,
        "size_bytes": found.size_bytes,
        "damaged": [{"path": damage.path, "problem": damage.problem} for damage in found.damages],
        "orphans": list(found.orphans),
        "unfinished_uploads": list(found.uploads),
        "dropped": repair.dropped if repair else [],
        "beyond_repair": repair.beyond if repair else [],
    }


def _verification_text(folder: str, found: Verification, repair: Repair | None) -> str:
    lines = [f"{damage.path}: {damage.problem}" for damage in found.damages]
    total = f"{found.files:,} files of {len(found.inventory.commits):,} commits, {found.size_bytes:,} bytes"
    lines.append(f"{total}: {len(found.damages):,} problems" if found.damages else f"{total}: whole")
    loose = len(found.orphans) + len(found.uploads)
    if loose:
        lines.append(f"{loose:,} files and uploads that no commit names; `curation gc {folder}` removes the old ones")
    if repair is not None:
        lines += [f"dropped: {path}" for path in repair.dropped]
        lines += [f"beyond repair, put it back from a copy: {path}" for path in repair.beyond]
        lines.append("the next `curation run` makes again what was dropped")
    elif found.damages:
        lines.append("--repair drops what is damaged, so that the next `curation run` makes it again")
    return "\n".join(lines) + "\n"


def gc_command(args: argparse.Namespace) -> int:
    """`curation gc`."""
    swept = sweep(args.dir, _age(args.older_than), dry_run=args.dry_run, idle=args.run_has_ended)
    size = sum(size_bytes for _, size_bytes in swept.files)
    if args.json:
        _write_json(
            {
                "dry_run": args.dry_run,
                "files": [{"path": path, "size_bytes": size_bytes} for path, size_bytes in swept.files],
                "uploads": list(swept.uploads),
                "young": list(swept.young),
                "held": list(swept.held),
            }
        )
        return ExitCode.DONE
    lines = [path for path, _ in swept.files] + [f"{path} (unfinished upload)" for path in swept.uploads]
    done = "would remove" if args.dry_run else "removed"
    lines.append(f"{done} {len(swept.files):,} files ({size:,} bytes) and {len(swept.uploads):,} unfinished uploads")
    if swept.young:
        lines.append(f"{len(swept.young):,} more are younger than {args.older_than} and stay")
    if swept.held:
        lines.append(
            f"{len(swept.held):,} more may be in use by a run that is going on, by its record; if it died, say "
            "--run-has-ended"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return ExitCode.DONE


def _age(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit():
        raise RecipeError(f"--older-than {text}: a number and one of {', '.join(_UNITS)}, such as 12h")
    return timedelta(seconds=int(number) * _UNITS[unit])


def _positive(threads: int) -> int:
    if threads < 1:
        raise RecipeError("--threads: at least 1")
    return threads


def copy_command(args: argparse.Namespace) -> int:
    """`curation copy`."""
    copied = copy_run(args.source, args.target, threads=_positive(args.threads))
    if args.json:
        _write_json(
            {
                "files": copied.files,
                "size_bytes": copied.size_bytes,
                "there": copied.there,
                "left_out": copied.left_out,
            }
        )
        return ExitCode.DONE
    lines = [f"copied {copied.files:,} files, {copied.size_bytes:,} bytes; {copied.there:,} were there"]
    if copied.left_out:
        shown = ", ".join(copied.left_out[:_SHOWN]) + (", …" if len(copied.left_out) > _SHOWN else "")
        lines.append(f"left out, as nothing of the run names them: {shown}")
    sys.stdout.write("\n".join(lines) + "\n")
    return ExitCode.DONE


def _write_json(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values, indent=1) + "\n")
