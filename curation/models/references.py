"""Model references: the strings by which recipes and commands name models.

| reference | is |
| --- | --- |
| `embedded:clip`, `embedded:captioner` | the models that come with this package |
| `local-dir:/path` | a folder as open_clip or transformers save it |
| `hf-hub:organisation/name` | a model of the Hugging Face hub |
| `ViT-L-14/datacomp_xl_s13b_b90k` | an architecture and a pretrained tag of open_clip |
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from curation.errors import RecipeError
from curation.models.open_clip_names import clean_tag, list_architectures, pretrained_tags
from curation.models.suggestions import nearest

Kind = Literal["clip", "captioner"]

_FOLDER = Path(__file__).parent / "embedded"
EMBEDDED: dict[str, Path] = {name: _FOLDER / name for name in ("clip", "captioner")}
"""Folders of the embedded models."""

_CONFIG_OF: dict[str, str] = {"clip": "open_clip_config.json", "captioner": "config.json"}
_WEIGHTS = ("*.safetensors", "*.bin", "*.pth", "*.pt")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_FORMS = "embedded:NAME, local-dir:/path, hf-hub:organisation/name"


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A reference taken apart.

    Attributes:
        scheme: what kind of place the model is at; embedded models are local folders.
        name: the folder, the hub's name, or the architecture.
        tag: the pretrained tag of an open_clip architecture, else None.
    """

    scheme: Literal["local-dir", "hf-hub", "open_clip"]
    name: str
    tag: str | None = None

    @property
    def folder(self) -> Path | None:
        """The model's folder, if it is on this machine."""
        return Path(self.name) if self.scheme == "local-dir" else None


def parse_reference(text: str, kind: Kind) -> ModelReference:
    """Takes a reference apart, without looking whether the model exists.

    Raises:
        RecipeError: if it has none of the forms that models of this kind have.
    """
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "embedded":
        if rest not in EMBEDDED:
            raise RecipeError(
                f"model {text!r}: no embedded model is called {rest!r}{nearest(rest, EMBEDDED)} "
                f"(there are {', '.join(f'embedded:{name}' for name in EMBEDDED)})"
            )
        return ModelReference("local-dir", str(EMBEDDED[rest]))
    if colon and scheme == "local-dir" and rest:
        return ModelReference("local-dir", str(Path(rest).expanduser()))
    if colon and scheme == "hf-hub":
        if not _HUB_NAME.fullmatch(rest):
            raise RecipeError(f"model {text!r}: a hub's models are called hf-hub:organisation/name")
        return ModelReference("hf-hub", rest)
    name, slash, tag = text.partition("/")
    if kind == "clip" and not colon and slash and name and tag:
        return ModelReference("open_clip", name, tag)
    forms = f"{_FORMS} or ARCHITECTURE/TAG" if kind == "clip" else _FORMS
    suggestion = nearest(scheme, ("embedded", "local-dir", "hf-hub")) if colon else ""
    raise RecipeError(f"model {text!r}: not a model reference{suggestion} (forms: {forms})")


def check_reference(text: str, kind: Kind) -> ModelReference:
    """Takes a reference apart and finds what is wrong with it without loading anything.

    Folders have to exist with the files that are read from them, open_clip's architectures and
    tags have to be known to the installed open_clip. Whether a hub has a model is not looked up.

    Raises:
        RecipeError: if the model cannot be loaded; says what is wrong and what to do.
    """
    reference = parse_reference(text, kind)
    if reference.folder is not None:
        _check_folder(text, reference.folder, kind)
    elif reference.scheme == "open_clip":
        _check_open_clip(text, reference)
    return reference


def _check_folder(text: str, folder: Path, kind: Kind) -> None:
    if not folder.is_dir():
        raise RecipeError(f"model {text!r}: there is no folder {folder}")
    config = folder / _CONFIG_OF[kind]
    if not config.is_file():
        other = "captioner" if kind == "clip" else "clip"
        hint = f"; it holds a {other}" if (folder / _CONFIG_OF[other]).is_file() else ""
        raise RecipeError(f"model {text!r}: {folder} has no {config.name}, as a {kind} has{hint}")
    try:
        described = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError(f"model {text!r}: {config} is not JSON: {error}") from error
    if kind == "clip" and "model_cfg" not in described:
        raise RecipeError(f"model {text!r}: {config} has no model_cfg")
    if not any(True for pattern in _WEIGHTS for _ in folder.glob(pattern)):
        raise RecipeError(f"model {text!r}: {folder} has no weights (such as *.safetensors)")


def _check_open_clip(text: str, reference: ModelReference) -> None:
    known = list_architectures()
    if not known:
        raise RecipeError(f"model {text!r}: open_clip is not installed")
    if reference.name not in known:
        raise RecipeError(
            f"model {text!r}: open_clip has no architecture {reference.name!r}{nearest(reference.name, known)}"
        )
    tags = pretrained_tags().get(reference.name, ())
    if tags and clean_tag(reference.tag or "") not in tags:
        raise RecipeError(
            f"model {text!r}: {reference.name} has no pretrained tag {reference.tag!r}"
            f"{nearest(reference.tag or '', tags)} (there are {', '.join(tags)})"
        )
