import numpy as np

from jobs.training.substitution import substitute_words


def test_the_only_other_word_is_taken_when_two_texts_differ_in_one():
    found = substitute_words(["A red star.", "a red ring."], np.random.default_rng(0))
    assert found == ["a red ring .", "a red star ."]


def test_exactly_one_word_changes_when_many_could():
    texts = [f"a {colour} {shape} here" for colour in ("red", "blue") for shape in ("star", "ring", "arch")]
    for seed in range(20):
        for text, changed in zip(texts, substitute_words(texts, np.random.default_rng(seed)), strict=True):
            assert sum(one != other for one, other in zip(text.split(), changed.split(), strict=True)) == 1


def test_none_when_no_other_text_has_the_same_place():
    assert substitute_words(["a red star", "two blue rings", ""], np.random.default_rng(0)) == [None, None, None]
