"""One line on stderr per message: constant text, values as fields.

Not `logging`: its import alone costs more than a bare interpreter start. Writing never raises and never blocks for
long: a full or closed stderr costs the line, not the run.
"""

from __future__ import annotations

import os
import select

STDERR = 2
PATIENCE_MILLISECONDS = 1000


def info(message: str, /, **fields: object) -> None:
    write_line(f"podhooks: {message}{format_fields(fields)}")


def warning(message: str, /, **fields: object) -> None:
    write_line(f"podhooks: warning: {message}{format_fields(fields)}")


def error(message: str, /, **fields: object) -> None:
    write_line(f"podhooks: error: {message}{format_fields(fields)}")


def format_fields(fields: dict[str, object]) -> str:
    """` name=value` each; a value with spaces, quotes or control characters in it is quoted."""
    return "".join(f" {name}={format_value(str(value))}" for name, value in fields.items())


def format_value(text: str) -> str:
    return text if text and text.isprintable() and not any(mark in text for mark in " \"'=") else repr(text)


def write_line(text: str) -> None:
    """`text` as one line on stderr, whatever is in it."""
    line = " ".join(text.splitlines()).encode("utf-8", "backslashreplace") + b"\n"
    try:
        poller = select.poll()
        poller.register(STDERR, select.POLLOUT)
        if poller.poll(PATIENCE_MILLISECONDS):
            os.write(STDERR, line)
    except OSError:
        pass  # nowhere left to say it
