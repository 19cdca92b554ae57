"""The setting of a fetching step that says whose downloader works: this project's own, or img2dataset's."""

from __future__ import annotations

import importlib.util
import subprocess
from typing import Literal

from pydantic import Field

from curation.contracts.config import StepConfig, Tuning
from curation.errors import RecipeError

_ASK = "import importlib.util, sys; sys.exit(importlib.util.find_spec('img2dataset') is None)"
_ASK_S = 60


class EngineConfig(StepConfig):
    """Whose downloader works."""

    engine: Literal["native", "img2dataset"] = Field(
        "native",
        description="`img2dataset` has its downloader fetch, to compare the two. It knows no robots.txt (the recipe "
        "must say `robots: false`), no limits per host or domain, no backoff, one timeout (`idle_timeout_s`), no cap "
        "while a body comes, and neither `ca_file`, `max_redirects` nor nameservers; addresses and ports are checked, "
        "opt-outs in headers are obeyed and `user_agent` and `contact` are sent all the same.",
    )
    img2dataset_python: Tuning[str | None] = Field(
        None, description="A Python that has img2dataset, such as that of an environment of its own; null: this one."
    )

    def check_engine(self, *, robots: bool) -> None:
        """Raises RecipeError where img2dataset is asked for and missing, or asked for what it cannot do."""
        if self.engine == "native":
            return
        if robots:
            raise RecipeError("engine: img2dataset asks for no robots.txt; say `robots: false` to do without, too")
        if not _has_img2dataset(self.img2dataset_python):
            where = self.img2dataset_python or "this Python"
            raise RecipeError(
                f"engine: {where} has no img2dataset; `pip install 'curation[img2dataset]'`, or give it an environment "
                "of its own (`python -m venv i2d && i2d/bin/pip install img2dataset`) and name its Python as "
                "`img2dataset_python`"
            )


def _has_img2dataset(python: str | None) -> bool:
    if python is None:
        return importlib.util.find_spec("img2dataset") is not None
    try:
        asked = subprocess.run([python, "-c", _ASK], timeout=_ASK_S, check=False, capture_output=True)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
