"""The settings of a fetching step that are about URLs of other schemes than the web's."""

from __future__ import annotations

import os
from typing import Any

from pydantic import Field, model_validator

from curation.contracts.config import StepConfig, Tuning
from curation.errors import RecipeError
from curation.references.schemes import WEB, require_installed, require_scheme


class ReferenceConfig(StepConfig):
    """Which schemes URLs may have, and where what they name may lie."""

    allow_schemes: tuple[str, ...] = Field(
        ("http", "https", "data"),
        min_length=1,
        description="Schemes that URLs of the list may have; any other fails with `unsupported_scheme`. Beside these: "
        "`file`, and what fsspec reads: `s3`, `gs`, `hf`, … Whoever writes the list then chooses what is read with "
        "the rights of this machine.",
    )
    allow_folders: tuple[str, ...] = Field(
        (), description="With `file`: folders below which files may lie, symbolic links resolved."
    )
    storage_options: Tuning[dict[str, dict[str, Any]]] = Field(
        {},
        description="For fsspec, by scheme, such as {s3: {anon: true}}. Saved with the run: leave secrets to the "
        "environment.",
    )

    @model_validator(mode="after")
    def _schemes_can_be_read(self) -> ReferenceConfig:
        for scheme in self.allow_schemes:
            try:
                require_scheme(scheme)
            except ValueError as error:
                raise ValueError(f"allow_schemes: {error}") from error
        if ("file" in self.allow_schemes) != bool(self.allow_folders):
            raise ValueError("allow_folders: `file` in `allow_schemes` needs folders here, and the other way round")
        for folder in self.allow_folders:
            if not os.path.isabs(folder):
                raise ValueError(f"allow_folders: {folder}: must be absolute, as it is the same on every machine")
        for scheme in self.storage_options:
            if scheme not in self.allow_schemes or scheme in (*WEB, "data", "file"):
                raise ValueError(f"storage_options: {scheme}: none of the stores in `allow_schemes`")
        return self

    def check_schemes(self) -> None:
        """Raises RecipeError where a scheme needs a package that is missing, or a folder is not there."""
        for scheme in self.allow_schemes:
            require_installed(scheme)
        for folder in self.allow_folders:
            if not os.path.isdir(folder):
                raise RecipeError(f"allow_folders: there is no folder {folder}")
