"""The pattern of what markup, templates and programs leave behind in an alt-text that was cleaned."""

from __future__ import annotations

MARKUP = "|".join(
    (
        # A tag that was cut off, and attributes whose tag was.
        r"(?i)</?[a-z][a-z0-9]*(?:\s[^<>]*)?$",
        r"""\b(?:href|src|alt|class|style|title|id|width|height|target|rel)=(?:&quot;|["'\\])""",
        # Entities that HTML does not know, or that were cut off.
        r"&#?[a-z0-9]{2,31};|&#x?[0-9a-f]{2,}",
        # BBCode, WordPress' short codes, links of Markdown and of wikis.
        r"\[/?(?:img|url|b|i|u|size|color|quote|caption|gallery|embed|vc_\w+|et_pb_\w+)\b[^\]]*\]",
        r"!?\[[^\]\n]*\]\((?:https?:|/|data:)[^)]*\)|\[\[[^\]]+\]\]",
        # Fields that no template filled in.
        r"\{\{[^}]*\}\}|\{%[^%]*%\}|<%|%>|\$\{\w+\}|%\w+%|\[(?:title|alt|name|image|product)[_ -]?\w*\]",
        # Programs and style sheets.
        r"\bfunction\s?\(\w*\)|\bvar \w+ ?=|\bdocument\.\w|\{\s?[a-z-]+:\s?[^{}]*;\s?\}",
        # Escapes of strings and addresses.
        r"\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\\[nrt]\b|%[0-9a-f]{2}%[0-9a-f]{2}",
    )
)
"""In the syntax of Rust's regex, for cleaned text."""
