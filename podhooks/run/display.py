"""Lines on a terminal or anywhere else. All that is said goes to one stream, stdout."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

from podhooks.run.layout import BAR, Line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_a-z])")
COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
REFRESHES_PER_SECOND = 5


class Display(Protocol):
    def line(self, line: Line) -> None: ...

    def status(self, line: Line) -> None:
        """What stands at the bottom until the next one; empty for nothing any more."""
        ...

    def close(self) -> None: ...


def harmless(text: str, *, keep_colours: bool) -> str:
    """A line that some program wrote, without what would move the cursor or ring the bell.

    Of a progress bar that overwrites itself (`\\r`), the last state stays.
    """
    text = text.rstrip("\r\n").rpartition("\r")[2]
    if not keep_colours:
        return CONTROLS.sub("", ESCAPES.sub("", text))
    kept = COLOURS.findall(text)
    plain = [CONTROLS.sub("", ESCAPES.sub("", part)) for part in COLOURS.split(text)]
    return "".join(part + colour for part, colour in zip(plain, [*kept, ""], strict=True)) + ("\x1b[0m" if kept else "")


class PlainDisplay:
    """One line each, flushed at once, no colours, no status: for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        encoding = (getattr(stream, "encoding", None) or "ascii").lower()
        self._can_bar = encoding.startswith("utf")

    def line(self, line: Line) -> None:
        text = "".join(harmless_plain(text) for text, _ in line).rstrip()
        if not self._can_bar:
            text = text.replace(BAR, "|").encode("ascii", "backslashreplace").decode()
        self._stream.write(text + "\n")
        self._stream.flush()

    def status(self, line: Line) -> None:
        pass

    def close(self) -> None:
        pass


class RichDisplay:
    """Colours, and a line at the bottom that says what every container is doing."""

    def __init__(self, console: Console, elapsed: Callable[[], float]) -> None:
        from rich.live import Live

        self._console = console
        self._elapsed = elapsed
        self._status: Line = []
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def line(self, line: Line) -> None:
        self._console.print(styled(line), soft_wrap=True)

    def status(self, line: Line) -> None:
        if line == self._status:
            return
        self._status = line
        if line:
            self._live.refresh()
        else:
            self._live.stop()

    def close(self) -> None:
        self._live.stop()

    def _render(self) -> Text:
        text = styled([(f"{self._elapsed():6.1f}s  ", "dim"), *self._status])
        text.no_wrap, text.overflow = True, "ellipsis"
        return text


def styled(line: Line) -> Text:
    from rich.text import Text

    whole = Text()
    for text, style in line:
        part = Text.from_ansi(harmless(text, keep_colours=True)) if "\x1b" in text else Text(harmless_plain(text))
        if style:
            part.stylize_before(style)
        whole.append_text(part)
    return whole


def harmless_plain(text: str) -> str:
    return harmless(text, keep_colours=False)


def make(*, plain: bool, colours: bool, elapsed: Callable[[], float], stream: TextIO | None = None) -> Display:
    """Rich on a terminal, if it is installed; else plain."""
    stream = stream or sys.stdout
    if plain or not stream.isatty() or os.environ.get("TERM") == "dumb":
        return PlainDisplay(stream)
    try:
        from rich.console import Console
    except ImportError:
        return PlainDisplay(stream)
    console = Console(file=stream, highlight=False, markup=False, no_color=True if not colours else None)
    return RichDisplay(console, elapsed)


def lines(display: Display, many: Sequence[Line]) -> None:
    for each in many:
        display.line(each)
