"""Shared parts on Ray: each copy an actor of its own, restarted when it is lost, and asked by any worker."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping
from math import ceil
from typing import Any

import ray
from ray.exceptions import RayError

from curation.contracts.shared import SharedPart, SharedSpec

_OPEN_QUESTIONS = 100_000


class ActorLink:
    """A link to the actors that hold the copies. Travels to workers by pickling."""

    def __init__(self, actors: list[Any]) -> None:
        self._actors = actors

    @property
    def copies(self) -> int:
        """How many copies there are."""
        return len(self._actors)

    async def ask(self, copy: int, question: Any) -> Any:
        """The copy's answer. Raises ConnectionError if it cannot be had."""
        try:
            return await asyncio.wrap_future(self._actors[copy].answer.remote(question).future())
        except RayError as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error


def start_shared(shared: Mapping[str, SharedSpec], workers: int) -> dict[str, ActorLink]:
    """Starts the copies of every shared part that so many workers need; they live until their links are stopped.

    A worker that is alone shares nothing with anybody: it makes do with what it makes itself.
    """
    if workers == 1:
        return {}
    # Processors are for the stages: a copy takes what little it needs from whoever lets it.
    actor = ray.remote(_SharedActor).options(num_cpus=0, max_restarts=-1, max_concurrency=_OPEN_QUESTIONS)
    return {
        name: ActorLink([actor.remote(spec) for _ in range(ceil(workers / spec.workers_per_copy))])
        for name, spec in shared.items()
    }


def stop_shared(links: Mapping[str, ActorLink]) -> None:
    """Ends the actors behind links."""
    for link in links.values():
        for actor in link._actors:
            ray.kill(actor, no_restart=True)


class _SharedActor:
    """An async actor: all answers are made on one event loop."""

    def __init__(self, spec: SharedSpec) -> None:
        self._part: SharedPart = spec.make()
        with warnings.catch_warnings():
            # Ray's own code for this asks itself in a way that it has declared outdated.
            warnings.simplefilter("ignore")
            restarted = ray.get_runtime_context().was_current_actor_reconstructed
        if restarted:
            self._part.replaces_a_lost_one()

    async def answer(self, question: Any) -> Any:
        return await self._part.answer(question)
