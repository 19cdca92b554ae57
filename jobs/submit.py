"""Submits to a cluster: `curation submit RECIPE --address URL --out s3://…`; `--job`: a training or an evaluation."""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import fsspec

from curation.engine.revisits import check_request
from curation.errors import RecipeError
from curation.masking import holds_secret, is_secret_name, mask, masked
from curation.plan.checks import plan_from_afar
from curation.recipe.load import parse_recipe
from curation.recipe.yaml_document import parse_yaml
from curation.runtime.secret_names import secret_values
from jobs import curate, evaluate, train
from jobs.as_job import add_secret_argument
from jobs.cluster_jobs import add_address_argument, ended_code, job_server, job_values
from jobs.passing_parser import PassingParser
from jobs.project_package import checkout, named_files, project_files, recipe_place, write_package
from stages.catalogue import CATALOGUE

if TYPE_CHECKING:
    from curation.runtime.on_ray.job_server import JobServer


@dataclass(frozen=True)
class Submission:
    """What a job is given.

    Attributes:
        name: Of the recipe or the kind of job: the job's name begins with it.
        local: By argument that names a file here, the text of the file, which travels with the job.
        out: Where it writes to, empty for what writes nothing.
    """

    name: str
    local: Mapping[str, str] = field(default_factory=dict)
    out: str = ""

    def metadata(self, kind: str) -> dict[str, str]:
        """What the job server shows of it."""
        return {"kind": kind, "name": self.name, "out": self.out}


def add_parsers(commands: Any) -> None:
    """Adds `submit` to the command line."""
    parser: PassingParser = commands.add_parser(
        "submit",
        help="run a recipe on a cluster, from here",
        usage="curation submit RECIPE --out DIR [--address URL] [--secret NAME] [--with PATH] [--no-wait] [--json] …",
        epilog="All other arguments are those of `curation run` (with --job train or evaluate: of `curation train` or "
        "`curation evaluate`), such as --set, --retry-failed and --refresh; they go to the job. The exit code is the "
        "driver's.",
        allow_abbrev=False,
    )
    parser.add_argument("--job", choices=sorted(_KINDS), default="curate", help="what to submit; default: curate")
    add_address_argument(parser)
    add_secret_argument(parser)
    parser.add_argument(
        "--with",
        action="append",
        default=[],
        metavar="PATH",
        dest="also",
        help="a file or folder that the recipe names, as seen from here; it travels, too",
    )
    parser.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="follow the job's logs until it ends (the default), or print its name and leave it alone",
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON document on standard output, logs on standard error"
    )
    parser.set_defaults(command=submit_command)
    parser.passes_to(_job_parser)


def submit_command(args: Namespace) -> int:
    """`curation submit`."""
    kind = _KINDS[args.job]
    submission = kind.check(args.passed)
    values = secret_values(args.secrets)
    arguments = _arguments(args, submission)
    _check_no_secret(arguments, submission)
    files = _files(args)
    server = job_server(args.address)
    name = f"{_slug(submission.name)}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    arguments += [word for secret in args.secrets for word in ("--secret", secret)]
    entrypoint = shlex.join(["python", "-m", kind.module, *arguments])
    texts = {recipe_place(path): text for path, text in submission.local.items()}
    with TemporaryDirectory() as folder:
        package = Path(folder) / "package.zip"
        write_package(package, files, texts)
        told = f"{len(files | texts):,} files, {package.stat().st_size / 1e6:.1f} MB"
        server.submit(name, entrypoint, package, secrets=values, metadata=submission.metadata(args.job))
    sys.stderr.write(f"submitted {name} to {server.address} ({told})\n")
    return _followed(server, name, args) if args.wait else _left_alone(server, name, as_json=args.json)


