import json

import numpy as np
import pytest

from jobs.training.config import DataConfig
from jobs.training.streams import ShardSample
from jobs.training.texts import choose_caption, choose_hard_negatives


def _sample(**facts):
    return ShardSample("a.tar", "1", {"txt": b" alt text ", "json": json.dumps(facts).encode()})


CAPTIONS = [{"text": "first", "model": "a"}, {"text": "second", "model": "b"}]


def _chosen(sample, **config):
    draw = np.random.default_rng(0)
    return {choose_caption(sample, DataConfig(**config), draw) for _ in range(60)}


def test_alt_text_comes_when_alt_is_wanted():
    assert _chosen(_sample(captions=CAPTIONS), caption="alt") == {"alt text"}


def test_all_captions_come_when_synthetic_is_wanted():
    assert _chosen(_sample(captions=CAPTIONS), caption="synthetic") == {"first", "second"}


def test_only_its_captions_come_when_a_model_is_named():
    assert _chosen(_sample(captions=CAPTIONS), caption="synthetic", caption_models=("b",)) == {"second"}


def test_alt_text_comes_when_there_is_no_synthetic_caption():
    assert _chosen(_sample(), caption="synthetic") == {"alt text"}


@pytest.mark.parametrize(("share", "expected"), [(0.0, {"alt text"}), (1.0, {"first", "second"})])
def test_one_kind_comes_when_the_mix_has_no_other(share, expected):
    assert _chosen(_sample(captions=CAPTIONS), caption="mix", synthetic_share=share) == expected


def test_both_kinds_come_when_mixed():
    assert _chosen(_sample(captions=CAPTIONS), caption="mix") == {"alt text", "first", "second"}


def test_hard_negatives_are_few_when_the_sample_has_few():
    draw = np.random.default_rng(0)
    assert choose_hard_negatives(_sample(), 2, draw) == []
    assert choose_hard_negatives(_sample(hard_negatives=["wrong"]), 2, draw) == ["wrong"]
    assert len(set(choose_hard_negatives(_sample(hard_negatives=["a", "b", "c"]), 2, draw))) == 2
