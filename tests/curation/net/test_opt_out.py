import pytest

from curation.net.opt_out import ROBOTS_TAGS, reserves_mining, robots_tag_objection


@pytest.mark.parametrize(
    ("values", "objection"),
    [
        ([], None),
        (["all"], None),
        (["noarchive, nofollow"], None),
        (["noai"], "noai"),
        (["nofollow", "NOIMAGEAI "], "noimageai"),
        (["noarchive,noindex"], "noindex"),
        (["none"], "none"),
        (["otherbot: noindex, nofollow"], None),
        (["my-bot: noimageindex"], "noimageindex"),
        (["MY-BOT : noai"], "noai"),
        (["*: noai"], "noai"),
        (["otherbot: noindex, my-bot: nofollow, noai"], "noai"),
        (["my-bot: nofollow, otherbot: noai"], None),
        (["max-image-preview: large, noai"], "noai"),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST"], None),
        (["unavailable_after: Wed, 25 Jun 2030 15:00:00 PST, noai"], "noai"),
        (["max-image-preview: none"], None),
        (["max-image-preview:none, noai"], "noai"),
        (["max-snippet:-1, max-video-preview: 3, noindex"], "noindex"),
        # A value may be missing.
        (["max-snippet:, noai"], "noai"),
        (["max-snippet: ; noai"], "noai"),
        (["unavailable_after:, noai"], "noai"),
        (["unavailable_after:"], None),
        (["*"], None),
        (["nofollow, x-noai, noaim"], None),
        # Owners separate directives in other ways.
        (["noai noimageai"], "noai"),
        (["nofollow; noimageai"], "noimageai"),
        (['"noai"'], "noai"),
        (["noai: yes"], "noai"),
        (["noai:"], "noai"),
        (["otherbot: noindex; noai"], None),
        (["otherbot: noindex my-bot: noai"], "noai"),
        # A crawler's version belongs to its name.
        (["my-bot/1.0: noai"], "noai"),
        (["my-bot/1.0 (x; y): noai"], "noai"),
        (["otherbot/2.1: noai"], None),
        (["my-bot-news: noai"], None),
        # What is no crawler's name binds nothing.
        (["noarchive: , noai"], "noai"),
        (["date: x, noai"], "noai"),
        (["something: , noai"], "noai"),
        (["otherbot: date: x, noai"], "noai"),
        (["otherbot: nofollow, date: x, noai"], None),
    ],
)
def test_objection_is_found_when_a_header_is_about_this_crawler(values: list[str], objection: str | None):
    assert robots_tag_objection(values, "my-bot") == objection


@pytest.mark.parametrize("tag", ROBOTS_TAGS)
def test_directive_counts_when_it_is_among_those_obeyed(tag: str):
    assert robots_tag_objection([f"nofollow, {tag}"], "my-bot", (tag,)) == tag
    assert robots_tag_objection([tag], "my-bot", [other for other in ROBOTS_TAGS if other != tag]) is None


def test_none_counts_when_noindex_is_obeyed():
    assert robots_tag_objection(["none"], "my-bot", ("noindex",)) == "none"
    assert robots_tag_objection(["none"], "my-bot", ("noai",)) is None


@pytest.mark.parametrize(
    ("values", "reserved"),
    [
        ([], False),
        (["0"], False),
        (["1"], True),
        (["0", " 1 "], True),
        (["yes"], False),
        (["1, 1"], True),
        (["0, 1"], True),
        (["1;"], True),
        (["0, 0"], False),
        (["10"], False),
    ],
)
def test_mining_is_reserved_when_a_header_says_one(values: list[str], reserved: bool):
    assert reserves_mining(values) is reserved
