"""Keys: stable for ever, and no two different rows by construction."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.row_keys import row_keys

TEXTS = st.none() | st.text(st.characters(codec=None), max_size=12)


def test_a_key_is_what_it_has_always_been_when_computed_today():
    # Worked out apart: blake2b(b"3:web" + b"5:u/\xc3\xa4b" + b"-", digest_size=16). A change would rename every sample.
    assert row_keys("web", ["u/äb"], [None]) == ["8199491894f65d289b8d23607ae3d5d5"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("web", "ab", "c"), ("web", "a", "bc")),
        (("web", None, ""), ("web", "", None)),
        (("web", None, None), ("web", "", "")),
        (("web", "-", "x"), ("web", None, "x")),
        (("a", "b", "c"), ("ab", "", "c")),
        (("web", "1:a", "b"), ("web", "1", ":ab")),
    ],
)
def test_keys_differ_when_the_same_letters_are_cut_elsewhere(one, other):
    assert row_keys(one[0], [one[1]], [one[2]]) != row_keys(other[0], [other[1]], [other[2]])


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8))
def test_keys_meet_exactly_when_url_and_caption_do(pairs):
    keys = row_keys("web", [url for url, _ in pairs], [caption for _, caption in pairs])
    assert len(set(keys)) == len(set(pairs))
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)


def test_keys_are_the_same_when_another_process_hashes_with_another_seed():
    code = "from curation.row_keys import row_keys; print(row_keys('web', ['u'], ['c'])[0])"
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": "."}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == row_keys("web", ["u"], ["c"])[0]


def test_a_wrong_count_is_an_error_when_urls_and_captions_do_not_pair_up():
    with pytest.raises(ValueError, match="shorter"):
        row_keys("web", ["u", "v"], ["c"])
