"""Takes secrets out of whatever is written down: messages, logs, the resolved recipe, records, metrics.

Two things are masked: what has the form of a secret (user and password in a URL, a signature in its query, a token of a
known make, a value beside a name such as `password`), and every value that this process knows to be one: of environment
variables that are called so, and of the recipe's `storage_options`. What rows hold, such as their URLs, is data and
stays.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"

_NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|signature|sig|api[_-]?key|access[_-]?key(?:[_-]?id)?|"
    r"secret[_-]?key|storage[_-]?key|account[_-]?key|private[_-]?key|shared[_-]?key|"
    r"sas(?:[_-]token)?|auth|authorization|cookie|connection[_-]?string"
)
_NAME = re.compile(rf"(?:^(?:pg|ssh)?|[_.-])(?:{_NAMES})$", re.IGNORECASE)
"""Names of settings and environment variables that hold a secret; `max_new_tokens` is none."""

_USER_AND_PASSWORD = re.compile(r"(?<=://)[^\s/@:'\"]*:(?!\d{1,5}(?:[/?#]|\Z))([^\s@'\"]{1,1000}+)(?=@)")
"""What follows the colon is no port. AWS's secrets hold slashes, so it ends with an @, wherever it is, but not too far:
texts that somebody else made must not keep anybody busy."""
_SIGNATURE = re.compile(rf"(?i)([?&;](?:[\w.-]*[_.-])?(?:{_NAMES})=)([^&#;\s'\"<>]+)")

_IN_SETTINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_USER_AND_PASSWORD, MASK),
    (re.compile(r"(?<=://)[^\s/@:'\"?#]+(?=@)"), MASK),
    (_SIGNATURE, rf"\g<1>{MASK}"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"\b(?:hf_|gh[opsru]_|github_pat_|glpat-|xox[abpr]-|sk-)[\w-]{16,}"), MASK),
    (re.compile(r"\bAIza[\w-]{35}"), MASK),
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
)
"""What is a secret wherever it stands."""

_IN_MESSAGES: tuple[tuple[re.Pattern[str], str], ...] = (
    *_IN_SETTINGS,
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[\w.~+/-]{8,}=*"), rf"\g<1>\g<2>{MASK}"),
    # A line of headers or of YAML.
    (
        re.compile(rf"(?im)^(\s*(?:[a-z0-9-]+-)?(?:{_NAMES}):[ \t]+)(?!bearer\s|basic\s|[*'\"{{\[])\S.*"),
        rf"\g<1>{MASK}",
    ),
    # `'secret': 'x'`, `AWS_SECRET_ACCESS_KEY=x`. In the condition of a recipe such a thing compares a column.
    (
        re.compile(rf"(?i)((?<![a-z0-9])(?:{_NAMES})['\"]?\s*[:=]\s*)(['\"])(?:(?!\2).)+\2"),
        rf"\g<1>\g<2>{MASK}\g<2>",
    ),
    (re.compile(rf"(?i)((?<![a-z0-9])(?:{_NAMES})=)(?![*'\"])[^\s,;&)}}\]]+"), rf"\g<1>{MASK}"),
)

_MASKED = re.compile(rf"^{re.escape(MASK)}$|://{re.escape(MASK)}@|[?&;][\w.-]+={re.escape(MASK)}")

_OPTION_FIELDS = frozenset({"storage_options", "client_kwargs", "config_kwargs", "headers", "session_kwargs"})
_PLAIN_OPTIONS = frozenset(
    {
        *(
            "anon",
            "endpoint_url",
            "endpoint",
            "region_name",
            "region",
            "profile",
            "project",
            "account_name",
            "protocol",
        ),
        *("protocol", "consistency", "requester_pays", "user_project", "use_ssl", "verify", "default_acl"),
        *("signature_version", "addressing_style", "mode", "host", "port", "user_agent"),
    }
)
"""Entries of `storage_options` that say where and how, not with what right; all other texts there are masked."""

_PLACE_NAME = re.compile(
    r"(?:^|_)(?:region|profile|project|account_name|endpoint(?:_url)?)$|^aws_endpoint_url_\w+$", re.IGNORECASE
)
"""Names of environment variables that say where."""
_PLACE = re.compile(r"(?:https?://)?[A-Za-z0-9.-]{1,100}(?::\d{1,5})?/?")

_MIN_CHARS = {"settings": 6, "environment": 8}
"""A shorter value would be found in innocent texts everywhere."""
_known: set[str] = set()


@cache
def is_secret_name(name: str) -> bool:
    """Whether a setting or an environment variable of this name holds a secret."""
    return _NAME.search(name) is not None


def remember(values: Iterable[str]) -> None:
    """From now on these values are masked in this process wherever they stand."""
    _known.update(value for value in values if len(value) >= _MIN_CHARS["settings"])


def remember_variables(variables: Mapping[str, str]) -> None:
    """From now on the values of these variables are masked like those of `remember`, whatever the variables are called.

    But for what says where and not with what right, such as `AWS_REGION=eu-central-1`: a path or a saved recipe may
    hold it, and needs it. What is called a place and does not look like one, such as an endpoint with a password or a
    path, is masked.
    """
    secret = [value for name, value in variables.items() if not (_PLACE_NAME.search(name) and _PLACE.fullmatch(value))]
    remember(secret)
    remember(found for value in secret for found in _secrets_of(value, inside_options=False))


def known_values() -> tuple[str, ...]:
    """What `remember` was told, for the processes that this one starts."""
    return tuple(sorted(_known))


def mask(text: str) -> str:
    """A message with `***` in place of every secret in it."""
    return _replaced(text, _IN_MESSAGES)


def masked(settings: Any) -> Any:
    """JSON values of settings, such as a resolved recipe, with `***` in place of every secret in them."""
    return _masked(settings, inside_options=False)


def holds_secret(settings: Any) -> bool:
    """Whether `masked` would take something out of settings."""
    return any(_secrets_of(settings, inside_options=False))


def was_masked(value: str) -> bool:
    """Whether a setting is what `masked` leaves of a secret."""
    return _MASKED.search(value) is not None


def remember_settings(settings: Any) -> None:
    """Remembers what `masked` would take out of settings."""
    remember(_secrets_of(settings, inside_options=False))


def _replaced(text: str, forms: Iterable[tuple[re.Pattern[str], str]]) -> str:
    for spelling in _spellings_of(frozenset(_known.union(_secrets_of_environment()))):
        text = text.replace(spelling, MASK)
    for pattern, replacement in forms:
        text = pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=16)
def _spellings_of(values: frozenset[str]) -> tuple[str, ...]:
    """The longest first: a shorter one may be a piece of it."""
    return tuple(sorted({spelling for value in values for spelling in _spellings(value)}, key=len, reverse=True))


@cache
def _spellings(value: str) -> tuple[str, ...]:
    """A value as it is, and as it stands in a URL, in Python's representation of a text, in JSON and in Base64."""
    quoted = [quote(value), quote(value, safe=""), quote_plus(value)]
    quoted += [_ESCAPE.sub(lambda escape: escape[0].lower(), text) for text in quoted]
    written = [repr(value)[1:-1], repr(f"'{value}")[2:-1], json.dumps(value)[1:-1]]
    return (value, *quoted, *written, *_base64_spellings(value.encode(errors="surrogatepass")))


