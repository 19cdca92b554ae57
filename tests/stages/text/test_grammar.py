import pyarrow as pa
import pytest

from stages.text.grammar import TextGrammar, TextGrammarConfig


def processed(texts, **settings):
    stage = TextGrammar(TextGrammarConfig(**settings))
    stage.setup()
    columns = {"row": pa.array(range(len(texts)), pa.int64()), "key": list(map(str, range(len(texts))))}
    return stage.process(pa.table({**columns, "text": pa.array(texts, pa.string())})).to_pylist()


@pytest.mark.parametrize(
    ("settings", "kept", "dropped", "rule", "detail"),
    [
        ({}, "The boat", "The younger", "min_nouns", "0 < 1"),
        ({}, "A boat", "Boat", "min_determiners", "0 < 1"),
        ({"min_nouns": 2}, "the boat and the lake", "the boat", "min_nouns", "1 < 2"),
        ({"min_determiners": 2}, "the boat and the lake", "the boat and lake", "min_determiners", "1 < 2"),
    ],
)
def test_text_is_rejected_when_it_has_too_few(settings, kept, dropped, rule, detail):
    rows = processed([kept, dropped], **settings)

    assert [row["reason"] for row in rows] == [None, rule]
    assert rows[1]["detail"] == detail


def test_counts_are_kept_when_nothing_is_bounded():
    rows = processed(["The boat on a lake", None], min_nouns=None, min_determiners=None)

    assert [(row["text_nouns"], row["text_determiners"]) for row in rows] == [(2, 2), (0, 0)]
    assert "reason" not in rows[0]
