import asyncio
import math
import random
import time

import pytest
from loop_turns import counted_turns
from protego import Protego

from curation.net.robots_rules import RobotsRules
from curation.net.urls import web_url

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


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("/*?lang=", "x?lang=en"),
        ("/*%3Flang=", "x?lang=en"),
        ("/*&a=", "x?&a="),
        ("/*;v=1,2", "x;v=1,2"),
        ("/*(1)", "(1)"),
    ],
)
def test_longest_rule_is_the_longest_as_written_when_reserved_characters_are_in_it(rule: str, path: str):
    longer, shorter = f"Disallow: /private/\nAllow: {rule}", f"Disallow: /*/\nAllow: {rule}"
    assert objection(f"User-agent: *\n{longer}", url=f"http://example.org/private/{path}") is not None
    assert objection(f"User-agent: *\n{shorter}", url=f"http://example.org/private/{path}") is None


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


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [
        ("User-agent *\nDisallow: /private/", True),
        ("User-agent my-bot\nDisallow /private/", True),
        ("User agent: *\nDisallow: /private/", True),
        ("User-agent other\nDisallow: /", False),
        ("User-agent: my-bot\nSitemap http://example.org/s.xml\nUser-agent other\nDisallow: /private", True),
        ("User-agent: *\nDisallow\t/private/", True),
        ("User-agent: *\nDisallow /private:a\nDisallow /priv", True),
        ("User-agent: *\nDisallow/private", False),
    ],
)
def test_line_counts_when_its_colon_is_missing(text: str, forbidden: bool):
    assert (objection(text) is not None) is forbidden


_FILLERS = {
    "one line": "a" + " " * 500_000 + "b",
    "lines": "a\n" * 250_000,
    "one rule": "Disallow: /x*y\n" * 30_000,
    "wildcards": "".join(f"Disallow: /*{number}*x\n" for number in range(25_000)),
    "misses": "".join(f"Disallow: /*aaaaaaaaaaaaaaaaaaaab{number}*aaa\n" for number in range(13_000)),
    "near misses": "".join(f"Disallow: /*aaa{number}b*aaaaa\n" for number in range(17_000)),
    "many parts": "".join("Disallow: /" + "*a" * 900 + f"*{number}\n" for number in range(270)),
    "lengths": "".join("Disallow: /" + "a" * number + "b\n" for number in range(980)),
    "escapes": ("Disallow: /" + "%41a" * 400 + "\n") * 300,
}


@pytest.mark.parametrize("filler", _FILLERS.values(), ids=_FILLERS)
def test_file_is_read_soon_when_it_is_made_to_take_long(filler: str):
    started = time.process_time()
    rules = RobotsRules(f"User-agent: *\nDisallow: /private/\n{filler}", "my-bot")
    assert time.process_time() - started < 2.0
    assert rules.objection(URL) == "line 2: Disallow: /private/"
    assert rules.size_bytes < 10_000 or filler.count("Disallow") > 250


@pytest.mark.parametrize("filler", _FILLERS.values(), ids=_FILLERS)
@pytest.mark.parametrize("path", ["a" * 8000, "0123456789" * 800, "%41a" * 2000, "a" * 100])
def test_url_is_compared_soon_when_url_and_file_are_made_to_take_long(filler: str, path: str):
    rules = RobotsRules(f"User-agent: *\nDisallow: /private/\n{filler}", "my-bot")
    spent_s = []
    for _ in range(3):
        started = time.process_time()
        rules.objection(f"http://example.org/{path}")
        spent_s.append(time.process_time() - started)
    # Milliseconds; compared one and all they are seconds.
    assert min(spent_s) < 0.05


def test_url_is_forbidden_when_the_rules_take_too_long_to_compare():
    rules = RobotsRules("User-agent: *\n" + _FILLERS["many parts"], "my-bot")
    assert rules.objection(f"http://example.org/{'a' * 8000}") == "rules that take too long to compare with this URL"
    assert rules.objection(f"http://example.org/{'a' * 20}") is None
    assert rules.objection(URL) is None


def test_longest_rule_counts_when_there_are_hundreds_with_wildcards():
    lines = [
        *(f"Disallow: /*?a{number}=" for number in range(300)),
        "Allow: /*?a77=1*&b",
        "Disallow: /*!",
        "Disallow: *$",
    ]
    rules = RobotsRules("\n".join(["User-agent: *", *lines[:-1]]), "my-bot")
    assert rules.takes_long(URL)
    assert rules.objection("http://example.org/x?a77=2&b") == "line 79: Disallow: /*?a77="
    assert rules.objection("http://example.org/x?a77=1&b") is None
    assert rules.objection("http://example.org/x?a777=1&b") is None
    assert rules.objection("http://example.org/a!") == "line 303: Disallow: /*!"
    everything = RobotsRules("\n".join(["User-agent: *", *lines]), "my-bot")
    assert everything.objection("http://example.org/x") == "line 304: Disallow: *$"


def test_rules_are_the_same_when_they_are_read_a_slice_at_a_time():
    text = "User-agent: *\r\n" + "".join(f"Disallow: /*{number}$\r\n" for number in range(2000)) + "Crawl-delay: 3"

    async def read() -> tuple[RobotsRules, int]:
        with counted_turns() as turns:
            rules = await RobotsRules.read(text, "my-bot")
        return rules, turns.count

    rules, turns = asyncio.run(read())
    whole = RobotsRules(text, "my-bot")
    for path in ("1999", "1999x", "x/77", "", "2000"):
        url = f"http://example.org/{path}"
        assert rules.objection(url) == whole.objection(url)
    assert rules.objection("http://example.org/x/1999") == "line 2001: Disallow: /*1999$"
    assert (rules.interval_s, rules.size_bytes) == (3.0, whole.size_bytes)
    assert turns > len(text) / 4096


_ATOMS = [
    *("a", "b", "/", "/", "*", "*", "$", "?", "=", ".jpg", "index.html", "~", "+", "&", ";", ":"),
    *("%2F", "%2f", "%4B", "%C3%BC", "%c3", "%24", "%2A", "%25", "ü", "é€", " "),
]


def test_verdicts_are_those_of_protego_when_files_and_urls_are_drawn_at_random():
    draw = random.Random(7)

    def path() -> str:
        return "/" + "".join(draw.choice(_ATOMS) for _ in range(draw.randint(0, 6)))

    def line(number: int) -> str:
        kind, value = draw.choice(["Disallow", "Allow", "disalow", "ALLOW"]), path()
        # Protego tells the longest rule after `?` has become `%3F`. So where rules contend there are no such
        # characters, and where there are, all rules forbid: it does not matter which is the longest. No rule holds
        # an `A`, as `:` is `%3A` to Protego.
        if number % 2:
            kind = draw.choice(["Disallow", "disalow"])
        else:
            value = value.translate(dict.fromkeys(map(ord, "?+&;:")))
        return f"{kind}{draw.choice([': ', ':', ' '])}{value}"

    forbidden = 0
    for number in range(1500):
        # Some have so many that an index is asked.
        lines = draw.randint(1, 8) if number % 9 else 200
        text = "\n".join(["User-agent: *", *(line(number) for _ in range(lines))])
        rules, protego = RobotsRules(text, "my-bot"), Protego.parse(text)
        for _ in range(4):
            url = str(web_url(f"http://example.org{path()}"))
            verdict = rules.objection(url)
            assert (verdict is None) is protego.can_fetch(url, "my-bot"), (text, url)
            forbidden += verdict is not None
    assert 1000 < forbidden < 5000
