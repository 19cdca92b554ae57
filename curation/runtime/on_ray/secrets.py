"""Secrets on their way: from the submitter to the driver by a ticket, from the driver to its workers by an actor.

Not by `runtime_env.env_vars`, which Ray writes into the logs of every node's runtime environment agent and gives to
everybody who asks for the job's or an actor's details; it blanks them for browsers alone.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from curation.errors import RecipeError
from curation.masking import remember_variables
from curation.runtime.secret_names import TICKET, secret_values

_PREFIX = b"curation secrets\n"
"""Comes before the values, since Ray's messages about an upload that failed quote its first bytes."""
_TIMEOUT_S = 30


def new_ticket() -> str:
    """A name that nobody can guess."""
    return f"gcs://_ray_pkg_curation_{secrets.token_hex(16)}.zip"


def sealed(values: Mapping[str, str]) -> bytes:
    """What waits under a ticket."""
    return _PREFIX + json.dumps(dict(values)).encode()


def redeem_ticket() -> None:
    """Takes the secrets that wait for this job into the environment of this process, so that they wait no longer.

    Does nothing in a process that has no ticket.

    Raises:
        RecipeError: There is nothing under the ticket any more.
    """
    ticket = os.environ.pop(TICKET, None)
    if ticket is None:
        return
    store = GcsClient(address=os.environ["RAY_ADDRESS"])
    content = store.internal_kv_get(ticket.encode(), None, _TIMEOUT_S)
    store.internal_kv_del(ticket.encode(), False, None, _TIMEOUT_S)
    if content is None:
        raise RecipeError("the secrets of this job are gone: it began too long after it was submitted; submit it again")
    _take(json.loads(content.removeprefix(_PREFIX)))


def _take(values: Mapping[str, str]) -> None:
    remember_variables(values)
    os.environ.update(values)


class Lender:
    """Gives the values to workers. Travels to them by pickling, which does not take the values along."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def take(self) -> None:
        """Sets the variables in the environment of the worker that this is called in."""
        _take(ray.get(self._actor.values.remote()))


def lend(names: Sequence[str]) -> Lender:
    """Starts to lend variables of this process's environment to its workers, until it ends. Ray must have been started.

    Raises:
        RecipeError: See `secret_values`.
    """
    values = secret_values(names)
    # Beside the driver: a node that goes must not take along what the workers of all others still need.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = _LenderActor.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]
    # Not to the constructor, whose arguments Ray keeps for a restart.
    ray.get(actor.keep.remote(values))
    return Lender(actor)


@ray.remote(num_cpus=0)
class _LenderActor:
    """Holds the values in its memory."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def keep(self, values: Mapping[str, str]) -> None:
        """Takes the values."""
        self._values.update(values)

    def values(self) -> dict[str, str]:
        """All values."""
        return self._values
