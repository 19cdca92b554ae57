"""What may be wrong with a pair of the sandbox web, how often, and what must become of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class CaptionKind(StrEnum):
    """How a row's caption relates to its picture."""

    RIGHT = "right"
    MISMATCHED = "mismatched"
    """A true caption of another picture; it names nothing that is in this one."""
    HALF_RIGHT = "half_right"
    """One colour or one shape is wrong."""
    FILE_NAME = "useless:file_name"
    PLACEHOLDER = "useless:placeholder"
    """"image", "photo 3", "thumbnail" and the like."""
    SEO_LIST = "useless:seo_list"
    ONE_WORD = "useless:one_word"
    WRONG_LANGUAGE = "useless:wrong_language"
    HTML_ENTITIES = "useless:html_entities"
    TOO_LONG = "useless:too_long"
    """2,000 characters and more of a page's text."""

    @property
    def useless(self) -> bool:
        """Whether the text says nothing about the picture, whatever the picture is."""
        return self.value.startswith("useless:")


class CopyKind(StrEnum):
    """Whether a row's picture was made from another row's."""

    NONE = "none"
    EXACT = "exact"
    """The same bytes under another URL."""
    RESCALED = "near:rescaled"
    RECOMPRESSED = "near:recompressed"
    CROPPED = "near:cropped"
    WATERMARKED = "near:watermarked"
    COLOUR_SHIFTED = "near:colour_shifted"

    @property
    def near(self) -> bool:
        """Whether the picture is an altered one."""
        return self.value.startswith("near:")


class Trouble(StrEnum):
    """What is wrong with fetching or decoding a row's picture; at most one thing."""

    NONE = "none"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    HEALS = "heals"
    """500 at the first requests, then the picture."""
    TOO_MANY_REQUESTS = "too_many_requests"
    """429 with `Retry-After: 1` at the first request, then the picture."""
    RESET = "reset"
    TRICKLE = "trickle"
    """A body that comes by the byte, for ever."""
    SHORT_BODY = "short_body"
    """The connection is closed before Content-Length is reached."""
    HTML_AS_JPEG = "html_as_jpeg"
    JPEG_AS_HTML = "jpeg_as_html"
    REDIRECT_ONE_HOP = "redirect_one_hop"
    REDIRECT_LOOP = "redirect_loop"
    REDIRECT_PRIVATE = "redirect_private"
    """A redirect to a private or link-local address."""
    BOMB = "bomb"
    """A valid PNG of 30,000 x 30,000 pixels and some 100 kB."""
    ONE_PIXEL = "one_pixel"
    BANNER = "banner"
    """A picture 20 times as wide as high."""
    CMYK = "cmyk"
    SIXTEEN_BIT = "sixteen_bit"
    PALETTE = "palette"
    RGBA = "rgba"
    EXIF_ROTATED = "exif_rotated"
    ANIMATED_GIF = "animated_gif"
    WEBP = "webp"
    AVIF = "avif"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    NOAI = "noai"
    """`X-Robots-Tag: noai`."""
    ROBOTS = "robots"
    """A path that robots.txt disallows."""


FINE = ("fine", "")
"""The picture must come through; what becomes of the row is decided by its caption and copies."""

EXPECTED: Mapping[Trouble, tuple[str, str]] = {
    Trouble.NONE: FINE,
    Trouble.NOT_FOUND: ("failed", "http_not_found"),
    Trouble.FORBIDDEN: ("failed", "http_forbidden"),
    Trouble.GONE: ("failed", "http_gone"),
    Trouble.HEALS: FINE,
    Trouble.TOO_MANY_REQUESTS: FINE,
    Trouble.RESET: ("failed", "connection_reset"),
    Trouble.TRICKLE: ("failed", "total_timeout"),
    Trouble.SHORT_BODY: ("failed", "truncated_body"),
    Trouble.HTML_AS_JPEG: ("failed", "not_an_image"),
    Trouble.JPEG_AS_HTML: FINE,
    Trouble.REDIRECT_ONE_HOP: FINE,
    Trouble.REDIRECT_LOOP: ("failed", "redirect_loop"),
    Trouble.REDIRECT_PRIVATE: ("failed", "blocked_address"),
    Trouble.BOMB: ("failed", "too_many_pixels"),
    Trouble.ONE_PIXEL: ("rejected", "decode_images.min_side"),
    Trouble.BANNER: ("rejected", "decode_images.max_aspect"),
    Trouble.CMYK: FINE,
    Trouble.SIXTEEN_BIT: FINE,
    Trouble.PALETTE: FINE,
    Trouble.RGBA: FINE,
    Trouble.EXIF_ROTATED: FINE,
    Trouble.ANIMATED_GIF: FINE,
    Trouble.WEBP: FINE,
    Trouble.AVIF: FINE,
    Trouble.TRUNCATED: ("failed", "truncated_image"),
    Trouble.CORRUPT: ("failed", "corrupt_image"),
    Trouble.NOAI: ("failed", "opted_out"),
    Trouble.ROBOTS: ("failed", "robots_disallowed"),
}
"""The outcome and reason that a trouble alone decides. Rows in trouble have a right caption and
are neither copies nor originals of copies."""

