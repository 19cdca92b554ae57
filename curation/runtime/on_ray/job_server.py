"""The job server of a Ray cluster, over HTTP: submitting, looking, following, stopping."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import requires
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import packaging.requirements
import packaging.version
import ray
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from curation.errors import CurationError, LostJobError, RecipeError, TransientError, first_line
from curation.runtime.on_ray.secrets import new_ticket, sealed
from curation.runtime.secret_names import TICKET

# They tell of every upload and connection, in between the job's own words.
for _module in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
    logging.getLogger(_module).setLevel(logging.WARNING)

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
GRACE_S = 30
"""Time that a job has to end by itself when it is stopped, before its driver is killed."""
_CONNECT_TIMEOUT_S = 10
_SILENCE_S = 300
"""How long the server may be out of reach while a job is followed, and how long a job may write nothing before the
connection to it is made anew."""
_POLL_S = 0.5
_MOST_TOLD = 300
"""Characters of what the server says."""
_GIVEN_NAME = re.compile(r"-\d{8}-\d{6}-[0-9a-f]{4}")
"""How a name ends that `curation submit` made: its job has been submitted somewhere."""
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the server knows it.

    Attributes:
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        exit_code: Of the driver; None while it runs, and for a job that was stopped or whose driver never began.
        message: What the server says of how it ended.
    """

    job: str
    status: str
    exit_code: int | None
    started: datetime | None
    ended: datetime | None
    entrypoint: str
    metadata: Mapping[str, str]
    message: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in _ENDED


