"""How long a process has waited for a processor, as the kernel counts it."""

from __future__ import annotations

import os


class RunQueueWait:
    """Of the main thread of a process, whoever's it is.

    Source: `/proc/PID/schedstat`, Documentation/scheduler/sched-stats of Linux: the second figure, in nanoseconds.
    """

    def __init__(self, pid: int) -> None:
        try:
            self._file = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY)
        except OSError:  # a kernel that does not count it, or the process has ended
            self._file = -1

    def seconds(self) -> float:
        """Since it began; 0.0 where the kernel does not say, or it has ended."""
        if self._file < 0:
            return 0.0
        try:
            return int(os.pread(self._file, 96, 0).split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def close(self) -> None:
        """Lets go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
