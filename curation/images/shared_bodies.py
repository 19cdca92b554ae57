"""Memory that two processes see: one puts bodies there, the other decodes them, and nothing is copied in between."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections import deque

from curation.images.decoder_frames import PROGRESS

_FIRST = mmap.PAGESIZE
"""Bodies lie behind the page for the progress."""
_USUAL_BYTES = 4 << 20
# fcntl.F_ADD_SEALS, F_SEAL_SEAL and F_SEAL_SHRINK, which Python 3.11 does not name for all builds.
_F_ADD_SEALS, _F_SEAL_SEAL, _F_SEAL_SHRINK = 1033, 1, 2


class SharedBodies:
    """The side that puts bodies, in a ring: whichever was put first is done first."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("bodies", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.truncate(self.fd, _FIRST + _USUAL_BYTES)
        # The other side must not be able to pull the memory away: touching what is gone would end this process.
        # Nor may it forbid what this side needs, such as growing.
        fcntl.fcntl(self.fd, _F_ADD_SEALS, _F_SEAL_SHRINK | _F_SEAL_SEAL)
        self._memory = mmap.mmap(self.fd, _FIRST + _USUAL_BYTES)
        self._begins: deque[int] = deque()
        self._end = _FIRST

    @property
    def progress(self) -> tuple[int, float]:
        """What the other side has put into `PROGRESS`."""
        number, begun = PROGRESS.unpack_from(self._memory)
        return number, begun

    def put(self, body: memoryview) -> int | None:
        """Copies a body to where the other side sees it, and says where that is; None if there is no room now."""
        begin = self._room(len(body))
        if begin is not None:
            self._end = begin + len(body)
            self._memory[begin : self._end] = body
            self._begins.append(begin)
        return begin

    def _room(self, length: int) -> int | None:
        size = len(self._memory)
        if not self._begins:
            if size > _FIRST + _USUAL_BYTES:
                # Of an exceptionally large body that is done with; the room stays, the memory goes.
                self._memory.madvise(mmap.MADV_REMOVE, _FIRST + _USUAL_BYTES, size - _FIRST - _USUAL_BYTES)
            if length > size - _FIRST:
                self._memory.resize(_FIRST + length)
            return _FIRST
        oldest = self._begins[0]
        if self._end > oldest:
            if self._end + length <= size:
                return self._end
            return _FIRST if _FIRST + length < oldest else None
        return self._end if self._end + length < oldest else None

    def done(self) -> None:
        """The oldest body is done with."""
        self._begins.popleft()

    def close(self) -> None:
        """Gives the memory back."""
        self._memory.close()
        os.close(self.fd)


class SeenBodies:
    """The side that reads bodies."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._memory = mmap.mmap(fd, os.fstat(fd).st_size)

    def read(self, begin: int, length: int) -> bytes:
        """A body."""
        if begin + length > len(self._memory):
            self._memory.close()
            self._memory = mmap.mmap(self._fd, os.fstat(self._fd).st_size)
        return self._memory[begin : begin + length]

    def note_progress(self, number: int, begun: float) -> None:
        """Says how many bodies were begun, and when the last of them, 0 if it is done."""
        PROGRESS.pack_into(self._memory, 0, number, begun)
