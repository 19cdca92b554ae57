"""The optimizer and its learning rate."""

import math

import torch
from torch import nn

from jobs.training.config import TrainConfig


def make_optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """Returns AdamW that spares norms, biases and other vectors from weight decay."""
    weights = [p for p in module.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in module.parameters() if p.requires_grad and p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(0.9, config.beta2),
        fused=True,
    )


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Returns the learning rate of a step (from 0): a linear rise, then a cosine's fall."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    floor = config.final_lr_share
    return config.learning_rate * (floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2)
