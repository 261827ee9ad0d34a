"""What a release tells: `release_notes.py TAG` prints the changelog's section of that version.

Exits with 2 and one line where the tag and the sources don't say the same, so that nothing is built of it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


class NotReady(Exception):
    """Why nothing may be released; the text says what to do."""


def notes(tag: str, version: str, changelog: str) -> str:
    """The section's text. NotReady: the tag isn't the version's, or the changelog has nothing of it."""
    if tag != f"v{version}":
        raise NotReady(
            f"the tag is {tag!r} and podhooks/version.py says {version}: tag v{version}, or change the version"
        )
    found = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if found is None or not found[1].strip():
        raise NotReady(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD': rename [Unreleased] to it")
    return found[1].strip() + "\n"


def main() -> int:
    version = re.findall(r'^__version__ = "(.*)"$', (ROOT / "podhooks" / "version.py").read_text(), re.M)[0]
    try:
        print(notes(sys.argv[1] if len(sys.argv) > 1 else "", version, (ROOT / "CHANGELOG.md").read_text()), end="")
    except NotReady as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
