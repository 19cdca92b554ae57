import numpy as np

from jobs.training.substitution import substitute_words


def test_the_only_other_word_is_taken_when_two_texts_differ_in_one():
    found = substitute_words(["A red star.", "a red ring."], 2, np.random.default_rng(0))
    assert found == [["a red ring ."] * 2, ["a red star ."] * 2]


def test_exactly_one_word_changes_when_many_could():
    texts = [f"a {colour} {shape} here" for colour in ("red", "blue") for shape in ("star", "ring", "arch")]
    for text, variants in zip(texts, substitute_words(texts, 20, np.random.default_rng(1)), strict=True):
        assert len(variants) == 20
        for changed in variants:
            assert sum(one != other for one, other in zip(text.split(), changed.split(), strict=True)) == 1


def test_rare_words_are_replaced_more_often_when_others_are_everywhere():
    # "the" could become "a" in all texts but the last; each colour stands in one text alone.
    texts = [f"see the {colour} ring" for colour in ("red", "blue", "green", "black")] + ["see a red ring"]
    variants = substitute_words(texts, 100, np.random.default_rng(1))[0]
    assert sum(" the " in changed for changed in variants) > 70


def test_there_is_no_variant_when_no_other_text_has_the_same_place():
    assert substitute_words(["a red star", "two blue rings", ""], 2, np.random.default_rng(0)) == [[], [], []]
