"""How the image code says that a body is no image, or not an intact one."""

from __future__ import annotations

from schemas.outcomes import FailureReason


class ImageFailure(Exception):
    """A body could not be made into pixels.

    Attributes:
        reason: Why.
        detail: The evidence, the same for the same bytes.
    """

    def __init__(self, reason: FailureReason, detail: str | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def truncated(detail: str) -> ImageFailure:
    """The failure of a file that ends too early."""
    return ImageFailure(FailureReason.TRUNCATED_IMAGE, detail)


def corrupt(detail: str) -> ImageFailure:
    """The failure of a file that is damaged."""
    return ImageFailure(FailureReason.CORRUPT_IMAGE, detail)


def too_many_frames(most: int) -> ImageFailure:
    """The failure of an animation, or a file of many pages, that is longer than any that is looked at."""
    return ImageFailure(FailureReason.TOO_MANY_FRAMES, f"more than {most}")


def unsupported(detail: str) -> ImageFailure:
    """The failure of an image in a format, or a corner of a format, that is not decoded."""
    return ImageFailure(FailureReason.UNSUPPORTED_FORMAT, detail)
