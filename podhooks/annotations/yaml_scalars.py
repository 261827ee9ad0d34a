"""Single texts in the YAML that `yaml_subset` reads: quoted or plain, and what a plain one means."""

from __future__ import annotations

from podhooks.errors import PlanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from podhooks.context import Json

MAX_KEY = 1000  # characters; YAML knows no longer ones
INDICATORS = "-?:,[]{}#&*!|>'\"%@`"  # no plain text begins with these, but for a dash without a blank behind it
FLOW_INDICATORS = ",[]{}"
BREAKS = "\x85\u2028\u2029\ufeff\ufffe\uffff"  # line breaks to some readers and text or nothing to others

CONSTANTS: dict[str, bool | None] = {"~": None, "null": None, "Null": None, "NULL": None}
CONSTANTS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
WORDS_OF_1_1 = frozenset({"y", "n", "yes", "no", "on", "off", "=", "<<"})  # booleans, default value, merge

INTEGER = r"-?(?:0|[1-9][0-9]*)"
FLOAT = INTEGER + r"\.[0-9]+(?:[eE][-+][0-9]+)?"
# A number or a date to some reader: octal, hexadecimal, sexagesimal, underscores, exponents without sign, ...
DOUBTFUL = (
    r"[-+]?(?:[0-9_]+(?:\.[0-9_]*)?|\.[0-9_]+)(?:e[-+]?[0-9]+)?|[-+]?0x[0-9a-f_]+|[-+]?0[ob][0-9_]+"
    r"|[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[t ].*)?|[-+]?\.(?:inf|nan)"
)
MAX_DIGITS = 300

ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b"}
ESCAPES |= {" ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"}
HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}

REFUSED = {
    "&": "anchors aren't read: write JSON instead",
    "*": "aliases aren't read: quote the text, or write JSON instead",
    "!": "tags aren't read: write JSON instead",
    "|": "texts over several lines aren't read: write JSON instead",
    ">": "texts over several lines aren't read: write JSON instead",
    "?": "keys that begin with ? aren't read: write JSON instead",
}


class YamlError(PlanError):
    """The text isn't YAML, or not of the kind that is read here. The message begins with line and column."""


