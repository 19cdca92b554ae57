import pytest

from jobs.sandbox.captions import named_pairs
from jobs.sandbox.seeded import Draws
from jobs.sandbox.trouble import CaptionKind
from jobs.sandbox.useless_texts import useless_text

USELESS = [kind for kind in CaptionKind if kind.useless]


@pytest.mark.parametrize("kind", USELESS)
def test_useless_text_names_no_object_when_drawn_often(kind: CaptionKind) -> None:
    texts = [useless_text(kind, Draws(seed)) for seed in range(200)]
    assert not any(named_pairs(text) for text in texts)
    assert len(set(texts)) > 20
    assert all(text.strip() == text != "" for text in texts)


def test_too_long_text_has_2000_characters_when_drawn() -> None:
    assert all(2000 <= len(useless_text(CaptionKind.TOO_LONG, Draws(seed))) < 2200 for seed in range(20))


def test_one_word_is_one_word_when_drawn() -> None:
    assert all(len(useless_text(CaptionKind.ONE_WORD, Draws(seed)).split()) == 1 for seed in range(100))


def test_file_name_has_an_extension_when_drawn() -> None:
    endings = {useless_text(CaptionKind.FILE_NAME, Draws(seed)).rpartition(".")[2].lower() for seed in range(100)}
    assert endings == {"jpg", "jpeg", "png", "webp", "gif"}


def test_error_is_raised_when_kind_is_not_useless() -> None:
    with pytest.raises(KeyError):
        useless_text(CaptionKind.RIGHT, Draws(1))
