"""One value as many texts: the styles in which people and programs write manifests."""

from __future__ import annotations

import json
import random
from typing import Any

from podhooks.yamltext.scalars import written

NULLS = ("", " ~", " null", "  ~")
EMPTY_LISTS = (" []", " [ ]", "  []")


class Dresser:
    """Writes a value as YAML; every choice is made by `rng`. `comments` is whether remarks are strewn in."""

    def __init__(self, rng: random.Random, *, comments: bool = True) -> None:
        self.rng = rng
        self.comments = comments
        self.compact = rng.random() < 0.5  # dashes below their key's first letter

    def document(self, value: dict[str, Any]) -> str:
        if self.rng.random() < 0.3:
            return self.tall_flow(value, 0) + "\n"
        return "\n".join(self.mapping(value, 0)) + "\n"

    def remark(self) -> str:
        return self.rng.choice(["", "", "", "", "  # here", " # a: {b"]) if self.comments else ""

    def between(self, indent: int) -> list[str]:
        if not self.comments:
            return []
        return self.rng.choice([[], [], [], [], ["# a remark"], [" " * indent + "# - name: x"], [""], ["", "# far"]])

    def scalar(self, value: Any) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        plain = written(value)
        return self.rng.choice([plain, plain, json.dumps(value), "'" + value.replace("'", "''") + "'"])

    def key(self, name: str) -> str:
        return self.rng.choice([written(name)] * 8 + [json.dumps(name)])

    def mapping(self, value: dict[str, Any], indent: int) -> list[str]:
        lines: list[str] = []
        for name, each in value.items():
            lines += self.between(indent)
            lines += self.entry(self.key(name) + ":", each, indent)
        return lines

    def entry(self, head: str, value: Any, indent: int) -> list[str]:
        """`head` is a key with its colon."""
        pad = " " * indent
        if value is None:
            return [pad + head + self.rng.choice(NULLS) + self.remark()]
        if value == []:
            return [pad + head + self.rng.choice(EMPTY_LISTS) + self.remark()]
        if isinstance(value, (dict, list)) and value and self.rng.random() < 0.2:
            flow = self.flow(value) if self.rng.random() < 0.5 else self.tall_flow(value, indent)
            return [
                *(pad + head + " " + flow).split("\n")[:-1],
                (pad + head + " " + flow).split("\n")[-1] + self.remark(),
            ]
        if isinstance(value, dict) and value:
            return [pad + head + self.anchor() + self.remark(), *self.mapping(value, indent + 2)]
        if isinstance(value, list):
            return [
                pad + head + self.anchor() + self.remark(),
                *self.sequence(value, indent + (0 if self.compact else 2)),
            ]
        if isinstance(value, str) and self.rng.random() < 0.15 and value.isprintable() and value and value[0] != " ":
            style = self.rng.choice(["|-", ">-"])
            return [pad + head + " " + style + self.remark(), pad + "  " + value]
        return [pad + head + " " + self.scalar(value) + self.remark()]

    def anchor(self) -> str:
        return self.rng.choice([""] * 12 + [f" &a{self.rng.randrange(10**6)}"])

    def sequence(self, value: list[Any], indent: int) -> list[str]:
        pad, lines = " " * indent, []
        for each in value:
            lines += self.between(indent)
            if isinstance(each, dict) and each and self.rng.random() < 0.8:
                inner = self.mapping(each, indent + 2)
                while (inner and not inner[0].strip().strip("#").strip()) or inner[0].lstrip().startswith("#"):
                    inner.pop(0)
                if self.rng.random() < 0.2:
                    lines += [pad + "-" + self.remark(), *inner]
                else:
                    lines += [pad + "- " + inner[0][indent + 2 :], *inner[1:]]
            elif isinstance(each, (dict, list)):
                lines.append(pad + "- " + self.flow(each) + self.remark())
            else:
                lines.append(pad + "- " + self.scalar(each) + self.remark())
        return lines

    def flow(self, value: Any) -> str:
        """On one line."""
        comma = self.rng.choice([", ", ",", " , "])
        end = self.rng.choice(["", "", " ", ", ", ","])
        if isinstance(value, dict):
            inner = comma.join(f"{self.key(name)}: {self.flow(each)}" for name, each in value.items())
        elif isinstance(value, list):
            inner = comma.join(map(self.flow, value))
        else:
            return self.scalar(value)
        inner = self.rng.choice(["", " "]) + inner + (end if value else "")
        return "{" + inner + "}" if isinstance(value, dict) else "[" + inner + "]"

    def tall_flow(self, value: Any, indent: int) -> str:
        """On many lines, as KYAML or JSON have it."""
        if not isinstance(value, (dict, list)) or not value:
            return self.flow(value)
        pad, last = "\n" + " " * (indent + 2), self.rng.choice([",", ""])
        lead = self.rng.choice([True, True, False])
        parts = []
        for number, each in enumerate(value.items() if isinstance(value, dict) else value):
            text = (
                f"{self.key(each[0])}: {self.tall_flow(each[1], indent + 2)}"
                if isinstance(value, dict)
                else self.tall_flow(each, indent + 2 if lead else indent)
            )
            comma = "," if number < len(value) - 1 else last
            parts.append(text + comma + (self.remark() if lead or isinstance(value, dict) else ""))
        if isinstance(value, list) and not lead:
            return "[" + " ".join(parts) + "]"
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return opening + self.remark() + pad + pad.join(parts) + "\n" + " " * indent + closing