class JobServer:
    """A connection to the job server at an address such as `http://127.0.0.1:8265`.

    A token of the cluster is taken from the environment, as Ray's own commands do: `RAY_AUTH_MODE=token` with
    `RAY_AUTH_TOKEN` or `RAY_AUTH_TOKEN_PATH`.

    Raises:
        RecipeError: There is no job server, it wants another token, or its Ray is too old for this project.
    """

    def __init__(self, address: str) -> None:
        self._seen: set[str] = set()
        self.address = address.rstrip("/")
        self._check_reachable()
        try:
            with self._answers(), _address_alone():
                self._client = JobSubmissionClient(self.address)
        except TransientError as error:
            raise RecipeError(f"{error}; is this the address of a Ray cluster's dashboard?") from error
        self.ray_version = str(self._client._server_ray_version)
        self._check_version()

    def _check_reachable(self) -> None:
        """Ray's client waits for minutes for a host that does not answer."""
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RecipeError(
                f"{self.address}: the address of a job server is a URL such as {DEFAULT_ADDRESS}; Ray's own address "
                "(port 6379, ray://) is another one"
            )
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname, port), _CONNECT_TIMEOUT_S).close()
        except (OSError, ValueError) as error:
            raise RecipeError(
                f"{self.address}: no job server answers ({error}); is the cluster up, and its dashboard forwarded to "
                "this machine (`ray dashboard cluster.yaml`, or `kubectl port-forward`)?"
            ) from error

    def _check_version(self) -> None:
        (needed,) = (
            requirement
            for requirement in map(packaging.requirements.Requirement, requires("curation") or ())
            if requirement.name == "ray"
        )
        if not needed.specifier.contains(packaging.version.Version(self.ray_version), prereleases=True):
            raise RecipeError(
                f"{self.address}: the cluster runs Ray {self.ray_version}, but this project needs {needed.specifier} "
                f"(here is {ray.__version__}); start the cluster with that version"
            )

    @contextmanager
    def _answers(self, job: str | None = None) -> Iterator[None]:
        """Turns what Ray's client raises into errors of ours."""
        try:
            yield
        except AuthenticationError as error:
            raise RecipeError(
                f"{self.address}: the cluster wants a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
                "RAY_AUTH_TOKEN_PATH to what the cluster was started with"
            ) from error
        except OSError as error:
            raise TransientError(
                f"{self.address}: the job server cannot be reached: {first_line(error)[:_MOST_TOLD]}"
            ) from error
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            # The last two: an answer in JSON that is none of a job server's.
            if job is not None and re.search(r"status code 404|does not exist", str(error)):
                raise self._unknown(job) from error
            kind = TransientError if "status code 5" in str(error) else RecipeError
            raise kind(f"{self.address}: the job server refuses: {first_line(error)[:_MOST_TOLD]}") from error

    def _unknown(self, job: str) -> CurationError:
        if job in self._seen:
            known = (
                "knew this job and has no record of it any more: its head was restarted, most likely, which ends jobs"
            )
            return LostJobError(f"{job}: {self.address} {known}; what it committed is kept, submit it again to go on")
        if _GIVEN_NAME.search(job):
            unknown = (
                "has no record of this job: its head was restarted since, which ends jobs, or it is another cluster"
            )
            return LostJobError(f"{job}: {self.address} {unknown}; what it committed is kept, submit it again to go on")
        return RecipeError(f"{job}: no such job at {self.address}; `curation jobs list` shows what there is")

    def submit(
        self, job: str, entrypoint: str, package: Path, *, secrets: Mapping[str, str], metadata: Mapping[str, str]
    ) -> None:
        """Starts a job in a folder with the files of a zip archive.

        Args:
            secrets: Environment variables for the driver; see `curation.runtime.on_ray.secrets`.
        """
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(GRACE_S)}
        with self._answers():
            if secrets:
                variables[TICKET] = self._leave(secrets)
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=job,
                runtime_env={"working_dir": str(package), "env_vars": variables},
                metadata=dict(metadata),
            )
        self._seen.add(job)

    def _leave(self, secrets: Mapping[str, str]) -> str:
        """Leaves secrets for the driver, in the memory of the cluster's head; returns the ticket."""
        ticket = new_ticket()
        # Asking for it first is how Ray is told to throw it away after some minutes if nobody comes.
        self._client._package_exists(ticket)
        path = f"/api/packages/{ticket.replace('://', '/')}"
        answer = self._client._do_request("PUT", path, data=sealed(secrets))
        if answer.status_code != 200:
            # Not its text, which may quote what was sent.
            raise RuntimeError(f"it does not take the secrets (HTTP {answer.status_code})")
        return ticket

    def job(self, job: str) -> Job:
        """One job.

        Raises:
            LostJobError: There was one.
            RecipeError: There is none.
        """
        with self._answers(job):
            found = _job(self._client.get_job_info(job))
        self._seen.add(job)
        return found

    def jobs(self) -> list[Job]:
        """All submitted jobs, the newest first."""
        with self._answers():
            found = [_job(details) for details in self._client.list_jobs() if details.submission_id]
        return sorted(found, key=lambda job: job.started.timestamp() if job.started else 0.0, reverse=True)

    def logs(self, job: str) -> str:
        """Everything that a job has written so far."""
        with self._answers(job):
            return str(self._client.get_job_logs(job))

    def stop(self, job: str) -> bool:
        """Asks a job to end; it has `GRACE_S` for it. Whether it was running."""
        with self._answers(job):
            return bool(self._client.stop_job(job))

    def follow(self, job: str, write: Callable[[str], Any]) -> Job:
        """Writes what a job writes until it ends, whatever becomes of the connection meanwhile.

        Raises:
            TransientError: The server has been out of reach for five minutes. The job may go on.
            LostJobError: The server has forgotten it.
        """
        self.job(job)
        written = 0
        heard = time.monotonic()
        while True:
            for text in _tail(self._client, job, skip=written):
                written += len(text)
                write(text)
            # The job has ended, or the connection to it.
            try:
                now = self.job(job)
                rest = self._rest(job, written) if now.has_ended else ""
            except TransientError:
                if time.monotonic() - heard > _SILENCE_S:
                    raise
            else:
                heard = time.monotonic()
                if now.has_ended:
                    write(rest)
                    return now
            time.sleep(_POLL_S)

    def _rest(self, job: str, written: int) -> str:
        try:
            return self.logs(job)[written:]
        except (RecipeError, LostJobError):
            # A job that never began has no logs.
            return ""

    def wait(self, job: str, timeout_s: float) -> Job:
        """The job when it has ended, or when the time is up."""
        limit = time.monotonic() + timeout_s
        while not (now := self.job(job)).has_ended and time.monotonic() < limit:
            time.sleep(_POLL_S)
        return now


def _tail(client: JobSubmissionClient, job: str, skip: int) -> Iterator[str]:
    """What a job writes, but for its first characters, until it ends or the connection does."""
    texts = client.tail_job_logs(job)
    with asyncio.Runner() as runner:
        while (text := runner.run(_next(texts))) is not None:
            skipped = min(skip, len(text))
            skip -= skipped
            if text[skipped:]:
                yield text[skipped:]


async def _next(texts: AsyncIterator[str]) -> str | None:
    try:
        # A connection that something on the way has dropped is silent for ever.
        return await asyncio.wait_for(anext(texts, None), _SILENCE_S)
    except (aiohttp.ClientError, RuntimeError, OSError):
        return None


@contextmanager
def _address_alone() -> Iterator[None]:
    """Ray's client prefers addresses from the environment to the one that it is given."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _job(details: Any) -> Job:
    return Job(
        job=str(details.submission_id),
        status=str(getattr(details.status, "value", details.status)),
        exit_code=details.driver_exit_code,
        started=_time(details.start_time),
        ended=_time(details.end_time),
        entrypoint=details.entrypoint,
        metadata=dict(details.metadata or {}),
        message=details.message or "",
    )


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
