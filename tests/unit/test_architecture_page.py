"""The pages for people who change Podhooks name what is there, and the code cites facts that the page has."""

from __future__ import annotations

import re
from pathlib import Path

from podhooks.runtime.install import ROOMS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
FACTS = (ROOT / "docs" / "kubelet-facts.md").read_text()
SOURCES = [ROOT / name for name in ("podhooks", "sidecar", "initcontainer", "operator")]


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:podhooks|podhooks_\w+)/[\w/]+\.py)`", PAGE))
    assert len(named) > 10
    homes = [ROOT, *(ROOT / name for name in ("sidecar", "initcontainer", "operator"))]
    missing = {each for each in named if not any((home / each).is_file() for home in homes)}
    assert not missing


def test_the_map_has_every_room_and_every_word_of_the_root() -> None:
    rooms = {each.parent.name for each in (ROOT / "podhooks").glob("*/__init__.py")}
    drawn = set(re.findall(r"podhooks/(\w+)", PAGE.split("```")[1]))
    assert drawn == rooms
    listed = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE))))
    assert rooms <= listed


def test_the_page_names_the_rooms_that_go_into_pods() -> None:
    sentence = PAGE.partition("**Into a user's pod** go the rooms ")[2].partition(", the modules")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(ROOMS)


def test_every_fact_that_the_code_cites_is_on_the_page() -> None:
    there = set(re.findall(r"^\| (R?\d+) \|", FACTS, re.MULTILINE))
    cited = {
        number
        for source in SOURCES
        for file in source.rglob("*.py")
        for numbers in re.findall(r"\bfacts? ((?:R?\d+(?:, | and | to |-)?)+)", file.read_text())
        for number in re.findall(r"R?\d+", numbers)
    }
    assert cited
    assert cited <= there
