"""Every column of the pipeline, once: its name, Arrow type, nullability, unit and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import pyarrow as pa


class Role(StrEnum):
    """Where the values of a column go."""

    SCALAR = "scalar"
    """Small: kept in the pool, the ledger and the shards."""
    PAYLOAD = "payload"
    """Heavy (pixels, embeddings): kept in the pool and delivered with the shards, not in the ledger."""
    TRANSIENT = "transient"
    """Handed from stage to stage within one phase and never written."""
    VOLATILE = "volatile"
    """Differs between two runs over the same input (times, retries): kept in the pool alone."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unit` is None where the values have none."""

    name: str
    type: pa.DataType
    meaning: str
    role: Role = Role.SCALAR
    nullable: bool = True
    unit: str | None = None

    @property
    def field(self) -> pa.Field[pa.DataType]:
        """The Arrow field of the column."""
        return pa.field(self.name, self.type, self.nullable)

    @property
    def is_vector(self) -> bool:
        """Whether the values are embeddings: too much for memory all at once, so they are read in batches."""
        return self.role is Role.PAYLOAD and self.type == EMBEDDING_TYPE

    @property
    def decidable(self) -> bool:
        """Whether exchanges may read it: scalars, and vectors; never bytes, never what differs from run to run."""
        return self.role is Role.SCALAR or self.is_vector


CAPTION_TYPE = pa.struct(
    [
        pa.field("text", pa.string()),
        pa.field("model", pa.string()),
        pa.field("prompt", pa.string()),
        pa.field("score", pa.float32()),
    ]
)
"""A synthetic caption: `score` is the mean log-probability of its tokens."""

PDQ_DIHEDRAL = (
    "pdq_turned_90",
    "pdq_turned_180",
    "pdq_turned_270",
    "pdq_flipped_x",
    "pdq_flipped_y",
    "pdq_flipped_plus",
    "pdq_flipped_minus",
)
"""PDQ hashes of the image turned counter-clockwise and flipped: upside down, left to right, by its diagonals."""

EMBEDDING_TYPE = pa.list_(pa.float16())
"""One embedding: (d,) float16, L2-normalised; every row of a column has the same d."""


def _source_columns() -> list[Column]:
    return [
        Column(
            "row", pa.int64(), "position of the pair in the source, the identity of a row within a run", nullable=False
        ),
        Column("key", pa.string(), "hash of source name, URL and caption; the sample's name in shards", nullable=False),
        Column("url", pa.string(), "where the image lies, as given by the source"),
        Column("caption", pa.string(), "alt-text as given by the source"),
        Column(
            "reference",
            pa.string(),
            "where the source has the image's bytes already, null where it has none",
            role=Role.TRANSIENT,
        ),
        Column("reference_error", pa.string(), "why the source has no bytes, as it says itself", role=Role.TRANSIENT),
    ]


def _text_columns() -> list[Column]:
    return [
        Column("text", pa.string(), "alt-text with HTML entities resolved and white space folded"),
        Column("text_chars", pa.int32(), "length of `text`", unit="characters"),
        Column("text_words", pa.int32(), "words in `text`", unit="words"),
        Column("text_repetition", pa.float32(), "share of the words of `text` that repeat an earlier one"),
        Column("text_language", pa.string(), "ISO 639-1 code of the language of `text`, null if undecided"),
        Column("text_pii", pa.int32(), "e-mail addresses and phone numbers found in the alt-text"),
        Column("text_persons", pa.int32(), "names of persons replaced in `text`"),
        Column("text_blocked", pa.int32(), "entries of blocklists found in `text`"),
        Column("text_nouns", pa.int32(), "nouns in `text`", unit="words"),
        Column("text_determiners", pa.int32(), "determiners in `text`", unit="words"),
        Column("text_char_repetition", pa.float32(), "share of the character n-grams of `text` that repeat most"),
        Column("text_ngram_repetition", pa.float32(), "share of the word n-grams of `text` that occur more than once"),
        Column("text_special_share", pa.float32(), "share of the characters of `text` that are no letters or digits"),
        Column("text_stop_word_share", pa.float32(), "share of the words of `text` that are stop words"),
        Column("text_language_score", pa.float32(), "probability that `text` is in a wanted language", unit="0 to 1"),
        Column("text_rarest_count", pa.int64(), "how often the rarest word of `text` occurs in all texts"),
    ]


