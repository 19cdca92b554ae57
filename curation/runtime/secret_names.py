"""Secrets by their names: environment variables that a run's workers need on every node. Does not import Ray."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from curation.errors import RecipeError
from curation.masking import remember_variables

TICKET = "CURATION_SECRETS_TICKET"
"""Environment variable of a submitted job: the name under which its secrets wait for it. The name is public; once the
driver has taken the secrets, nothing is there any more."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EARLY = ("FSSPEC_", "RAY_", "PYTHON", "LD_")
"""Read when a process begins, before a worker can be lent anything."""


def secret_values(names: Sequence[str]) -> dict[str, str]:
    """The values of environment variables of this process. They are masked from now on, whatever they are called.

    But for regions, endpoints and the like (`curation.masking.remember_variables`).

    Raises:
        RecipeError: One of them is not set, or cannot be given to a process that runs already.
    """
    # Not repeated in the message: it may be the value.
    if not all(_NAME.fullmatch(name) for name in names):
        raise RecipeError("--secret takes the name of an environment variable, and never its value")
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise RecipeError(f"--secret {', '.join(missing)}: not set in the environment of this command; export it first")
    early = [name for name in names if name.startswith(_EARLY)]
    if early:
        raise RecipeError(
            f"--secret {', '.join(early)}: it is read when a process begins, before a worker could be given it; set it "
            "on the nodes"
        )
    values = {name: os.environ[name] for name in names}
    remember_variables(values)
    return values
