"""How a job for Ray begins: `python -m jobs.curate`, `jobs.train` and `jobs.evaluate`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from curation.runtime.secret_names import TICKET
from jobs.exit_codes import exit_code_of


def add_secret_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--secret`."""
    parser.add_argument(
        "--secret",
        action="append",
        default=[],
        metavar="NAME",
        dest="secrets",
        help="an environment variable of this command, such as AWS_SECRET_ACCESS_KEY, that all workers get as well; "
        "may be given several times. It is passed by name: its value is written nowhere",
    )


def run_as_job(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Parses arguments, takes the secrets that were submitted for the job, and runs the command."""
    args = parser.parse_args(argv)

    def carry_out() -> int:
        if TICKET in os.environ:
            # Importing Ray takes a second that others need not wait for.
            from curation.runtime.on_ray.secrets import redeem_ticket

            redeem_ticket()
        return command(args)

    return exit_code_of(carry_out)
