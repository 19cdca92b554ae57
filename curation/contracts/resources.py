"""What one worker of a stage needs: stated, never probed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resources:
    """The needs of one worker.

    Attributes:
        cpus: Processors it keeps busy. Torch and polars threads are limited to this.
        gpus: GPUs, or a share of one.
        memory_bytes: Peak memory of the worker, None where it is small.
        placement: Custom resource of the nodes that the worker belongs on, None for any node.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None
    placement: str | None = None


ONE_CPU = Resources()
"""What a stage needs that states nothing else."""
