"""Reads evaluation sets: a folder of WebDataset tars, maybe with a `classes.json`."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.errors import RecipeError
from curation.storage.store import Store
from jobs.shard_folders import tars_in

CLASSES_FILE = "classes.json"
_IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")


class ClassList(BaseModel):
    """What zero-shot classification chooses from.

    Attributes:
        classes: the names of the classes, in the order of their labels.
        templates: prompts in which `{}` is a class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...] = Field(min_length=2)
    templates: tuple[str, ...] = Field(default=("a photo of a {}.",), min_length=1)


@dataclass(frozen=True, slots=True)
class EvaluationSample:
    """One image with what is known about it.

    Attributes:
        key: of the sample.
        image: decoded, RGB.
        caption: its text.
        label: its class's number, or None.
        facts: its whole `.json`.
    """

    key: str
    image: Image.Image
    caption: str
    label: int | None
    facts: dict[str, Any]


def read_samples(shards: str | Path | Sequence[str | Path], limit: int | None = None) -> Iterator[EvaluationSample]:
    """Reads samples in order; those without a readable image are left out.

    Args:
        shards: a folder of tars, one tar, or a list. A sample's `.cls` is its class's number.
        limit: the most samples to read.

    Raises:
        RecipeError: if there are no shards.
    """
    import webdataset

    count = 0
    for raw in webdataset.WebDataset(list_tars(shards), shardshuffle=False):
        if limit is not None and count >= limit:
            return
        body = next((raw[name] for name in _IMAGE_EXTENSIONS if name in raw), None)
        image = _decoded(body) if body is not None else None
        if image is None:
            continue
        count += 1
        yield EvaluationSample(
            key=str(raw["__key__"]),
            image=image,
            caption=raw.get("txt", b"").decode("utf-8", "replace").strip(),
            label=int(raw["cls"]) if "cls" in raw else None,
            facts=dict(json.loads(raw["json"])) if "json" in raw else {},
        )


def read_classes(folder: str | Path) -> ClassList | None:
    """Returns the folder's `classes.json`, or None if it has none.

    Raises:
        RecipeError: if the file is not as it has to be.
    """
    store = Store(str(folder))
    try:
        return ClassList.model_validate_json(store.read_bytes(CLASSES_FILE))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RecipeError(f"{store.address(CLASSES_FILE)}: {error}") from error


def list_tars(shards: str | Path | Sequence[str | Path]) -> list[str]:
    """Returns the tars of a folder, sorted, or the given ones.

    Raises:
        RecipeError: if there are none.
    """
    found = tars_in(shards)
    if not found:
        raise RecipeError(f"no shards to evaluate on: {shards} has no file that ends in .tar")
    return found


def _decoded(body: bytes) -> Image.Image | None:
    try:
        return Image.open(io.BytesIO(body)).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError):
        return None
