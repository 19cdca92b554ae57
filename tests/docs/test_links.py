"""Relative links lead to files that are there, and to headings that are there."""

import re
import tomllib

import pytest
from documents import PAGES, ROOT, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors_of(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve_when_they_are_relative(page):
    broken = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not re.match(r"\w+:", link) and (not target.exists() or (anchor and anchor not in anchors_of(target))):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent == ROOT / "docs"], ids=lambda page: page.name)
def test_page_is_reached_when_one_starts_at_the_readme(page):
    seen, open_pages = set(), [ROOT / "README.md"]
    while open_pages:
        at = open_pages.pop()
        if at in seen or at.suffix != ".md" or not at.is_file():
            continue
        seen.add(at)
        links = [link.partition("#")[0] for link in LINK.findall(prose(at)) if not re.match(r"\w+:", link)]
        open_pages += [(at.parent / link).resolve() for link in links if link]

    assert page in seen


def test_decisions_are_short_and_numbered_without_gaps_when_listed():
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))

    assert [record.name[:4] for record in records] == [f"{number:04d}" for number in range(1, len(records) + 1)]
    assert [record.name for record in records if len(record.read_text().splitlines()) > 40] == []


def test_every_dependency_has_a_reason_when_the_project_lists_them():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    record = (ROOT / "docs/adr/0003-dependencies.md").read_text()
    table = " ".join(re.findall(r"^\| ([^|]+) \|", record, re.MULTILINE))

    reasoned = {re.split(r"[\[ ,]", name)[0] for name in re.split(r", |  ?", table)}

    assert {re.split(r"[\[<>=; ]", dependency)[0] for dependency in listed} <= reasoned
