"""The pages hang together: every link leads somewhere, every page can be found, and none says where it was written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "examples", "manifests", "charts", "sidecar", "initcontainer", "operator", "benchmarks", "tests")
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md")),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_into_a_page_leads_to_a_heading(page: Path) -> None:
    anchors = re.findall(r"\[[^\]]*\]\(([^):#\s]*)#([^)]*)\)", page.read_text(encoding="utf-8"))
    for link, anchor in anchors:
        there = (page.parent / link).read_text(encoding="utf-8") if link else page.read_text(encoding="utf-8")
        assert anchor in {slug(each) for each in re.findall(r"^#+ (.*)$", there, re.MULTILINE)}, f"{link}#{anchor}"


def test_every_page_of_the_docs_is_in_their_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text(encoding="utf-8"))}
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")} - {index.resolve()}
    assert pages - linked == set()


@pytest.mark.parametrize("folder", ["sidecar", "initcontainer", "operator"])
def test_every_program_has_its_page(folder: str) -> None:
    assert (ROOT / folder / "README.md").is_file()
