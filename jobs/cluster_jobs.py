"""Jobs on a cluster: `curation jobs list`, `status`, `logs` and `stop`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from rich.table import Table

from jobs.exit_codes import ExitCode
from jobs.inspect import output_console, write_json

if TYPE_CHECKING:
    from curation.runtime.on_ray.job_server import Job, JobServer

_FROM_ENVIRONMENT = "RAY_API_SERVER_ADDRESS"
_KILLED = 128
"""What a shell adds to the number of the signal that ended a process."""


def add_parsers(commands: Any) -> None:
    """Adds `jobs` to the command line."""
    jobs = commands.add_parser("jobs", help="submitted jobs: list, status, logs, stop")
    actions = jobs.add_subparsers(metavar="ACTION", required=True)
    for name, command, text in (
        ("list", list_command, "all jobs that were submitted to the cluster"),
        ("status", status_command, "how a job is, and what its driver's exit code was"),
        ("logs", logs_command, "what a job has written"),
        ("stop", stop_command, "end a job; everything committed is kept"),
    ):
        parser = actions.add_parser(name, help=text)
        if name != "list":
            parser.add_argument("job", metavar="JOB", help="its name, as `curation jobs list` tells it")
        if name == "logs":
            parser.add_argument(
                "-f", "--follow", action="store_true", help="until it ends; the exit code is then the driver's"
            )
        add_address_argument(parser)
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
        parser.set_defaults(command=command)


def add_address_argument(parser: argparse.ArgumentParser) -> None:
    """Adds `--address` of a job server."""
    parser.add_argument(
        "--address",
        metavar="URL",
        help=f"of the cluster's job server, which is its dashboard; default: {_FROM_ENVIRONMENT}, or "
        "http://127.0.0.1:8265",
    )


def job_server(address: str | None) -> JobServer:
    """The job server at the address, or at the default one."""
    # Importing Ray takes a second that a wrong command need not wait for.
    from curation.runtime.on_ray.job_server import DEFAULT_ADDRESS, JobServer

    return JobServer(address or os.environ.get(_FROM_ENVIRONMENT) or DEFAULT_ADDRESS)


def ended_code(job: Job | None) -> int:
    """The exit code of a command that waited for a job: its driver's; None: nobody waits any longer."""
    if job is None or job.status == "STOPPED":
        return ExitCode.INTERRUPTED
    if job.exit_code is None:
        return ExitCode.ERROR
    return job.exit_code if job.exit_code >= 0 else _KILLED - job.exit_code


def job_values(job: Job) -> dict[str, Any]:
    """A job as JSON values."""
    return {
        "job": job.job,
        "status": job.status,
        "exit_code": job.exit_code,
        "started": job.started.isoformat() if job.started else None,
        "ended": job.ended.isoformat() if job.ended else None,
        "entrypoint": job.entrypoint,
        "metadata": dict(job.metadata),
        "message": job.message,
    }


def list_command(args: argparse.Namespace) -> int:
    """`curation jobs list`."""
    jobs = job_server(args.address).jobs()
    if args.json:
        write_json({"jobs": [job_values(job) for job in jobs]})
        return ExitCode.DONE
    table = Table("job", "status", "exit code", "started", "took", "out")
    for job in jobs:
        started = f"{job.started:%Y-%m-%d %H:%M}" if job.started else ""
        code = "" if job.exit_code is None else str(job.exit_code)
        table.add_row(job.job, job.status, code, started, _took(job), job.metadata.get("out", job.entrypoint))
    output_console().print(table, markup=False)
    return ExitCode.DONE


def status_command(args: argparse.Namespace) -> int:
    """`curation jobs status`."""
    job = job_server(args.address).job(args.job)
    if args.json:
        write_json(job_values(job))
        return ExitCode.DONE
    code = "" if job.exit_code is None else f", exit code {job.exit_code}"
    lines = [f"{job.job}: {job.status}{code}", f"runs: {job.entrypoint}"]
    if job.started:
        lines.append(f"started {job.started:%Y-%m-%d %H:%M:%S} UTC{', took ' + _took(job) if job.ended else ''}")
    if job.exit_code is None and job.has_ended and job.message:
        lines.append(job.message)
    sys.stdout.write("\n".join(lines) + "\n")
    return ExitCode.DONE


def logs_command(args: argparse.Namespace) -> int:
    """`curation jobs logs`."""
    server = job_server(args.address)
    if not args.follow:
        job, text = server.job(args.job), server.logs(args.job)
        if args.json:
            write_json({**job_values(job), "logs": text})
        else:
            sys.stdout.write(text)
        return ExitCode.DONE
    texts: list[str] = []
    try:
        job = server.follow(args.job, texts.append if args.json else _write_at_once)
    except KeyboardInterrupt:
        return ended_code(None)
    if args.json:
        write_json({**job_values(job), "logs": "".join(texts)})
    return ended_code(job)


def stop_command(args: argparse.Namespace) -> int:
    """`curation jobs stop`."""
    from curation.runtime.on_ray.job_server import GRACE_S

    server = job_server(args.address)
    was_running = server.stop(args.job)
    job = server.wait(args.job, 2 * GRACE_S)
    if args.json:
        write_json({**job_values(job), "was_running": was_running})
    else:
        sys.stdout.write(f"{job.job}: {job.status}{'' if was_running else ' already'}\n")
    return ExitCode.DONE if job.has_ended else ExitCode.ERROR


def _write_at_once(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _took(job: Job) -> str:
    if job.started is None or job.ended is None:
        return ""
    seconds = round((job.ended - job.started).total_seconds())
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