_ESCAPE = re.compile(r"%[0-9A-F]{2}")


def _base64_spellings(value: bytes) -> Iterator[str]:
    """What Base64, plain and for URLs, makes of a value that stands alone, or somewhere in a longer text.

    Three bytes are four characters, so it hangs on the number of bytes before the value. Characters at its ends that
    hold bits of its neighbours are left out; they tell four bits at most.
    """
    for encode in (b64encode, urlsafe_b64encode):
        for before, mixed in ((0, 0), (1, 2), (2, 3)):
            padded = encode(bytes(before) + value).decode()[mixed:]
            text = padded.rstrip("=")
            # As it stands at the end of a text, and before something else.
            yield from (padded, text, text if len(padded) == len(text) else text[:-1])


def mask_process() -> None:
    """Masks what every logger of this process says, and the traceback it may end with. To be called where one begins.

    A filter of one logger, or of one handler, would miss the others: records are masked where they are made.
    """
    make = logging.getLogRecordFactory()
    if not getattr(make, "masks", False):
        logging.setLogRecordFactory(_MaskedRecords(make))
    sys.excepthook = _masked_excepthook


class _MaskedRecords:
    masks = True

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        try:
            record.msg, record.args = mask(record.getMessage()), None
        except (TypeError, ValueError):
            # Its arguments do not fit its text; the handler says so, without them.
            record.msg, record.args = mask(str(record.msg)), None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = mask("".join(traceback.format_exception(*record.exc_info)).rstrip())
            record.exc_info = None
        if record.stack_info:
            record.stack_info = mask(record.stack_info)
        return record


def _masked_excepthook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    sys.stderr.write(mask("".join(traceback.format_exception(kind, error, where))))


def _secrets_of_environment() -> set[str]:
    least = _MIN_CHARS["environment"]
    there = os.environ.items()
    return {value for name, value in there if len(value) >= least and is_secret_name(name) and name != "PWD"}


def _masked(value: Any, *, inside_options: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            name: MASK
            if _is_secret(name, inner, inside_options)
            else _masked(inner, inside_options=inside_options or name in _OPTION_FIELDS)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_masked(inner, inside_options=inside_options) for inner in value]
    return _replaced(value, _IN_SETTINGS) if isinstance(value, str) else value


def _is_secret(name: object, value: object, inside_options: bool) -> bool:
    if not isinstance(value, str) or not value:
        return False
    return is_secret_name(str(name)) or (inside_options and str(name) not in _PLAIN_OPTIONS)


def _secrets_of(value: Any, *, inside_options: bool) -> Iterable[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if _is_secret(name, inner, inside_options):
                yield inner
            else:
                yield from _secrets_of(inner, inside_options=inside_options or name in _OPTION_FIELDS)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _secrets_of(inner, inside_options=inside_options)
    elif isinstance(value, str) and "://" in value:
        yield from _USER_AND_PASSWORD.findall(value)
        yield from (secret for _, secret in _SIGNATURE.findall(value))
