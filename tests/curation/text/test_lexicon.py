import sys

from curation.text.lexicon import load_lexicon


def test_determiners_are_a_closed_class_when_loaded():
    articles, others = "a an the", "all another any both each either every neither no some these this those"

    assert load_lexicon().determiners == {*articles.split(), *others.split(), "whatever", "which", "whichever"}


def test_words_and_names_are_apart_when_loaded():
    lexicon = load_lexicon()

    assert {"hope", "rose", "mark", "paris", "china"}.isdisjoint(lexicon.first_names)
    assert {"anna", "michael", "smith"}.isdisjoint(lexicon.common)
    assert {"smith", "king", "kowalski"} <= lexicon.surnames
    assert {"pillow", "harp"}.isdisjoint(lexicon.surnames)


def test_no_toolkit_is_imported_when_its_word_lists_are_read():
    load_lexicon()

    assert {"nltk", "textblob"}.isdisjoint(sys.modules)