class Scanner:
    """A text and how far it is read, with what block and flow style have in common."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    @property
    def char(self) -> str:
        """What comes next; "" at the end."""
        return self.text[self.at : self.at + 1]

    @property
    def column(self) -> int:
        return self.at - (self.text.rfind("\n", 0, self.at) + 1)

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        self.at = self.at if at is None else at
        line = self.text.count("\n", 0, self.at) + 1
        raise YamlError(f"line {line}, column {self.column + 1}: {message}")

    def check_characters(self) -> None:
        for at, char in enumerate(self.text):
            control = (char < " " and char not in "\t\n") or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff"
            if control or char in BREAKS:
                self.fail(f"U+{ord(char):04X} can't stand for itself: write it as an escape in double quotes", at)

    def blank(self, ahead: int = 0) -> bool:
        """Whether a blank, or the end of the line, comes after `ahead` characters."""
        return self.text[self.at + ahead : self.at + ahead + 1] in ("", " ", "\n", "\t")

    def blanks(self) -> None:
        while self.char == " ":
            self.at += 1

    def line_end(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def skip(self) -> None:
        """Past blanks, comments and line breaks, to what comes next."""
        while True:
            self.blanks()
            if self.char == "#" and self.text[self.at - 1 : self.at] in ("", " ", "\n"):
                self.at = self.line_end()
            if self.char != "\n":
                break
            self.at += 1
        if self.char == "\t":
            self.fail("a tab can't indent or separate: write blanks")
        new_line = self.at == 0 or self.text[self.at - 1] == "\n"
        if new_line and self.text.startswith(("---", "..."), self.at) and self.blank(3):
            self.fail("the borders of documents aren't read: remove this line")

    def scalar(self, *, in_flow: bool) -> Json:
        if self.char == '"':
            return self.double_quoted()
        if self.char == "'":
            return self.single_quoted()
        return self.plain(in_flow=in_flow)

    def single_quoted(self) -> str:
        start, parts = self.at, [""]
        while self.char == "'":  # two of them in a row are one in the text
            end = self.text.find("'", self.at + 1)
            if not 0 <= end < self.line_end():
                self.fail("this quote isn't closed on its line: close it, or write JSON instead", start)
            parts.append(self.text[self.at + 1 : end])
            self.at = end + 1
        return "'".join(parts[1:])

    def double_quoted(self) -> str:
        start, parts, end = self.at, [], self.line_end()
        self.at += 1
        while self.char != '"':
            if self.at >= end:
                self.fail(r"this quote isn't closed on its line: close it, or write line breaks as \n", start)
            parts.append(self.escape() if self.char == "\\" else self.char)
            self.at += 1
        self.at += 1
        return "".join(parts)

    def escape(self) -> str:
        """What an escape stands for; ends on its last character."""
        start = self.at
        self.at += 1
        if self.char not in HEX_ESCAPES:
            if self.char not in ESCAPES:
                self.fail("no such escape: write two backslashes for one", start)
            return ESCAPES[self.char]
        digits = self.text[self.at + 1 : self.at + 1 + HEX_ESCAPES[self.char]]
        right = len(digits) == HEX_ESCAPES[self.char] and all(c in "0123456789abcdefABCDEF" for c in digits)
        code = int(digits, 16) if right else -1
        if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self.fail("this escape stands for no character: write the character itself", start)
        self.at += len(digits)
        return chr(code)

    def plain(self, *, in_flow: bool) -> Json:
        """A text without quotes, or what it means: a number, true, false, null."""
        start = self.at
        dash = self.char == "-" and not self.blank(1) and not (in_flow and self.text[self.at + 1] in FLOW_INDICATORS)
        if self.char in INDICATORS and not dash:
            self.fail(REFUSED.get(self.char, f"a text can't begin with {self.char or 'nothing'}: quote it"))
        while not self.plain_ends(in_flow=in_flow):
            self.at += 1
        word = self.text[start : self.at].rstrip(" ")
        self.at = start + len(word)
        if "\t" in word:
            self.fail("a tab in a text without quotes: quote the text", start)
        return self.meaning(word, start)

    def plain_ends(self, *, in_flow: bool) -> bool:
        if self.char == ":":
            return self.blank(1) or (in_flow and self.text[self.at + 1] in FLOW_INDICATORS)
        if self.char == "#":
            return self.text[self.at - 1] in " \t"
        return self.char in ("", "\n") or (in_flow and self.char in FLOW_INDICATORS)

    def meaning(self, word: str, start: int) -> Json:
        if word in CONSTANTS:
            return CONSTANTS[word]
        if word.lower() in WORDS_OF_1_1:
            self.fail(f"{word} isn't the same to every reader: quote it, or write true or false", start)
        if word[0] not in "-+.0123456789":
            return word
        import re

        if re.fullmatch(INTEGER, word) and len(word) <= MAX_DIGITS:
            return int(word)
        if re.fullmatch(FLOAT, word) and abs(float(word)) != float("inf"):
            return float(word)
        if re.fullmatch(DOUBTFUL, word, re.IGNORECASE):
            self.fail(f"{word[:40]} isn't the same to every reader: quote it, or write a decimal number", start)
        return word

    def add_key(self, mapping: dict[str, Json], *, in_flow: bool) -> str:
        """Reads a key and its colon, and gives it a place in the mapping."""
        start = self.at
        quoted = self.char in "'\""
        key = self.scalar(in_flow=in_flow)
        if not isinstance(key, str):
            self.fail("a key must be text: quote it", start)
        if self.at - start > MAX_KEY:
            self.fail(f"a key is longer than {MAX_KEY} characters: make it shorter", start)
        if key in mapping:
            self.fail(f"the key {key[:40]!r} is there twice: keep one of them", start)
        self.blanks()
        if self.char != ":" or not (self.blank(1) or (in_flow and quoted)):
            self.fail(f"the key {key[:40]!r} needs a colon and a blank behind it: write key: value")
        self.at += 1
        mapping[key] = None
        return key
