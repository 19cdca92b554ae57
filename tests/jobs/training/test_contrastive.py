import math

import pytest
import torch

from jobs.training.contrastive import contrastive_loss

NONE = torch.zeros((0, 2))


def test_loss_is_as_worked_out_when_pairs_are_orthogonal():
    # Each row's scores are (2, 0): the cross-entropy is log(e^2 + 1) - 2.
    pairs = torch.eye(2)
    loss = contrastive_loss(pairs, pairs, NONE, torch.tensor(2.0))
    assert float(loss) == pytest.approx(math.log(math.exp(2) + 1) - 2)


def test_only_images_are_misled_when_there_are_hard_negatives():
    # Images see (2, 0, 2): the wrong text is as near as the right one. Texts see (2, 0) as before.
    pairs = torch.eye(2)
    negatives = torch.tensor([[1.0, 0.0]])
    loss = contrastive_loss(pairs, pairs, negatives, torch.tensor(2.0))
    first = math.log(2 * math.exp(2) + 1) - 2
    second = math.log(math.exp(2) + 2) - 2
    of_texts = math.log(math.exp(2) + 1) - 2
    assert float(loss) == pytest.approx(((first + second) / 2 + of_texts) / 2)


def test_loss_is_log_n_when_nothing_can_be_told_apart():
    same = torch.nn.functional.normalize(torch.ones(8, 3), dim=1)
    assert float(contrastive_loss(same, same, NONE.new_zeros(0, 3), torch.tensor(9.0))) == pytest.approx(math.log(8))
