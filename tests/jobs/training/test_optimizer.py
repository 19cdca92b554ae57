import pytest
import torch

from jobs.training.config import TrainConfig
from jobs.training.optimizer import learning_rate_at, make_optimizer

CONFIG = TrainConfig(steps=110, warmup_steps=10, learning_rate=1.0, final_lr_share=0.2, weight_decay=0.3)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.1),
        (9, 1.0),
        (10, 1.0),
        # Halfway down the cosine: the mean of peak and floor.
        (60, 0.6),
        (110, 0.2),
    ],
)
def test_rate_is_as_worked_out_when_a_step_is_reached(step, expected):
    assert learning_rate_at(step, CONFIG) == pytest.approx(expected)


def test_norms_and_biases_are_spared_when_weights_decay():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3))
    decayed, spared = make_optimizer(module, CONFIG).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    assert [tuple(weight.shape) for weight in decayed["params"]] == [(3, 2)]
    assert len(spared["params"]) == 3