def _check_no_secret(arguments: Sequence[str], submission: Submission) -> None:
    """The job server shows arguments to everybody, and what travels lies on every node's disk."""
    words = (*arguments, submission.name, submission.out)
    if any(masked(word) != word or ("=" in word and is_secret_name(word.partition("=")[0])) for word in words):
        raise RecipeError(
            "an argument holds a secret, which the cluster would show with the job; leave it to the environment, and "
            "name the variable with --secret"
        )
    for origin, text in submission.local.items():
        if holds_secret(parse_yaml(text, origin).values):
            sys.stderr.write(
                f"{mask(origin)} holds a secret, which will lie on the cluster's disks; better leave it to the "
                "environment, and name the variable with --secret\n"
            )


def _files(args: Namespace) -> dict[str, Path]:
    root = checkout()
    files = {path.relative_to(root).as_posix(): path for path in project_files(root)} if root else {}
    return {**files, **named_files(args.also, Path.cwd())}


def _arguments(args: Namespace, submission: Submission) -> list[str]:
    """The job's arguments: as they were given, but for local files, which lie elsewhere there."""
    words = list(args.passed_words)
    for path in submission.local:
        for index, word in enumerate(words):
            option = "--config=" if word == f"--config={path}" else ""
            if word == option + path and _names_file(args, [*words[:index], option + _MARK, *words[index + 1 :]]):
                words[index] = option + recipe_place(path)
                break
    return words


_MARK = "\0"


def _names_file(args: Namespace, words: list[str]) -> bool:
    """Whether the mark stands for the recipe, or the file of settings, and not for something that is spelt like it."""
    given = _job_parser(args).parse_args(words)
    return _MARK in (getattr(given, "recipe", None), getattr(given, "config", None))


def _followed(server: JobServer, name: str, args: Namespace) -> int:
    output = sys.stderr if args.json else sys.stdout
    try:
        job = server.follow(name, lambda text: (output.write(text), output.flush()))
    except KeyboardInterrupt:
        ways = f"`curation jobs logs -f {name}`, `curation jobs stop {name}`"
        sys.stderr.write(f"\nno longer following {name}, which goes on: {ways}\n")
        return ended_code(None)
    if args.json:
        sys.stdout.write(json.dumps(job_values(job), indent=1) + "\n")
    return ended_code(job)


def _left_alone(server: JobServer, name: str, *, as_json: bool) -> int:
    sys.stdout.write(json.dumps({"job": name, "address": server.address}) + "\n" if as_json else f"{name}\n")
    return 0


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "job"


def _check_out(out: str) -> None:
    if "://" not in out and not os.path.isabs(out):
        raise RecipeError(
            f"--out {out}: a folder of this machine is of no use to a cluster; name one that every node reaches, such "
            "as s3://bucket/runs/mine, or an absolute path on a shared file system"
        )


def _check_curate(given: Namespace) -> Submission:
    _check_out(given.out)
    request = curate.request_of(given)
    try:
        with fsspec.open(given.recipe, "r", encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError, ImportError) as error:
        raise RecipeError(f"{given.recipe}: the recipe cannot be read: {error}") from error
    recipe = parse_recipe(text, given.recipe, CATALOGUE, given.overrides)
    plan = plan_from_afar(recipe)
    if request is not None and plan is not None:
        check_request(plan, request)
    return Submission(recipe.name, {given.recipe: text}, given.out)


def _check_train(given: Namespace) -> Submission:
    _check_out(str(given.out))
    train.read_config(given.config, given.preset, given.overrides)
    local = {given.config: Path(given.config).read_text(encoding="utf-8")} if given.config else {}
    return Submission("train", local, str(given.out))


@dataclass(frozen=True)
class _Kind:
    """A job that can be submitted: what runs there, what it takes, what is checked here."""

    module: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    check: Callable[[Namespace], Submission]


_KINDS = {
    "curate": _Kind("jobs.curate", curate.add_run_arguments, _check_curate),
    "train": _Kind("jobs.train", train.add_arguments, _check_train),
    "evaluate": _Kind("jobs.evaluate", evaluate.add_arguments, lambda given: Submission("evaluate")),
}


def _job_parser(args: Namespace) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"curation submit --job {args.job}", allow_abbrev=False)
    _KINDS[args.job].add_arguments(parser)
    return parser
