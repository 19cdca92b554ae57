import pytest

from jobs.evaluation.captions import exact_caption_share

TRUTH = [("red", "circle"), ("blue", "star")]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("a blue star and a big red circle", 1.0),
        ("a red circle", 0.0),
        ("a red circle, a blue star and a blue star", 0.0),
        ("a red star and a blue circle", 0.0),
    ],
)
def test_a_caption_is_exact_when_it_names_each_pair_once(text, share):
    assert exact_caption_share([text], [TRUTH]) == share


def test_the_share_is_a_mean_when_there_are_several_captions():
    assert exact_caption_share(["a red circle", "a red circle"], [TRUTH, TRUTH[:1]]) == 0.5


def test_value_error_when_there_is_nothing_to_judge():
    with pytest.raises(ValueError, match="no captions"):
        exact_caption_share([], [])
