"""Secrets come from environment variables, and leave in requests only: no log line, no message has one in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from podhooks.errors import InputError

VARIABLE = re.compile(r"\$(?:\$|\{(\w+)\}|([A-Za-z_]\w*))")
HIDDEN = "***"
SHORTEST_SEGMENT = 8  # of a path: shorter ones are words, not tokens
SHORTEST_SECRET = 4  # hiding shorter ones would make every message unreadable


def expand(text: str, what: str, environ: Mapping[str, str] | None = None) -> str:
    """`text` with `$NAME` and `${NAME}` replaced by environment variables; `$$` is a dollar sign.

    `what` names the argument. Raises InputError for a variable that isn't set.
    """
    known = os.environ if environ is None else environ

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return variable(name, what, known) if name else "$"

    return VARIABLE.sub(value, text)


def variable(name: str, what: str, environ: Mapping[str, str] | None = None) -> str:
    """A variable's value without blanks around it: secrets made from files end with a newline."""
    value = (os.environ if environ is None else environ).get(name, "").strip()
    if not value:
        raise InputError(
            f"{what}: the environment variable {name} is not set here: "
            "give it to the main container, best from a Secret (env: valueFrom: secretKeyRef)"
        )
    return value


def shown_url(url: str) -> str:
    """Enough of a URL to know where it leads: no user, no path, no query. Tokens are in any of them."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return HIDDEN
    if not parts.scheme:
        return HIDDEN
    where = f"{parts.scheme}://{host}{f':{port}' if port else ''}"
    return f"{where}/{HIDDEN}" if parts.path.strip("/") or parts.query else where


def secrets_of(url: str) -> set[str]:
    """What of a URL must not be shown, in every form in which others may quote it."""
    try:
        parts = urlsplit(url)
        found = {url, parts.path, parts.query, parts.username or "", parts.password or ""}
    except ValueError:
        return {url}
    found |= {segment for segment in parts.path.split("/") if len(segment) >= SHORTEST_SEGMENT}
    found |= {value for _, value in parse_qsl(parts.query)}
    found |= {unquote(each) for each in found}
    return {each for each in found if len(each) >= SHORTEST_SECRET}


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` in one line, with every secret replaced."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return " ".join(text.split())
