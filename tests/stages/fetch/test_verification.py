import hashlib

import pyarrow as pa
import pytest

from schemas.outcomes import FailureReason
from stages.fetch.verification import Expected, sha256_digests, verified_columns

BODY = b"abc"
# Of FIPS 180-2, appendix B.1, and of RFC 1321, appendix A.5.
SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
MD5 = "900150983cd24fb0d6963f7d28e17f72"


@pytest.mark.parametrize("digest", [SHA256, SHA256.upper(), f" {SHA256}\n", bytes.fromhex(SHA256), None])
def test_body_is_accepted_when_its_hash_is_the_expected_one_or_none_is_given(digest: str | bytes | None):
    kind = pa.binary() if isinstance(digest, bytes) else pa.string()
    expected = Expected(pa.table({"wanted": pa.array([digest], kind)}), {"sha256": "wanted", "md5": None})
    assert expected.objection(0, BODY, SHA256) is None


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
