"""Where a model runs, and on how many processors."""

from __future__ import annotations

import math
from typing import Literal

Device = Literal["auto", "cpu", "cuda"]


def pick_device(wanted: Device) -> str:
    """`cuda` or `cpu`; `auto` takes the GPU that the worker was given, if it was given one."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def stated_gpus(wanted: Device, gpus: float | None) -> float:
    """GPUs that a worker asks for: as stated, else one where the recipe says `cuda` and none elsewhere."""
    if gpus is not None:
        return gpus
    return 1.0 if wanted == "cuda" else 0.0


def use_cpus(cpus: float) -> int:
    """Limits torch to the processors that a worker asked for, and returns how many threads that is."""
    import torch

    threads = max(1, math.floor(cpus))
    torch.set_num_threads(threads)
    return threads
