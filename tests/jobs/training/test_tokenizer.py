import pytest
from transformers import AutoTokenizer

from jobs.training.tokenizer import make_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    size = make_tokenizer(["A red circle, a red star"] * 3 + ["seldom"], folder)
    made = AutoTokenizer.from_pretrained(folder)
    assert len(made) == size
    return made


def _tokens(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids)


def test_words_are_tokens_when_they_occur_often(tokenizer):
    assert _tokens(tokenizer, "Red CIRCLE,") == ["[CLS]", "red", "circle", ",", "[SEP]"]


def test_words_are_spelled_when_they_are_rare(tokenizer):
    assert _tokens(tokenizer, "seldom")[1:4] == ["s", "##e", "##l"]
    assert _tokens(tokenizer, "p7_é") == ["[CLS]", "p", "##7", "_", "e", "[SEP]"]


def test_a_word_is_unknown_when_its_letters_are(tokenizer):
    assert _tokens(tokenizer, "red 漢") == ["[CLS]", "red", "[UNK]", "[SEP]"]


def test_special_ids_are_fixed_when_a_tokenizer_is_made(tokenizer):
    ids = tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id
    assert ids == (0, 1, 2, 3)


def test_the_text_is_back_when_tokens_are_decoded(tokenizer):
    ids = tokenizer("a red star, seldom").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a red star, seldom"