_ENOUGH_FOR_TWO, _ENOUGH_FOR_ONE = 300, 100


class Rates(BaseModel):
    """Shares of all rows; what is left are right captions of pictures that come at once.

    Every kind with a share above 0 appears at least twice from 300 rows on, and at least once
    from 100 rows on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    captions: dict[CaptionKind, float] = {
        CaptionKind.MISMATCHED: 0.22,
        CaptionKind.HALF_RIGHT: 0.06,
        CaptionKind.FILE_NAME: 0.028,
        CaptionKind.PLACEHOLDER: 0.02,
        CaptionKind.SEO_LIST: 0.018,
        CaptionKind.ONE_WORD: 0.018,
        CaptionKind.WRONG_LANGUAGE: 0.018,
        CaptionKind.HTML_ENTITIES: 0.01,
        CaptionKind.TOO_LONG: 0.008,
    }
    copies: dict[CopyKind, float] = {
        CopyKind.EXACT: 0.06,
        CopyKind.RESCALED: 0.018,
        CopyKind.RECOMPRESSED: 0.018,
        CopyKind.CROPPED: 0.014,
        CopyKind.WATERMARKED: 0.015,
        CopyKind.COLOUR_SHIFTED: 0.015,
    }
    mismatched_copies: float = 0.05
    """The share of copies whose caption is mismatched; the others' captions are right."""
    troubles: dict[Trouble, float] = {
        Trouble.NOT_FOUND: 0.016,
        Trouble.FORBIDDEN: 0.005,
        Trouble.GONE: 0.004,
        Trouble.HEALS: 0.006,
        Trouble.TOO_MANY_REQUESTS: 0.004,
        Trouble.RESET: 0.004,
        Trouble.TRICKLE: 0.002,
        Trouble.SHORT_BODY: 0.004,
        Trouble.HTML_AS_JPEG: 0.005,
        Trouble.JPEG_AS_HTML: 0.004,
        Trouble.REDIRECT_ONE_HOP: 0.01,
        Trouble.REDIRECT_LOOP: 0.003,
        Trouble.REDIRECT_PRIVATE: 0.003,
        Trouble.BOMB: 0.001,
        Trouble.ONE_PIXEL: 0.005,
        Trouble.BANNER: 0.005,
        Trouble.CMYK: 0.003,
        Trouble.SIXTEEN_BIT: 0.003,
        Trouble.PALETTE: 0.004,
        Trouble.RGBA: 0.005,
        Trouble.EXIF_ROTATED: 0.008,
        Trouble.ANIMATED_GIF: 0.004,
        Trouble.WEBP: 0.008,
        Trouble.AVIF: 0.005,
        Trouble.TRUNCATED: 0.005,
        Trouble.CORRUPT: 0.004,
        Trouble.NOAI: 0.004,
        Trouble.ROBOTS: 0.004,
    }

    @model_validator(mode="after")
    def _shares_are_possible(self) -> Self:
        shares = [*self.captions.values(), *self.copies.values(), *self.troubles.values()]
        if min(shares, default=0.0) < 0 or not 0 <= self.mismatched_copies <= 1:
            raise ValueError("a rate is a share from 0 to 1")
        for kinds, usual in (
            (self.captions, CaptionKind.RIGHT),
            (self.copies, CopyKind.NONE),
            (self.troubles, Trouble.NONE),
        ):
            if usual in kinds:
                raise ValueError(f"{usual.value!r} has no rate of its own: it is what is left")
        if sum(shares) + sum(self.copies.values()) > 1:
            raise ValueError("the rates (copies counted twice, for their originals) exceed 1")
        return self


def count_of(rate: float, pairs: int) -> int:
    """Returns how many of so many pairs a rate stands for, the least number of a kind included."""
    if rate == 0:
        return 0
    least = 2 if pairs >= _ENOUGH_FOR_TWO else 1 if pairs >= _ENOUGH_FOR_ONE else 0
    return max(least, round(rate * pairs))
