import hashlib
import re

import pyarrow as pa
import pytest

from curation.errors import RecipeError
from schemas.outcomes import FailureReason
from stages.fetch.verification import Expected, check_columns, digest_of, sha256_digests, verified_columns

BODY = b"abc"
# Of FIPS 180-2, appendix B.1, and of RFC 1321, appendix A.5.
SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
MD5 = "900150983cd24fb0d6963f7d28e17f72"


# The same by `openssl dgst -binary | base64`; that of MD5 is how Open Images lists it.
SHA256_64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
MD5_64 = "kAFQmDzST7DWlj99KOF/cg=="

SPELLINGS = [
    *(("sha256", SHA256), ("sha256", SHA256.upper()), ("sha256", f" {SHA256}\n"), ("sha256", bytes.fromhex(SHA256))),
    *(("sha256", SHA256.encode()), ("sha256", f"sha256:{SHA256}"), ("sha256", f"SHA256:{SHA256.upper()}")),
    *(("sha256", SHA256_64), ("sha256", SHA256_64[:-1]), ("sha256", f"sha256-{SHA256_64}")),
    *(("sha256", SHA256_64.replace("+", "-").replace("/", "_")), ("sha256", SHA256_64.encode())),
    *(("md5", MD5), ("md5", MD5.upper()), ("md5", bytes.fromhex(MD5)), ("md5", MD5.encode()), ("md5", f"md5:{MD5}")),
    *(("md5", MD5_64), ("md5", MD5_64.rstrip("=")), ("md5", MD5_64.replace("/", "_")), ("md5", f"md5:{MD5_64}")),
]
NO_DIGESTS = [None, "", "  \n", b"", b" "]
NOT_READABLE = [
    *(("md5", SHA256), ("sha256", MD5), ("md5", f"sha256:{MD5}"), ("sha256", f"md5:{SHA256}"), ("md5", "nan")),
    *(
        ("md5", MD5[:-1]),
        ("md5", MD5 + "0"),
        ("md5", f"'{MD5}'"),
        ("md5", "g" + MD5[1:]),
        ("md5", f"{MD5[:16]} {MD5[16:]}"),
    ),
    *(
        ("md5", MD5_64[:-3]),
        ("md5", "!" + MD5_64[1:]),
        ("md5", b"\xff" * 15),
        ("sha256", b"\xff" * 16),
        ("md5", "md5:"),
    ),
    ("md5", "kAFQmDzST7DWlj99KOF\u0661cg=="),
]


def made(name: str, *digests: str | bytes | None) -> Expected:
    kind = pa.binary() if any(isinstance(digest, bytes) for digest in digests) else pa.string()
    return Expected(pa.table({"wanted": pa.array(digests, kind)}), {name: "wanted"})


@pytest.mark.parametrize(("name", "digest"), SPELLINGS)
def test_body_is_accepted_when_its_hash_is_the_expected_one_in_any_spelling(name: str, digest: str | bytes):
    expected = made(name, digest)
    assert expected.unreadable(0) is None
    assert expected.objection(0, BODY, SHA256) is None
    other = made(name, digest).objection(0, b"abd", hashlib.sha256(b"abd").hexdigest())
    assert other is not None
    assert other.reason == FailureReason.HASH_MISMATCH.value


@pytest.mark.parametrize("digest", NO_DIGESTS)
def test_body_is_not_verified_when_no_digest_is_given(digest: str | bytes | None):
    for name in ("md5", "sha256"):
        expected = made(name, digest)
        assert expected.unreadable(0) is None
        assert expected.objection(0, b"anything", hashlib.sha256(b"anything").hexdigest()) is None


