import math
import time

import pytest

from curation.net.robots_rules import RobotsRules

URL = "http://example.org/private/a.jpg"


def objection(text, agent="my-bot", url=URL):
    return RobotsRules(text, agent).objection(url)


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [
        ("", False),
        ("User-agent: *\nDisallow: /private/", True),
        ("User-agent: *\nDisallow:", False),
        ("Disallow: /", False),
        # The crawler's own group counts alone, whatever its case and wherever it stands.
        ("User-agent: *\nDisallow: /\n\nUser-agent: MY-BOT\nDisallow: /other/", False),
        ("User-agent: My-Bot/2.0\nDisallow: /\n\nUser-agent: *\nDisallow:", True),
        ("User-agent: my-bot\n\nUser-agent: *\nDisallow: /", True),
        ("User-agent: my-bot\nAllow: /\n\nUser-agent: *\nDisallow: /", False),
        # A group for a part of the token, or for a longer one, is another crawler's.
        ("User-agent: my\nDisallow: /", False),
        ("User-agent: bot\nDisallow: /", False),
        ("User-agent: my-bot-news\nDisallow: /", False),
        # Groups with the same token are one; lines for the whole site end none.
        ("User-agent: my-bot\nDisallow: /x\nUser-agent: a\nDisallow:\nUser-agent: my-bot\nDisallow: /private", True),
        ("User-agent: my-bot\nSitemap: http://example.org/s.xml\nUser-agent: other\nDisallow: /", True),
        ("User-agent: a\nUser-agent: my-bot\nDisallow: /\nUser-agent: b\nAllow: /", True),
        # The longest rule counts, and `allow` where two are equally long.
        ("User-agent: *\nDisallow: /private\nAllow: /private/a", False),
        ("User-agent: *\nAllow: /private/a\nDisallow: /private/a", False),
        ("User-agent: *\nDisallow: /*.jpg$", True),
        ("User-agent: *\nDisallow: /*.jp$", False),
        ("\ufeffUser-agent: * # all of them\r\nDisallow: /private # really\r\n", True),
    ],
)
def test_url_is_forbidden_when_the_rules_for_this_crawler_say_so(text, forbidden):
    assert (objection(text) is not None) is forbidden


def test_robots_txt_itself_is_allowed_when_all_is_forbidden():
    assert objection("User-agent: *\nDisallow: /", url="http://example.org/robots.txt") is None


def test_line_that_forbids_is_told_when_several_match():
    text = "# hello\nUser-agent: *\nDisallow: /p\nAllow: /private/b\nDisallow: /private/ # no\n"
    assert objection(text) == "line 5: Disallow: /private/"


@pytest.mark.parametrize(
    ("lines", "interval_s"),
    [
        ("Crawl-delay: 2.5", 2.5),
        ("Crawl-delay: 1\nRequest-rate: 1/5", 5.0),
        ("Request-rate: 30/1m", 2.0),
        (f"Request-rate: 1/{'9' * 400}", math.inf),
        ("Crawl-delay: soon", 0.0),
        ("Disallow: /x", 0.0),
    ],
)
def test_interval_is_the_longer_one_when_the_file_asks_for_some(lines, interval_s):
    assert RobotsRules(f"User-agent: my-bot\n{lines}", "my-bot").interval_s == interval_s


def test_interval_is_another_crawlers_when_its_group_asks_for_it():
    assert RobotsRules("User-agent: other\nCrawl-delay: 9", "my-bot").interval_s == 0.0


def test_line_that_forbids_is_told_when_there_are_thousands():
    lines = [f"Disallow: /{number}/" for number in range(5000)]
    rules = RobotsRules("\n".join(["User-agent: *", *lines]), "my-bot")
    for number in (0, 7, 63, 64, 4999):
        assert rules.objection(f"http://example.org/{number}/a") == f"line {number + 2}: Disallow: /{number}/"
    assert rules.objection("http://example.org/5000/a") is None


def test_line_is_ignored_when_it_is_longer_than_any_path():
    text = f"User-agent: *\nDisallow: /{'a' * 2000}\nDisallow: /private # {'a' * 3000}"
    rules = RobotsRules(text, "my-bot")
    assert rules.objection(URL) == "line 3: Disallow: /private"
    assert rules.objection(f"http://example.org/{'a' * 3000}") is None


@pytest.mark.parametrize("filler", ["a" + " " * 500_000 + "b", "a\n" * 250_000, "Disallow: /x*y\n" * 30_000])
def test_file_is_read_soon_when_it_is_made_to_take_long(filler: str):
    started = time.process_time()
    rules = RobotsRules(f"User-agent: *\nDisallow: /private/\n{filler}", "my-bot")
    for _ in range(20):
        assert rules.objection(URL) == "line 2: Disallow: /private/"
    assert time.process_time() - started < 5.0
    assert rules.size_bytes < 10_000 or "Disallow" in filler