def _fetch_columns() -> list[Column]:
    return [
        Column("body", pa.large_binary(), "the response body as it came", role=Role.TRANSIENT),
        Column("http_status", pa.int16(), "status of the last response, null when none came"),
        Column("final_url", pa.string(), "URL of the last response, after redirects"),
        Column("redirects", pa.int16(), "redirects followed", unit="hops"),
        Column(
            "redirect_chain", pa.list_(pa.string()), "URLs asked for before `final_url`, in order, null without one"
        ),
        Column("content_type", pa.string(), "Content-Type of the last response, as sent"),
        Column("body_bytes", pa.int64(), "length of the body after content decoding", unit="bytes"),
        Column("etag", pa.string(), "ETag of the response that brought the body, as sent"),
        Column("last_modified", pa.string(), "Last-Modified of the response that brought the body, as sent"),
        Column("sha256", pa.string(), "SHA-256 of the body, hexadecimal"),
        Column("fetch_attempts", pa.int16(), "requests made for the row", role=Role.VOLATILE),
        Column("fetch_s", pa.float32(), "time from first attempt to last byte", role=Role.VOLATILE, unit="s"),
        Column(
            "dns_s",
            pa.float32(),
            "name resolution of the last request, 0 if it was known",
            role=Role.VOLATILE,
            unit="s",
        ),
        Column(
            "connect_s", pa.float32(), "connecting and TLS, 0 on a connection kept open", role=Role.VOLATILE, unit="s"
        ),
        Column("first_byte_s", pa.float32(), "from request sent to response headers", role=Role.VOLATILE, unit="s"),
        Column("body_s", pa.float32(), "from response headers to last byte", role=Role.VOLATILE, unit="s"),
    ]


def _image_columns() -> list[Column]:
    return [
        Column("image", pa.large_binary(), "the encoded image that is delivered", role=Role.PAYLOAD),
        Column("image_format", pa.string(), "format of `image`: jpg, png or webp"),
        Column("image_bytes", pa.int64(), "length of `image`", unit="bytes"),
        Column("width", pa.int32(), "width of `image`", unit="px"),
        Column("height", pa.int32(), "height of `image`", unit="px"),
        Column("original_format", pa.string(), "format of the body, from its first bytes"),
        Column("original_width", pa.int32(), "width before resizing, orientation applied", unit="px"),
        Column("original_height", pa.int32(), "height before resizing, orientation applied", unit="px"),
        Column("original_kept", pa.bool_(), "`image` is the body unchanged: nothing had to be done"),
        Column("decode_s", pa.float32(), "decoding, resizing and encoding", role=Role.VOLATILE, unit="s"),
        Column("pdq", pa.string(), "PDQ perceptual hash of `image`, 256 bits, hexadecimal"),
        Column("pdq_inner", pa.string(), "PDQ hash of the inner part of `image`, near the hashes of its crops"),
        *(
            Column(name, pa.string(), f"PDQ hash of `image` {name.removeprefix('pdq_').replace('_', ' ')}")
            for name in PDQ_DIHEDRAL
        ),
        Column("pdq_quality", pa.int16(), "PDQ quality: below 50 the hash says little", unit="0 to 100"),
    ]


