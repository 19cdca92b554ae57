"""What a process knows of the others that train with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from jobs.training.streams import Position


@dataclass(frozen=True)
class Place:
    """One process of a training.

    Attributes:
        rank: its number.
        world_size: how many there are.
        device: what it computes on.
        wrap: makes a module whose gradients are averaged over the processes.
    """

    rank: int
    world_size: int
    device: torch.device
    wrap: Callable[[nn.Module], nn.Module] = field(default=lambda module: module)

    @classmethod
    def alone(cls) -> "Place":
        """Returns the place of the only process, on the best device there is."""
        return cls(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    @property
    def leads(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0


def world_size() -> int:
    """Returns how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_over_processes(value: Tensor) -> float:
    """Returns the mean of a scalar; every process has to call this."""
    total = value.detach().float().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    return float(total) / world_size()


def gather_positions(mine: Sequence[Position]) -> tuple[Position, ...]:
    """Returns the positions of all streams in the order of their numbers.

    Process r of w has streams r, r + w, r + 2w and so on. Every process has to call this.
    """
    if world_size() == 1:
        return tuple(mine)
    parts: list[Any] = [None] * world_size()
    dist.all_gather_object(parts, list(mine))
    return tuple(position for row in zip(*parts, strict=True) for position in row)
