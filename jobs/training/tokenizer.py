"""Makes the small tokenizer of compact models."""

import re
import string
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
_SPECIAL = (PAD, UNKNOWN, START, END)
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")


def make_tokenizer(texts: Iterable[str], folder: Path, *, min_count: int = 3) -> int:
    """Writes a lower-casing WordPiece tokenizer that `AutoTokenizer` reads, and returns its size.

    Words that occur often are tokens; single letters, digits and signs, at the start of a word
    and within it, spell everything else. Only words with other letters become unknown. Texts are
    put between `[CLS]` and `[SEP]`; the ids of padding, unknown, start and end are 0 to 3.

    Args:
        texts: what the words are taken from.
        folder: made when it is missing.
        min_count: how often a word occurs at least.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    counts = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    pieces = string.ascii_lowercase + string.digits
    words = sorted(word for word, count in counts.items() if count >= min_count)
    spelling = [*pieces, *(f"##{piece}" for piece in pieces), *string.punctuation]
    tokens = list(dict.fromkeys([*_SPECIAL, *spelling, *words]))
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])],
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=START,
        sep_token=END,
    )
    folder.mkdir(parents=True, exist_ok=True)
    wrapped.save_pretrained(str(folder))
    return len(tokens)
