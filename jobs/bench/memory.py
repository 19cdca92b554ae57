"""The most memory that this process has ever held."""

from __future__ import annotations

from pathlib import Path


def peak_rss_bytes() -> int:
    """Of this program alone: `getrusage` would count what the process held before it became this program (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
