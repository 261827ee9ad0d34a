"""Copies modules into the ConfigMaps of the manifests beside them: python examples/embed.py [DIRECTORY...]

A manifest that carries its own code runs anywhere unchanged. A file `data: name.py: |` in it is replaced by the text of
the module of that name; everything else stays. A test fails when a manifest and a module differ.
"""

import re
import sys
from pathlib import Path

ENTRY = re.compile(r"^(?P<indent> +)(?P<name>\w+\.py): \|\n(?P<text>(?:(?P=indent)  .*\n|\n)*)", re.MULTILINE)


def embedded(manifest: str, directory: Path) -> str:
    """The manifest with every module in it as it is in `directory` now."""

    def fill(found: re.Match[str]) -> str:
        indent, name = found["indent"], found["name"]
        lines = (directory / name).read_text(encoding="utf-8").splitlines()
        body = "".join(f"{indent}  {line}".rstrip() + "\n" for line in lines)
        return f"{indent}{name}: |\n{body}"

    return ENTRY.sub(fill, manifest)


def main(directories: list[Path]) -> None:
    for directory in directories:
        for path in sorted(directory.glob("*.yaml")):
            path.write_text(embedded(path.read_text(encoding="utf-8"), directory), encoding="utf-8")


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    main([Path(each) for each in sys.argv[1:]] or [each for each in here.iterdir() if each.is_dir()])
