import importlib.util

import pytest

from curation.errors import RecipeError
from curation.references.schemes import require_installed, require_scheme, scheme_of


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("http://a", "http"),
        (" S3://a/b", "s3"),
        ("data:,x", "data"),
        ("git+ssh://a", "git+ssh"),
        ("//a/b", None),
        ("a/b:c", None),
        ("1a:b", None),
        ("", None),
        (None, None),
    ],
)
def test_the_scheme_is_what_stands_before_the_first_colon(text: str | None, scheme: str | None):
    assert scheme_of(text) == scheme


@pytest.mark.parametrize("scheme", ["http", "data", "file", "s3", "gs", "hf", "abfs", "memory"])
def test_a_scheme_is_taken_when_it_leads_to_one_place(scheme: str):
    assert require_scheme(scheme) is None


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("simplecache", "other file systems"),
        ("zip", "other file systems"),
        ("reference", "other file systems"),
        ("local", "say `file`"),
        ("s4", "did you mean s3"),
        ("nonsense", "knows no such scheme"),
    ],
)
def test_a_scheme_is_refused_when_a_list_could_choose_where_it_leads(scheme: str, words: str):
    with pytest.raises(ValueError, match=words):
        require_scheme(scheme)


@pytest.mark.skipif(importlib.util.find_spec("adlfs") is not None, reason="adlfs is installed")
def test_the_package_is_named_when_it_is_missing():
    with pytest.raises(RecipeError, match="pip install adlfs"):
        require_installed("az")


def test_nothing_is_missing_when_a_scheme_needs_nothing():
    assert [require_installed(scheme) for scheme in ("http", "data", "file", "s3")] == [None] * 4
