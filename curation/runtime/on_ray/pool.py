"""The workers of one operator, as the driver knows them: started, given units, and ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import ray

from curation.contracts.resources import Resources
from curation.engine.operator import Operator
from curation.plan.placement import SHARE
from curation.runtime.on_ray.worker import Equipment, Note, worker_class

_FAREWELL_S = 15.0
"""What workers have to close what they hold, at the end of a phase."""


@dataclass(slots=True, eq=False)
class Unit:
    """A unit on its way.

    Attributes:
        place: Of the pool whose turn it is.
        payload: What the pool before handed over, None before the first one. Ray keeps it as long as it is held here.
        payload_bytes: What that weighs.
        losses: How often what was handed over was lost.
        tries: How often an operator failed at it, or a worker died that had it in hand.
        alone: Whether a worker that has it is given no other.
    """

    number: int
    place: int = 0
    payload: Any = None
    payload_bytes: int = 0
    losses: int = 0
    tries: int = 0
    alone: bool = False


@dataclass(slots=True, eq=False)
class Hand:
    """A worker.

    Attributes:
        present: Whether its process runs, so that it holds its processors.
        ready: Whether it is set up.
        leaving: Whether it gets no unit more.
        gone: Whether it died or was ended.
        units: Those that it has been given and not answered, in that order; it does them in that order.
        load: How many these are; as many as it may have, where it is not to be given another.
    """

    actor: Any
    present: bool = False
    ready: bool = False
    leaving: bool = False
    gone: bool = False
    units: list[Unit] = field(default_factory=list)
    load: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker answered, or Ray in its stead.

    Attributes:
        unit: That it was given; None: whether it could be set up.
        note: Of the unit; None where it could not be done.
        payload: What is handed over with the unit.
    """

    pool: Pool
    hand: Hand
    unit: Unit | None
    note: Note | None
    payload: Any
    error: BaseException | None


