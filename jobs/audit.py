"""Asks whether any pinned package has a known vulnerability: `make audit`.

pip-audit does the asking. Behind a mirror that knows packages and no vulnerabilities it says "No known vulnerabilities
found", and of packages that its service does not know nothing more than "skipped". So a package that is known to be
vulnerable is asked for as well, and three cases are told apart: all is well, something was found, nobody could be
asked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from curation.errors import RecipeError
from jobs.exit_codes import ExitCode, exit_code_of

_ROOT = Path(__file__).parents[1]
_SERVICES = ("pypi", "osv")
_TIMEOUT_S = 600
_ACCEPTED = _ROOT / "docs" / "accepted-vulnerabilities.yaml"
_CANARY = ("django", "1.8")
"""Known to be vulnerable for as long as there are advisories, and no package that this project has."""


class Accepted(BaseModel):
    """A finding that was looked into and is lived with until a day.

    Attributes:
        id: As the service names it, or one of its aliases.
        reason: Why it does no harm here, or why nothing can be done.
        until: From this day on it counts again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    reason: str = Field(min_length=10)
    until: date


@dataclass(frozen=True)
class Answer:
    """What a service said.

    Attributes:
        findings: `package version: id, id (fixed in …)`, by the finding's ids.
        asked: Packages that the service knows.
        unknown: Packages that it does not.
    """

    findings: Mapping[tuple[str, ...], str]
    asked: int
    unknown: tuple[str, ...]


def read_accepted(path: Path) -> list[Accepted]:
    """The list of accepted findings.

    Raises:
        RecipeError: It is not as it has to be.
    """
    values = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    try:
        return TypeAdapter(list[Accepted]).validate_python(values)
    except ValidationError as error:
        raise RecipeError(f"{path}: {error}") from error


def ask(requirements: Path, service: str, osv_url: str | None = None) -> Answer | None:
    """What a service says of pinned packages, None where it cannot be reached or knows no vulnerabilities."""
    with tempfile.TemporaryDirectory() as folder:
        canary, output = Path(folder, "canary.txt"), Path(folder, "answer.json")
        canary.write_text("==".join(_CANARY) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        command += ["--requirement", str(requirements), "--requirement", str(canary)]
        command += ["--format", "json", "--output", str(output), "--vulnerability-service", service]
        command += ["--osv-url", osv_url] if osv_url else []
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"{service}: no answer within {_TIMEOUT_S} s\n")
            return None
        if not output.exists():
            sys.stderr.write(f"{service}: {(done.stderr.strip().splitlines() or ['no answer'])[-1]}\n")
            return None
        answer = read_answer(json.loads(output.read_text(encoding="utf-8")))
    if answer is None:
        sys.stderr.write(
            f"{service}: does not know that {' '.join(_CANARY)} is vulnerable (a mere mirror of packages?)\n"
        )
    return answer


def read_answer(document: Mapping[str, Any]) -> Answer | None:
    """pip-audit's JSON; None where not even the vulnerable package was found to be so."""
    packages = [package for package in document["dependencies"] if package["name"] != _CANARY[0]]
    if not any(package.get("vulns") for package in document["dependencies"] if package["name"] == _CANARY[0]):
        return None
    findings = {}
    for package in packages:
        for found in package.get("vulns", ()):
            ids = (found["id"], *sorted(found["aliases"]))
            fixed = f"fixed in {', '.join(found['fix_versions'])}" if found["fix_versions"] else "no fix yet"
            findings[package["name"], *ids] = f"{package['name']} {package['version']}: {', '.join(ids)} ({fixed})"
    unknown = tuple(package["name"] for package in packages if "skip_reason" in package)
    return Answer(findings, len(packages) - len(unknown), unknown)


def audit(answer: Answer, accepted: Sequence[Accepted], today: date) -> tuple[list[str], list[str]]:
    """The findings that count, and those that are accepted for the time being, as lines."""
    valid = {one.id: one for one in accepted if today < one.until}
    counted, lived_with = [], []
    for ids, line in answer.findings.items():
        reason = next((valid[known] for known in ids if known in valid), None)
        if reason is None:
            counted.append(line)
        else:
            lived_with.append(f"{line}: accepted until {reason.until}: {reason.reason}")
    return counted, lived_with


def audit_command(args: argparse.Namespace) -> int:
    """`make audit`."""
    accepted = read_accepted(args.accepted)
    for service in args.service or _SERVICES:
        answer = ask(args.requirements, service, args.osv_url)
        if answer is not None:
            return _report(service, answer, accepted)
    sys.stderr.write("NOT AUDITED: no service that knows vulnerabilities can be reached from here\n")
    return ExitCode.ERROR if args.require_answer else ExitCode.DONE


def _report(service: str, answer: Answer, accepted: Sequence[Accepted]) -> int:
    counted, lived_with = audit(answer, accepted, date.today())
    sys.stdout.writelines(f"{line}\n" for line in [*lived_with, *counted])
    if answer.unknown:
        sys.stdout.write(f"{service} does not know {', '.join(answer.unknown)}\n")
    sys.stdout.write(f"{answer.asked} packages asked of {service}, {len(counted)} vulnerabilities\n")
    return ExitCode.ERROR if counted else ExitCode.DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Exits with 1 where something is found; that nobody could be asked is said, and is no failure unless wanted."""
    parser = argparse.ArgumentParser(prog="python -m jobs.audit", description=__doc__)
    parser.add_argument("--requirements", type=Path, default=_ROOT / "constraints.txt", metavar="FILE")
    parser.add_argument(
        "--accepted", type=Path, default=_ROOT / "docs" / "accepted-vulnerabilities.yaml", metavar="FILE"
    )
    parser.add_argument("--service", action="append", choices=_SERVICES, help="default: pypi, else osv")
    parser.add_argument("--osv-url", metavar="URL", help="a mirror of OSV's API")
    parser.add_argument("--require-answer", action="store_true", help="fail where nobody can be asked, as CI should")
    args = parser.parse_args(argv)
    return exit_code_of(lambda: audit_command(args))


if __name__ == "__main__":
    sys.exit(main())
