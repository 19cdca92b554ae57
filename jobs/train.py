"""Trains on shards: `curation train`. As a Ray job: `python -m jobs.train SHARDS --out DIR`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from pydantic import ValidationError

from curation.errors import RecipeError
from curation.ledger.open_run import open_run
from curation.recipe.mistakes import describe_mistakes
from curation.recipe.overrides import apply_overrides
from curation.recipe.yaml_document import Document, parse_yaml
from curation.runtime.secret_names import secret_values
from curation.storage.layout import RUN_RECORD
from curation.storage.store import Store
from jobs.as_job import add_secret_argument, run_as_job
from jobs.exit_codes import ExitCode
from jobs.shard_folders import is_url
from jobs.training.config import TrainConfig
from jobs.training.presets import PRESETS
from jobs.training.remote_folder import remote_folder

if TYPE_CHECKING:
    from jobs.training.loop import TrainResult


def add_parsers(commands: Any) -> None:
    """Adds `train` to the command line."""
    parser = commands.add_parser("train", help="train a dual encoder or a captioner on shards")
    add_arguments(parser)
    parser.set_defaults(command=train_command)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `train`, shared with the Ray job."""
    parser.add_argument("shards", metavar="SHARDS", help="folder of WebDataset tars, or folder of a run")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the training, any fsspec path")
    parser.add_argument("--config", metavar="FILE", help="YAML of training settings; default: the preset")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small", help="settings to start from")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides")
    parser.add_argument("--workers", type=int, default=1, help="processes; more than one run under Ray Train")
    add_secret_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def train_command(args: argparse.Namespace) -> int:
    """`curation train`."""
    config = read_config(args.config, args.preset, args.overrides)
    secret_values(args.secrets)
    shards = shards_of(args.shards)
    result = _train(shards, args.out, config, args.workers, args.secrets)
    summary = {
        "model": str(result.model),
        "steps": result.steps,
        "loss": round(result.loss, 4),
        "seconds": round(result.seconds, 1),
        "samples_per_s": round(result.samples_per_s, 1),
        "metrics": str(result.metrics),
    }
    text = json.dumps(summary, indent=1) if args.json else f"local-dir:{result.model} after {result.steps} steps"
    sys.stdout.write(text + "\n")
    return ExitCode.DONE


def _train(shards: str, out: str, config: TrainConfig, workers: int, secrets: Sequence[str]) -> TrainResult:
    if workers > 1:
        from jobs.training.distributed import train_distributed

        if is_url(out):
            raise RecipeError(
                f"--out {out}: with --workers, all processes write to one folder: name one on a file system that every "
                "node sees (shards may lie in an object store)"
            )
        return train_distributed(shards, Path(out), config, workers=workers, secrets=secrets)
    from jobs.training.loop import train

    if not is_url(out):
        return train(shards, Path(out), config)
    with remote_folder(out) as folder:
        result = train(shards, folder.local, config, saved=folder.push)
    return replace(result, model=f"{out}/model", metrics=f"{out}/metrics.jsonl")


def read_config(path: str | None, preset: str, overrides: Sequence[str]) -> TrainConfig:
    """The settings of a training: a preset, or a file, with `--set` on top.

    Raises:
        RecipeError: With one line for each mistake.
    """
    if path is None:
        values = json.loads(PRESETS[preset].model_dump_json())
        document = Document(f"preset {preset}", values, {})
    else:
        try:
            with fsspec.open(path, "r", encoding="utf-8") as file:
                document = parse_yaml(file.read(), path)
        except (OSError, ValueError) as error:
            raise RecipeError(f"{path}: the settings cannot be read: {error}") from error
        values = {} if document.values is None else document.values
        document = Document(path, values, document.lines)
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: training settings are a mapping")
    apply_overrides(values, overrides)
    try:
        return TrainConfig.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise RecipeError(describe_mistakes(error, TrainConfig, document, ())) from error


def shards_of(folder: str) -> str:
    """The folder of tars: the given one, or the delivery of the run in it.

    Raises:
        RecipeError: It is a run that has delivered nothing yet.
    """
    if not Store(folder).exists(RUN_RECORD):
        return folder
    store, record = open_run(folder)
    if record.shards is None:
        raise RecipeError(f"{folder}: this run has no shards yet; finish it with `curation run`")
    return store.address(record.shards)


def main(argv: Sequence[str] | None = None) -> int:
    """The Ray job: the same as `curation train`."""
    parser = argparse.ArgumentParser(prog="python -m jobs.train", description=__doc__)
    add_arguments(parser)
    return run_as_job(parser, train_command, argv)


if __name__ == "__main__":
    sys.exit(main())
