"""The base of every config model, and the mark of a setting that changes no result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Config(BaseModel):
    """A frozen, strict config: an unknown key is an error, a string is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


@dataclass(frozen=True, slots=True)
class _Tuning:
    """Marks a setting that may change speed, never a value that is written."""


T = TypeVar("T")
Tuning = Annotated[T, _Tuning()]
"""`workers: Tuning[int]` is left out of fingerprints: changing it repeats no work."""


@dataclass(frozen=True, slots=True)
class _Later:
    """Marks a setting that came when there were runs already, and whose default changes nothing."""


Later = Annotated[T, _Later()]
"""`targets: Later[str | None]` is left out of fingerprints where it has its default: what older runs did stays done."""


def is_tuning(field: FieldInfo) -> bool:
    """Whether fingerprints leave a setting out, whatever its value."""
    return any(isinstance(mark, _Tuning) for mark in field.metadata)


def fingerprinted_settings(config: BaseModel) -> dict[str, Any]:
    """The settings of a config that its results depend on, as JSON values, nested ones included."""
    settings = config.model_dump(mode="json")
    for name, field in type(config).model_fields.items():
        as_before = any(isinstance(mark, _Later) for mark in field.metadata) and getattr(config, name) == field.default
        if as_before or is_tuning(field):
            del settings[name]
        else:
            settings[name] = _without_tuning(getattr(config, name), settings[name])
    return settings


def _without_tuning(value: Any, dumped: Any) -> Any:
    if isinstance(value, BaseModel):
        return fingerprinted_settings(value)
    if isinstance(value, (list, tuple)):
        return [_without_tuning(*pair) for pair in zip(value, dumped, strict=True)]
    return dumped


class StepConfig(Config):
    """What every step of a recipe has: its kind, and a name where one kind is used twice."""

    kind: str
    name: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*$")

    @property
    def step_name(self) -> str:
        """The name under which the ledger and the funnel show the step."""
        return self.name or self.kind
