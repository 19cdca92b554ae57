"""Patterns of alt-texts that name a file or an address, or only say that there is an image."""

from __future__ import annotations

import polars as pl

_IMAGE_EXTENSIONS = "jpe?g|jpe|jfif|a?png|gif|webp|bmp|tiff?|svgz?|avif|hei[cf]|ico|psd|eps|cr2|nef|dng"
_CAMERA_STEMS = (
    "img|imag|image|images|dsc[fn]?|pxl|pic|pict|picture|photo|foto|mvi|dcim|screen[ _-]?shot|scan|gopr|slide|figure"
    "|fig|unnamed|untitled|whatsapp image|snapchat|file"
)
FILE_NAME = "|".join(
    (
        # One token, or one or two words, with an extension. A described file ("Lake in the hills.jpg") is a caption.
        rf"(?i)^(?:\S+\s)?\S+\.(?:{_IMAGE_EXTENSIONS})(?:[?#]\S*|\s?\(\d+\))?$",
        # What cameras and phones number: IMG_2034, DSC 0042 (1), P1020304.
        rf"^(?:{_CAMERA_STEMS})[ _.-]*\(?\d[\d _.,:()x@at-]*(?:[ap]m)?$",
        r"^(?:p|wp|sam|vid)_?\d{4}[\d_-]*$",
        # One token that no language would write: snake_case, %20, 800x600, long numbers, hexadecimal names.
        r"^\S*[a-z0-9]_[a-z0-9]\S*$",
        r"^\S*%20\S*$",
        r"^\S*\d{2,5}x\d{2,5}\S*$",
        r"^\S*\d{5}\S*$",
        r"^[0-9a-f]*\d[0-9a-f]*[a-f][0-9a-f]{6,}$",
    )
)
"""The whole text is the name of a file; for cleaned text, in the syntax of Rust's regex."""

URL = (
    r"(?i)\b(?:https?|ftp)://\S|\bwww\.[a-z0-9-]+\.[a-z]{2}"
    r"|^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|info|biz|co|io|de|fr|uk|ru|cn|jp|nl|it|es|pl|br|eu|us|ca|au)(?:/\S*)?$"
)
"""An address within the text, or a text that is a domain; in the syntax of Rust's regex."""

_IMAGE_WORDS = (
    "image images img imgs photo photos photograph photographs photography picture pictures pic pics thumbnail "
    "thumbnails thumb thumbs placeholder untitled unnamed unknown title alt alternative text alttext description "
    "caption default loading lazy blank spacer empty null none undefined nan na test sample preview main featured "
    "hero header footer banner background bg cover gallery slider slideshow slide carousel attachment file media "
    "object item product article post page blog content icon icons logo logos avatar profile user author graphic "
    "graphics screenshot screenshots screen shot scan figure fig stock available unavailable coming soon found missing "
    "click enlarge zoom larger large full size fullsize view open expand read more learn see show here download share "
    "home menu search close next previous prev back print email play pause video credit source result"
)
_FILLERS = "a an the of for to by in on at is are be not no this your our and or s it"
_ANY_IMAGE_WORD = "|".join(sorted({*_IMAGE_WORDS.split(), *_FILLERS.split()}))
PLACEHOLDER = rf"(?i)^[^\p{{L}}]*(?:(?:{_ANY_IMAGE_WORD})(?:[^\p{{L}}\p{{M}}]+|$))*$"
"""Every word of the text is one that pages use about any image, such as "Image 3", "no description", "Click to enlarge"
and "default product photo", or the text has no letter; in the syntax of Rust's regex."""


def fold(text: pl.Expr) -> pl.Expr:
    """Texts as phrases are searched for: in lower case, runs of anything but letters and digits folded into a space.

    Which texts say the same is told by `normal_form`, which keeps apart texts that have no words.
    """
    return text.str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()