def _model_columns() -> list[Column]:
    return [
        Column("clip_score", pa.float32(), "cosine of image and text embedding", unit="-1 to 1"),
        Column("clip_model", pa.string(), "the model that made `clip_score` and the embeddings"),
        Column("image_embedding", EMBEDDING_TYPE, "CLIP image embedding", role=Role.PAYLOAD),
        Column("text_embedding", EMBEDDING_TYPE, "CLIP text embedding of the alt-text", role=Role.PAYLOAD),
        Column("copy_descriptor", EMBEDDING_TYPE, "vector of a copy detector: near for copies", role=Role.PAYLOAD),
        Column("captions", pa.list_(CAPTION_TYPE), "synthetic captions, in the order they were made"),
        Column("caption_fault", pa.string(), "why generated captions were discarded, null if none was"),
    ]


def _decision_columns() -> list[Column]:
    return [
        Column("duplicate_of", pa.string(), "key of the copy that was kept in place of this row"),
        Column("duplicate_distance", pa.int16(), "PDQ distance to the nearest member of its group", unit="bits"),
        Column("duplicate_group", pa.int64(), "smallest row of the group of copies, null without a copy"),
        Column("balance_entries", pa.int32(), "entries of the metadata that the text names", unit="entries"),
        Column("balance_probability", pa.float32(), "chance with which balancing keeps the row", unit="0 to 1"),
        Column("semantic_cluster", pa.int32(), "cluster of the row's embedding, null without an embedding"),
        Column(
            "semantic_cosine",
            pa.float32(),
            "largest cosine to a row that comes before it in its cluster, null for the first",
            unit="-1 to 1",
        ),
        Column(
            "semantic_duplicate_of",
            pa.string(),
            "key of the row that a semantic duplicate is nearest to, of those before it in its cluster",
        ),
        Column("text_duplicate_of", pa.string(), "key of the best row that says the same"),
        Column(
            "text_similarity",
            pa.float32(),
            "share of words in common with the nearest text of its group, null without a copy",
            unit="0 to 1",
        ),
        Column("text_group", pa.int64(), "smallest row of the group that says the same, null without a copy"),
        Column("text_images", pa.int32(), "different images that have the row's text, null without a text"),
        Column("image_texts", pa.int32(), "different texts of the row's image, null without an image"),
        Column("decontaminated_by", pa.list_(pa.string()), "evaluation sets that have the picture, null for none"),
        Column(
            "decontaminated_distance",
            pa.int16(),
            "PDQ distance to the nearest evaluation picture, null if none is within the bound",
            unit="bits",
        ),
        Column(
            "decontaminated_cosine",
            pa.float32(),
            "cosine of the copy descriptor to that of the nearest evaluation picture",
            unit="-1 to 1",
        ),
        Column("shard", pa.int32(), "number of the shard that holds the row"),
        Column("shard_position", pa.int32(), "place of the row within its shard"),
        Column("outcome", pa.string(), "kept, rejected or failed", nullable=False),
        Column("step", pa.string(), "the step that rejected or failed the row"),
        Column("reason", pa.string(), "rule that rejected the row or reason it failed for"),
        Column("detail", pa.string(), "the evidence, such as the figure and the bound it was held against"),
    ]


def _registry() -> MappingProxyType[str, Column]:
    groups = (
        _source_columns(),
        _text_columns(),
        _fetch_columns(),
        _image_columns(),
        _model_columns(),
        _decision_columns(),
    )
    return MappingProxyType({column.name: column for group in groups for column in group})


COLUMNS = _registry()
"""Every column by name. Columns that a source carries along are not here: they keep their own names and types."""


def schema_of(*names: str) -> pa.Schema:
    """The Arrow schema of the named columns, in the order given.

    Raises:
        KeyError: A name is not registered.
    """
    return pa.schema([COLUMNS[name].field for name in names])


def nullable_schema_of(*names: str) -> pa.Schema:
    """`schema_of`, with nulls allowed in every column.

    Raises:
        KeyError: A name is not registered.
    """
    return pa.schema([field.with_nullable(True) for field in schema_of(*names)])
