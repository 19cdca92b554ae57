"""The arithmetic of a training on its device."""

import contextlib
from collections.abc import Iterator

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from jobs.training.config import TrainConfig


def uses_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Returns whether matrix products are done in bfloat16."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


@contextlib.contextmanager
def mixed_precision(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Within it, matrix products are done in the configured precision."""
    if not uses_bf16(config, device):
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, torch.bfloat16))
        if device.type == "cpu":
            # The CPU's fused attention does not use its matrix units when going back: with short
            # sequences it takes 40 % of a step, and plain matrix products a quarter of that.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield
