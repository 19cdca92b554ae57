"""Evaluates a model: `curation evaluate`. As a Ray job: `python -m jobs.evaluate MODEL --data FOLDER`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from curation.runtime.secret_names import secret_values
from jobs.as_job import add_secret_argument, run_as_job
from jobs.exit_codes import ExitCode


def add_parsers(commands: Any) -> None:
    """Adds `evaluate` to the command line."""
    parser = commands.add_parser("evaluate", help="zero-shot accuracy and retrieval of a dual encoder")
    add_arguments(parser)
    parser.set_defaults(command=evaluate_command)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `evaluate`, shared with the Ray job."""
    parser.add_argument("model", metavar="MODEL", help="such as local-dir:DIR/model, embedded:clip or ViT-B-32/openai")
    parser.add_argument("--data", required=True, metavar="FOLDER", help="evaluation shards, any fsspec path")
    parser.add_argument("--pool", type=int, default=100, help="candidates in retrieval")
    parser.add_argument("--limit", type=int, help="read so many samples at most")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    add_secret_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def evaluate_command(args: argparse.Namespace) -> int:
    """`curation evaluate`."""
    from jobs.evaluation.evaluate import evaluate

    secret_values(args.secrets)
    figures = evaluate(
        args.model, args.data, pool=args.pool, limit=args.limit, batch_size=args.batch_size, device=args.device
    )
    sys.stdout.write(json.dumps(figures, indent=1) + "\n" if args.json else _text(figures))
    return ExitCode.DONE


def _text(figures: dict[str, Any]) -> str:
    lines = [f"{figures['model']}, {figures['samples']:,} samples"]
    for task in ("zero_shot", "retrieval"):
        for name, value in figures.get(task, {}).items():
            lines.append(f"{task:>10}  {name:<14} {value:g}")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """The Ray job: the same as `curation evaluate`."""
    parser = argparse.ArgumentParser(prog="python -m jobs.evaluate", description=__doc__)
    add_arguments(parser)
    return run_as_job(parser, evaluate_command, argv)


if __name__ == "__main__":
    sys.exit(main())
