import pytest
import torch

from curation.errors import CorruptionError
from jobs.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from jobs.training.config import TrainConfig
from jobs.training.optimizer import make_optimizer
from jobs.training.streams import Position


def _trained(seed, steps=3):
    torch.manual_seed(seed)
    module = torch.nn.Linear(4, 2)
    optimizer = make_optimizer(module, TrainConfig())
    for _ in range(steps):
        module(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return module, optimizer


def test_everything_is_back_when_a_checkpoint_is_loaded(tmp_path):
    module, optimizer = _trained(1)
    progress = Progress(3, (Position(1, 7), Position(0, 9)), 1.5)
    save_checkpoint(tmp_path, module, optimizer, progress)
    expected = torch.rand(3)
    other, other_optimizer = _trained(2)
    assert load_checkpoint(tmp_path, other, other_optimizer) == progress
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(other.weight, module.weight)
    moments = optimizer.state[module.weight]["exp_avg"]
    assert torch.equal(other_optimizer.state[other.weight]["exp_avg"], moments)


def test_only_the_newest_is_left_when_another_is_saved(tmp_path):
    module, optimizer = _trained(1)
    for step in (9, 10):
        save_checkpoint(tmp_path, module, optimizer, Progress(step, (), 0.5))
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000010"]


def test_an_unfinished_checkpoint_is_passed_over_when_loading(tmp_path):
    module, optimizer = _trained(1)
    save_checkpoint(tmp_path, module, optimizer, Progress(5, (), 0.5))
    (tmp_path / ".step-0000006.123").mkdir()
    assert load_checkpoint(tmp_path, module, optimizer) == Progress(5, (), 0.5)


def test_none_when_there_is_no_checkpoint(tmp_path):
    assert load_checkpoint(tmp_path, *_trained(1)) is None


def test_corruption_error_when_weights_are_broken(tmp_path):
    module, optimizer = _trained(1)
    saved = save_checkpoint(tmp_path, module, optimizer, Progress(5, (), 0.5))
    (saved / "weights.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(CorruptionError, match="step-0000005"):
        load_checkpoint(tmp_path, module, optimizer)
