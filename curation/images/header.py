"""What is known of an image before any pixel of it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

MAX_FRAMES = 10_000
"""Readers of headers stop counting here: a file with more is refused, and costs no more than one with so many."""
MAX_BLOCKS = 200_000
"""Most blocks, chunks or segments of a file: beyond, it was made to keep its reader busy."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The header of an image file.

    Attributes:
        format: jpg, png, gif, webp, bmp, tiff or avif.
        width: Of the stored picture, in pixels.
        height: Of the stored picture, in pixels.
        orientation: EXIF's 1 to 8; from 5 on, width and height change places.
        plain: One frame of RGB with 8 bits a channel and without transparency: every program shows the same.
        channels: Stored colour components, 0 where it does not matter.
        deep: More than 8 bits a channel.
        frames: Pictures in the file, of which the first is decoded.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    plain: bool = False
    channels: int = 0
    deep: bool = False
    frames: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height once the orientation is applied, in pixels."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height