@pytest.mark.parametrize(("name", "digest"), NOT_READABLE)
def test_row_fails_with_what_is_given_when_it_is_no_digest_of_the_kind(name: str, digest: str | bytes):
    expected = made(name, digest)
    mark = expected.unreadable(0)
    assert mark is not None
    assert mark.reason == FailureReason.INVALID_DIGEST.value
    shown = repr(digest if len(digest) <= 60 else digest[:60])
    assert mark.detail == f"{shown} is no {name} in hexadecimal or base64"


def test_url_safe_base64_is_read_as_a_whole_when_it_begins_like_a_prefix():
    listed = "md5-AAAAAAAAAAAAAAAAAA"
    assert digest_of("md5", listed) == "99de7e" + "00" * 13
    assert digest_of("md5", f"md5-{listed}") == digest_of("md5", listed)


def test_what_is_shown_is_cut_when_it_is_long():
    mark = made("md5", "x" * 1000).unreadable(0)
    assert mark is not None
    assert mark.detail == f"'{'x' * 60}' is no md5 in hexadecimal or base64"


KINDS = [
    *(pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()),
    *(pa.binary(32), pa.null(), pa.dictionary(pa.int32(), pa.string())),
]


@pytest.mark.parametrize("kind", KINDS)
def test_column_is_taken_when_it_is_of_a_type_that_holds_digests(kind: pa.DataType):
    assert check_columns(pa.schema({"wanted": kind}), {"md5": "wanted", "sha256": None}) is None
    raw = bytes.fromhex(SHA256)
    is_text = pa.types.is_large_string(kind) or pa.types.is_string(kind) or pa.types.is_string_view(kind)
    value = None if pa.types.is_null(kind) else SHA256 if is_text or pa.types.is_dictionary(kind) else raw
    plain = pa.array([value], kind.value_type if pa.types.is_dictionary(kind) else kind)
    column = plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain
    expected = Expected(pa.table({"wanted": column}), {"sha256": "wanted"})
    found = expected.objection(0, b"abd", hashlib.sha256(b"abd").hexdigest())
    assert (found is None) == pa.types.is_null(kind)
    assert expected.objection(0, BODY, SHA256) is None


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.float64(), pa.list_(pa.uint8()), pa.bool_()])
def test_column_is_refused_when_it_is_of_a_type_that_holds_no_digests(kind: pa.DataType):
    schema = pa.schema({"wanted": kind})
    message = re.escape(f"verify_md5: column wanted is of type {kind}; digests are text or binary")
    with pytest.raises(RecipeError, match=message):
        check_columns(schema, {"sha256": None, "md5": "wanted"})
    with pytest.raises(RecipeError, match=message):
        Expected(schema.empty_table(), {"md5": "wanted"})


def test_row_fails_with_both_hashes_when_they_differ():
    table = pa.table({"sha": [SHA256, "00" * 32], "sum": [MD5, "ff" * 16]})
    by_sha256 = Expected(table, {"sha256": "sha", "md5": None}).objection(1, BODY, SHA256)
    by_md5 = Expected(table, {"sha256": None, "md5": "sum"}).objection(1, BODY, SHA256)
    assert by_sha256 is not None
    assert by_md5 is not None
    assert {by_sha256.reason, by_md5.reason} == {FailureReason.HASH_MISMATCH.value}
    assert by_sha256.detail == "sha256 ba7816bf8f01, expected 000000000000"
    assert by_md5.detail == "md5 900150983cd2, expected ffffffffffff"
    assert Expected(table, {"sha256": "sha", "md5": "sum"}).objection(0, BODY, SHA256) is None


def test_columns_are_read_once_when_both_hashes_stand_in_one():
    assert verified_columns({"sha256": "a", "md5": None}) == ("a",)
    assert verified_columns({"sha256": "a", "md5": "b"}) == ("a", "b")
    assert verified_columns({"sha256": "a", "md5": "a"}) == ("a",)


def test_digests_are_those_of_the_bodies_when_some_are_missing():
    assert sha256_digests([BODY, None, b""]) == [SHA256, None, hashlib.sha256(b"").hexdigest()]
