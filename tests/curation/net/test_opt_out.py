import pytest

from curation.net.opt_out import robots_tag_objection


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
    ],
)
def test_objection_is_found_when_a_header_is_about_this_crawler(values: list[str], objection: str | None):
    assert robots_tag_objection(values, "my-bot") == objection
