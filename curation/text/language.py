"""Which language a short text is written in, and how sure that is; offline, from a model inside a package.

A naive Bayes classifier over byte n-grams tells an alt-text of four words apart from one in a neighbouring language
better than word lists do, but no classifier should be believed about two words. So what counts here is the lead of
one language over another, and a text without a clear lead has no language.

Source: Lui and Baldwin, langid.py (ACL 2012), with the model of py3langid 0.4 (139 languages). Its scores are used as
they are; what departs is that a whole batch walks through the automaton at once, which is about six times faster, and
that only languages that are common on the web compete, so that "a blue square" is not Nigerian Pidgin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from py3langid.langid import MODEL_FILE, LanguageIdentifier  # type: ignore[import-untyped]
from scipy.sparse import csr_matrix

from curation.text.function_words import FUNCTION_WORDS, function_words_of

LANGUAGES = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he", "hi", "hr", "hu", "id"),
    *("it", "ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "ta", "te", "th"),
    *("tl", "tr", "uk", "vi", "zh"),
)
"""ISO 639-1 codes of the languages that are told apart."""

UNDECIDED_BELOW = 0.5
"""A best language with a smaller lead over the second is not named."""

UNSUPPORTED = 3.0
"""Taken off a lead that rests on fragments of words alone, such as that of French in "a turquoise star"."""

_MOST_BYTES = 400
"""What follows changes no verdict: the lead of the right language is past doubt by then."""
_NO_WORDS = r"(?i)(?:https?://|www\.)\S+|\S*\p{N}\S*"
"""Addresses, sizes and model numbers are in no language."""
_WORD_BEYOND_ASCII = r"[A-Za-z]*[\p{L}--[A-Za-z]]\p{L}*"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LanguageScores:
    """How well each language explains each text.

    Attributes:
        texts: (n,) String, what was scored.
        scores: (n, len(LANGUAGES)) float32, log-probabilities divided by the square root of the text's bytes, which
            makes them comparable between lengths; all 0 for a text without letters.
    """

    texts: pl.Series
    scores: Floats

    def best(self) -> pl.Series:
        """(n,) String: the best language of each text, however small its lead."""
        return pl.Series(LANGUAGES, dtype=pl.String).gather(self.scores.argmax(axis=1))

    def named(self) -> pl.Series:
        """(n,) String: the best language of each text, null where its lead over the second is too small."""
        ordered = np.partition(self.scores, -2, axis=1)
        decided = ordered[:, -1] - ordered[:, -2] >= UNDECIDED_BELOW
        return self.best().set(pl.Series(~decided), None)

    def lead_over(self, languages: tuple[str, ...]) -> Floats:
        """By how much another language leads all of the given ones.

        A lead is the smaller by `UNSUPPORTED` where the text has no more foreign function words and
        words with letters beyond ASCII than it has function words of the given languages.

        Returns:
            (n,) float32; 0 or less where one of the given languages is the best.

        Raises:
            KeyError: A language is not one of `LANGUAGES`.
        """
        unknown = set(languages) - set(LANGUAGES)
        if unknown:
            raise KeyError(*sorted(unknown))
        given = [LANGUAGES.index(language) for language in languages]
        lead = self.scores.max(axis=1) - self.scores[:, given].max(axis=1)
        behind = np.nonzero(lead > 0)[0]
        lead[behind] -= np.where(_supported(self.texts.gather(behind), languages), 0.0, UNSUPPORTED)
        return np.asarray(lead, np.float32)


def _supported(texts: pl.Series, languages: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Whether texts have more words of a foreign look than function words of the given languages."""
    own = function_words_of(languages)
    foreign = function_words_of(FUNCTION_WORDS) - own
    evidence = texts.str.count_matches(rf"{_any_of(foreign)}|{_WORD_BEYOND_ASCII}")
    counter_evidence = texts.str.count_matches(_any_of(own)) if own else 0
    return np.asarray((evidence > counter_evidence).to_numpy(), bool)


def _any_of(words: frozenset[str]) -> str:
    return rf"\b(?i:{'|'.join(sorted(words))})\b"


class LanguageModel:
    """Scores texts in every language. Loading it takes half a second and some 150 MB."""

    def __init__(self) -> None:
        model = LanguageIdentifier.from_model_file(MODEL_FILE)
        # Some languages have a column for each of their scripts.
        columns = [[at for at, name in enumerate(model.nb_classes) if name == code] for code in LANGUAGES]
        flat = [at for places in columns for at in places]
        self._first = np.cumsum([0, *(len(places) for places in columns[:-1])])
        self._weights = np.ascontiguousarray(np.asarray(model.nb_ptc)[:, flat], np.float32)
        self._priors = np.asarray(model.nb_pc, np.float32)[flat]
        self._next = np.asarray(model.tk_nextmove)
        self._row = np.asarray(model.tk_row).astype(np.int32) << 8
        self._feature = np.asarray(model.tk_output, np.int32)

    def score(self, texts: pl.Series) -> LanguageScores:
        """Scores a batch of texts.

        Args:
            texts: (n,) String, as `plain_texts` makes them; null counts as empty.
        """
        worded = texts.fill_null("").str.replace_all(_NO_WORDS, " ").str.replace_all(r"\s+", " ").str.strip_chars()
        lower = worded.str.to_lowercase()
        worded = worded.set(worded == worded.str.to_uppercase(), None).fill_null(lower)
        encoded = [text.encode()[:_MOST_BYTES] for text in worded.to_list()]
        lengths = np.fromiter(map(len, encoded), np.int32, len(encoded))
        counts = self._features(b"".join(encoded), lengths)
        scores = np.asarray(counts @ self._weights + self._priors, np.float32)
        scores = np.maximum.reduceat(scores, self._first, axis=1)
        scores /= np.sqrt(np.maximum(lengths, 1)).astype(np.float32)[:, None]
        scores[np.diff(counts.indptr) == 0] = 0.0
        return LanguageScores(worded, scores)

    def _features(self, data: bytes, lengths: npt.NDArray[np.int32]) -> csr_matrix:
        """Walks all texts through the automaton side by side, byte by byte; the longest first, so that the active
        ones are always at the front. Returns (n, features) float32, log(1 + count)."""
        bytes_ = np.frombuffer(data, np.uint8)
        order = np.argsort(-lengths, kind="stable")
        starts = (np.cumsum(lengths, dtype=np.int64) - lengths)[order]
        active_at = np.searchsorted(-lengths[order], -np.arange(max(lengths, default=0)), side="left")
        states = np.zeros(len(lengths), np.int64)
        texts: list[npt.NDArray[np.int64]] = []
        features: list[npt.NDArray[np.int32]] = []
        for place, active in enumerate(active_at.tolist()):
            letters = bytes_[starts[:active] + place]
            states[:active] = self._next[self._row[states[:active]] + letters]
            emitted = self._feature[states[:active]]
            hits = np.nonzero(emitted >= 0)[0]
            texts.append(order[hits])
            features.append(emitted[hits])
        rows = np.concatenate([*texts, np.zeros(0, np.int64)])
        columns = np.concatenate([*features, np.zeros(0, np.int32)])
        ones = np.ones(len(rows), np.float32)
        counts = csr_matrix((ones, (rows, columns)), shape=(len(lengths), len(self._weights)))
        counts.sum_duplicates()
        counts.data = np.log1p(counts.data)
        return counts
