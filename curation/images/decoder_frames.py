"""What a decoding process and whoever feeds it say to each other: numbers, text and bytes. No pickles."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, dataclass
from typing import Any

from curation.images.delivery import Delivery, DeliverySettings, Refusal
from curation.images.formats import SUPPORTED
from schemas.outcomes import Outcome

HELLO = b"ready\n"
"""What a decoding process says first, once it has loaded what it needs and limited itself."""
REQUEST = struct.Struct("<QQ")
"""For each body: where in the memory that both see it begins, and its length."""
PROGRESS = struct.Struct("@Qd")
"""At the start of that memory: how many bodies were begun, and when the last of them, by the monotonic clock.

The time is 0 when that one is done. So it is known which file was in hand, whenever and of whatever a process dies.
"""
OUT_OF_MEMORY = 75
"""Exit code of a decoding process that reached its limit of memory."""

_RESULT = struct.Struct("<IIIIIfHHBBB")
_OUTCOMES = tuple(Outcome)
_ORIGINAL, _IMAGE, _KEPT, _DETAIL, _LEAVING = 1, 2, 4, 8, 16
_ALL_FLAGS = 31
_MAX_REASON_BYTES = 100
_MAX_DETAIL_BYTES = 1000


class BrokenFrameError(Exception):
    """What arrived is no result: whoever sent it is out of its mind, and nothing more of it counts."""


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """What a decoding process is started with.

    Attributes:
        delivery: What is asked of each image.
        memory_bytes: Memory it may take beside what it has after its start.
        shared: File descriptor of the memory that both see.
        lifeline: File descriptor of a pipe that closes when whoever started the process ends.
    """

    delivery: DeliverySettings
    memory_bytes: int
    shared: int
    lifeline: int

    def to_text(self) -> str:
        """As an argument of the process."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> ChildSettings:
        """What `to_text` wrote."""
        fields: dict[str, Any] = json.loads(text)
        delivery = fields.pop("delivery")
        return cls(DeliverySettings(**{**delivery, "formats": tuple(delivery["formats"])}), **fields)


@dataclass(frozen=True, slots=True)
class Result:
    """A result as it is sent.

    Attributes:
        delivery: What became of a body; an image that is the body is not sent back.
        leaving: The process ends behind this result, and reads no further body.
    """

    delivery: Delivery
    leaving: bool


def pack_result(result: Result) -> tuple[bytes, bytes]:
    """The frame of a result, in two pieces of which the second is the image."""
    delivery, refusal = result.delivery, result.delivery.refusal
    image = delivery.image or b""
    reason = detail = b""
    flags = _LEAVING if result.leaving else 0
    if delivery.original_size is not None:
        flags |= _ORIGINAL
    if delivery.size is not None:
        flags |= _IMAGE | (_KEPT if delivery.kept else 0)
    if refusal is not None:
        reason = refusal.reason.encode()
        if refusal.detail is not None:
            flags |= _DETAIL
            detail = refusal.detail.encode("utf-8", "replace")[:_MAX_DETAIL_BYTES]
    head = _RESULT.pack(
        len(image),
        *(delivery.original_size or (0, 0)),
        *(delivery.size or (0, 0)),
        delivery.seconds or 0.0,
        len(reason),
        len(detail),
        0 if refusal is None else 1 + _OUTCOMES.index(refusal.outcome),
        0 if delivery.original_format is None else 1 + SUPPORTED.index(delivery.original_format),
        flags,
    )
    return head + reason + detail, image


class ResultBuffer:
    """Where what arrives is put until it is whole: one piece of memory, used over and over."""

    def __init__(self, size_bytes: int, max_image_bytes: int) -> None:
        """Takes its size at first, and the length of an image that is longer than any can be."""
        self._max_image_bytes = max_image_bytes
        self._memory = bytearray(size_bytes)
        self._begin = self._end = 0

    def space(self) -> memoryview:
        """Where to put what comes next; `filled` says how much it was."""
        if self._begin:
            self._memory[: self._end - self._begin] = self._memory[self._begin : self._end]
            self._begin, self._end = 0, self._end - self._begin
        if 2 * self._end > len(self._memory):
            self._memory = self._memory + bytearray(len(self._memory))
        return memoryview(self._memory)[self._end :]

    def filled(self, length: int) -> None:
        """So many bytes have been put into the space."""
        self._end += length

    def take(self, length: int) -> bytes | None:
        """Removes the first bytes, None if there are not so many."""
        begin, end = self._begin, self._begin + length
        if end > self._end:
            return None
        self._begin = end
        return bytes(memoryview(self._memory)[begin:end])

    def take_result(self) -> Result | None:
        """Removes the first frame, None if it is not whole yet.

        Raises:
            BrokenFrameError: It is none that `pack_result` makes.
        """
        if self._begin + _RESULT.size > self._end:
            return None
        numbers = _RESULT.unpack_from(self._memory, self._begin)
        _require_possible(numbers, self._max_image_bytes)
        image_bytes, reason_bytes, detail_bytes = numbers[0], numbers[6], numbers[7]
        if self._begin + _RESULT.size + reason_bytes + detail_bytes + image_bytes > self._end:
            return None
        self._begin += _RESULT.size
        reason, detail, image = self.take(reason_bytes), self.take(detail_bytes), self.take(image_bytes)
        return _result_of(numbers, reason or b"", detail or b"", image)


def _require_possible(numbers: tuple[Any, ...], max_image_bytes: int) -> None:
    """Refuses numbers of a frame that no result has, before anything is made of them or waited for."""
    image_bytes, _, _, width, height, seconds, reason_bytes, detail_bytes, outcome, original_format, flags = numbers
    has_image, is_body = bool(flags & _IMAGE), bool(flags & _KEPT)
    possible = (
        outcome <= len(_OUTCOMES)
        and original_format <= len(SUPPORTED)
        and flags <= _ALL_FLAGS
        and image_bytes <= max_image_bytes
        and reason_bytes <= _MAX_REASON_BYTES
        and detail_bytes <= _MAX_DETAIL_BYTES
        and math.isfinite(seconds)
        # There is an image or a refusal, and an image has pixels; its bytes are there unless it is the body.
        and has_image == (not outcome)
        and bool(width and height) == has_image
        and bool(image_bytes) == (has_image and not is_body)
    )
    if not possible:
        raise BrokenFrameError("numbers that no result has")


def _result_of(numbers: tuple[Any, ...], reason: bytes, detail: bytes, image: bytes | None) -> Result:
    _, original_width, original_height, width, height, seconds, _, _, outcome, original_format, flags = numbers
    delivery = Delivery(
        original_format=SUPPORTED[original_format - 1] if original_format else None,
        original_size=(original_width, original_height) if flags & _ORIGINAL else None,
        seconds=seconds,
    )
    if flags & _IMAGE:
        delivery.image, delivery.size, delivery.kept = image or None, (width, height), bool(flags & _KEPT)
    if outcome:
        said = detail.decode("utf-8", "replace") if flags & _DETAIL else None
        try:
            delivery.refusal = Refusal(_OUTCOMES[outcome - 1], reason.decode(), said)
        except UnicodeDecodeError as error:
            raise BrokenFrameError("a reason is no text") from error
    return Result(delivery, bool(flags & _LEAVING))