class Pool:
    """Workers of one operator. Their answers come into a queue, since Ray calls back in a thread of its own.

    Args:
        depth: Units that a worker has before it at most, the one in hand included.
        max_tries: Of a unit.
        avoids: Tells the ids of nodes that its workers must not take.

    Attributes:
        planned: How many workers there are to be from the start.
        aim: How many there are to be now.
        most: How many there may be, when nodes join.
        in_work: Units that its workers have been given and not answered.
        done: Units that they have answered.
        crashed: Units that killed their workers at every try.
        deaths_in_a_row: Workers that died with nothing to do since one has done a unit.
    """

    def __init__(
        self,
        operator: Operator,
        equipment: Equipment,
        depth: int,
        max_tries: int,
        avoids: Callable[[], Sequence[str]],
        answers: SimpleQueue[Answer],
    ) -> None:
        self.operator = operator
        self.depth = depth
        self.planned = self.aim = self.most = 1
        self.in_work = self.done = self.crashed = self.deaths_in_a_row = 0
        self.hands: list[Hand] = []
        self._leaving: list[Hand] = []
        self._max_tries = max_tries
        self._avoids = avoids
        self._answers = answers
        # Those that take units, by how many they have: who has fewest is found at once, however many there are.
        self._by_load: list[dict[Hand, None]] = [{} for _ in range(depth + 1)]
        self._actor = ray.remote(worker_class(operator.name))
        # Once for all of them: an operator knows its whole plan.
        self._given = ray.put(operator), ray.put(equipment)

    @property
    def present(self) -> int:
        """Workers that have got their processors."""
        return sum(hand.present for hand in self.hands)

    @property
    def ready(self) -> int:
        """Workers that are set up."""
        return sum(len(load) for load in self._by_load)

    @property
    def size(self) -> int:
        """Workers that units can be planned for: those that only wait for room beyond the plan are none."""
        return max(1, self.ready, min(self.planned, len(self.hands)))

    @property
    def queued(self) -> int:
        """Units that lie before its workers and that none has in hand."""
        return sum(len(hand.units) - 1 for hand in (*self.hands, *self._leaving) if hand.units)

    @property
    def is_busy(self) -> bool:
        """Whether a worker that is not known to be dead has a unit before it."""
        return any(hand.units for hand in (*self.hands, *self._leaving) if not hand.gone)

    def start(self) -> None:
        """Starts a worker; it waits for room on the cluster as long as there is none."""
        needs = self.operator.resources
        actor = self._actor.options(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            memory=needs.memory_bytes or None,
            max_restarts=0,
            max_task_retries=0,
            **placing(needs, self._avoids()),
        )
        hand = Hand(actor.remote())
        self.hands.append(hand)
        hand.actor.present.remote().future().add_done_callback(lambda answer: _note_presence(hand, answer))
        self._listen(hand, hand.actor.prepare.remote(*self._given))

    def give(self, hand: Hand, unit: Unit) -> None:
        """Puts a unit before a worker."""
        note, payload = hand.actor.work.remote(unit.number, unit.payload)
        hand.units.append(unit)
        self._load(hand)
        self.in_work += 1
        self._listen(hand, note, unit, payload)

    def answered(self, answer: Answer) -> None:
        """Notes that a worker is set up, or has one unit less before it."""
        hand = answer.hand
        if answer.unit is not None:
            self.in_work -= 1
            hand.units.remove(answer.unit)
            self._load(hand)
            if answer.error is None:
                self.done += 1
                self.deaths_in_a_row = 0
            if hand.leaving and not hand.gone and not hand.units:
                self._part_with(hand)
        elif answer.error is None and not hand.gone and not hand.leaving:
            hand.ready = True
            self._by_load[0][hand] = None

    def idlest(self, most: int) -> Hand | None:
        """Of the workers that have fewer than so many units, the one that has fewest."""
        for load in self._by_load[: min(most, self.depth)]:
            if load:
                return next(iter(load))
        return None

    def died(self, hand: Hand) -> bool:
        """Notes that a worker is dead, unless that is known; each of its units is answered with an error."""
        if hand.gone:
            return False
        hand.gone = True
        self._take_off(hand)
        blame(hand.units, self._max_tries)
        # It may only be out of reach.
        ray.kill(hand.actor, no_restart=True)
        if hand.leaving:
            return False
        self.deaths_in_a_row += not hand.units
        return True

    def retire(self, count: int) -> None:
        """Has so many workers do what they have been given and no more; first those that have least."""
        ordered = sorted(self.hands, key=lambda hand: (hand.present, hand.ready, hand.load))
        for hand in ordered[: max(0, count)]:
            self._take_off(hand)
            self._leaving.append(hand)
            hand.leaving = True
            if not hand.units:
                self._part_with(hand)

    def close(self) -> list[Any]:
        """Has the workers that are set up close what they hold. Returns what Ray answers when they have."""
        return [hand.actor.close.remote() for hand in self.hands if hand.ready]

    def end(self) -> None:
        """Ends all workers."""
        for hand in [*self.hands, *self._leaving]:
            hand.gone = True
            self._take_off(hand)
            ray.kill(hand.actor, no_restart=True)
        self._leaving.clear()

    def _part_with(self, hand: Hand) -> None:
        """Has a worker close what it holds and end; nobody waits for it."""
        hand.gone = True
        if not hand.ready:
            ray.kill(hand.actor, no_restart=True)
            return
        hand.actor.close.remote()
        hand.actor.__ray_terminate__.remote()

    def _take_off(self, hand: Hand) -> None:
        """Counts a worker no longer, and gives it no unit more."""
        self._by_load[hand.load].pop(hand, None)
        if hand in self.hands:
            self.hands.remove(hand)

    def _load(self, hand: Hand) -> None:
        load = self.depth if hand.units and hand.units[-1].alone else len(hand.units)
        if hand in self._by_load[hand.load]:
            del self._by_load[hand.load][hand]
            self._by_load[load][hand] = None
        hand.load = load

    def _listen(self, hand: Hand, note: Any, unit: Unit | None = None, payload: Any = None) -> None:
        def hear(answer: Future[Any]) -> None:
            error = answer.exception()
            said = None if error or unit is None else answer.result()
            self._answers.put(Answer(self, hand, unit, said, payload, error))

        note.future().add_done_callback(hear)


def end_pools(pools: Sequence[Pool], *, patiently: bool) -> None:
    """Ends all workers; patiently: all of them have the same while to close what they hold."""
    if patiently and (closing := [answer for pool in pools for answer in pool.close()]):
        ray.wait(closing, num_returns=len(closing), timeout=_FAREWELL_S)
    for pool in pools:
        pool.end()


def blame(units: Sequence[Unit], max_tries: int) -> None:
    """Counts a try of the unit that a worker had in hand when it died: the first of those that it had not answered.

    Where it had several, that is not certain: the answer to the first may have died with it. So it is not the first's
    last try, and from then on each of them is alone before its worker.
    """
    if not units:
        return
    first, *others = units
    if not others or first.tries + 1 < max_tries:
        first.tries += 1
    if others:
        for unit in units:
            unit.alone = True


def _note_presence(hand: Hand, answer: Future[Any]) -> None:
    hand.present = answer.exception() is None


def placing(needs: Resources, avoids: Sequence[str]) -> dict[str, Any]:
    """How Ray is told which nodes an operator's workers may take."""
    if needs.placement is not None:
        return {"resources": {needs.placement: SHARE}}
    if avoids:
        return {"label_selector": {"ray.io/node-id": f"!in({','.join(avoids)})"}}
    return {}
