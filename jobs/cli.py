"""The command line `curation`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version

from jobs import (
    cluster_jobs,
    curate,
    demo,
    evaluate,
    inspect,
    presets,
    remove,
    status,
    submit,
    train,
    upkeep,
    versions,
    whatif,
)
from jobs.exit_codes import exit_code_of
from jobs.passing_parser import PassingParser


def make_parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    parser = argparse.ArgumentParser(
        prog="curation", description="From a list of URLs to curated image-text shards to an evaluated model, on Ray."
    )
    parser.add_argument("--version", action="version", version=f"curation {version('curation')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=PassingParser)
    looking = (curate, presets, status, inspect, whatif, versions)
    for module in (*looking, remove, upkeep, train, evaluate, submit, cluster_jobs, demo):
        module.add_parsers(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Exit codes: see `jobs.exit_codes`."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    args = make_parser().parse_args(argv)
    return exit_code_of(lambda: args.command(args))


if __name__ == "__main__":
    sys.exit(main())
