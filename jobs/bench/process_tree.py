"""What a command costs, with every process that it starts, daemons included."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_LINGER_S = 20.0
_POLL_S = 0.3
"""To look at all processes takes 10 ms: more often, it would take its share of what is measured."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock until the command ended, and of processors, user and system, until all its processes had."""

    wall_s: float
    cpu_s: float


def cost_of(command: Sequence[str], cwd: Path, environment: Mapping[str, str], log: Path) -> Cost:
    """Runs a command under a process that adopts whatever the command leaves behind (Linux alone).

    Raises:
        RuntimeError: The command failed; `log` has what it said.
    """
    supervised = [sys.executable, "-P", str(Path(__file__).resolve()), *command]
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S603 - the benchmark's own commands
            supervised, cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=output, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: see {log}")
    return Cost(**json.loads(done.stdout))


def main() -> int:
    """Runs the command of the arguments and prints its cost as JSON."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    ticks: dict[tuple[int, int], int] = {}
    started = time.monotonic()
    command = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)  # noqa: S603
    while _is_running(command):
        _note_ticks(ticks)
    wall_s = time.monotonic() - started
    deadline = time.monotonic() + _LINGER_S
    while _note_ticks(ticks) and time.monotonic() < deadline:
        _bury_orphans()
        time.sleep(_POLL_S)
    sys.stdout.write(json.dumps({"wall_s": wall_s, "cpu_s": sum(ticks.values()) / os.sysconf("SC_CLK_TCK")}))
    return command.returncode


def _is_running(command: subprocess.Popen[bytes]) -> bool:
    """Waits a while for its end."""
    try:
        command.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _note_ticks(ticks: dict[tuple[int, int], int]) -> bool:
    """Notes what each process below this one has used so far, by (process, start). False if there is none.

    What a process used last, before it ends, is missed, up to `_POLL_S`. `getrusage` would miss whole processes:
    those of parents that do not wait for their children, as Ray's do not.
    """
    parents: dict[int, int] = {}
    found: dict[int, tuple[int, int]] = {}
    for folder in os.scandir("/proc"):
        if folder.name.isdigit():
            try:
                # The name in the second field may hold anything; what follows its last bracket does not.
                fields = (
                    Path(folder.path, "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                )
            except OSError:
                continue
            pid = int(folder.name)
            parents[pid] = int(fields[1])
            found[pid] = int(fields[19]), int(fields[11]) + int(fields[12])
    below = [pid for pid in parents if _is_below(pid, parents)]
    for pid in below:
        begun, used = found[pid]
        ticks[pid, begun] = used
    return bool(below)


def _is_below(pid: int, parents: Mapping[int, int]) -> bool:
    while pid := parents.get(pid, 0):
        if pid == os.getpid():
            return True
    return False


def _bury_orphans() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    sys.exit(main())
