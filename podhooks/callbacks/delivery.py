"""One HTTP message, sent until it is taken, is refused, or the time is over.

Redirects are not followed: a token would go where nobody meant it to. Proxies are taken from the environment, as
everywhere (HTTPS_PROXY, NO_PROXY).
"""

from __future__ import annotations

import base64
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.message import Message as Headers
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit, urlunsplit

from podhooks import log
from podhooks.callbacks.budget import Budget, within
from podhooks.callbacks.secrecy import hide, secrets_of, shown_url
from podhooks.errors import CallbackError, InputError
from podhooks.runtime.backoff import backoff_seconds

SAID_BYTES = 2048  # of an answer: enough for the reason of a refusal
SHOWN_CHARACTERS = 200
TRIES = 6
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Message:
    """What to send, and how patiently. `what` names it in messages, `secret_values` are hidden there."""

    what: str
    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    timeout_seconds: float = 10.0
    tries: int = TRIES
    secret_values: frozenset[str] = frozenset()

    @property
    def shown(self) -> str:
        return f"{self.what} ({shown_url(self.url)})"

    def hide(self, text: str) -> str:
        return hide(text, {*secrets_of(self.url), *self.secret_values})[:SHOWN_CHARACTERS]


@dataclass(frozen=True)
class Answer:
    """`status` is 0 where there was none; `said` is why, or the beginning of the body."""

    status: int
    said: str
    retry_after_seconds: float | None = None
    again: bool = False

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an answer like any other."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def send(message: Message, budget: Budget) -> Answer:
    """The answer that took the message.

    Raises:
        InputError: it can't be sent at all.
        CallbackError: it was refused, or the time is over.
    """
    check(message)
    began = time.monotonic()
    for number in range(1, message.tries + 1):
        answer = attempt(message, budget)
        if answer.taken:
            return answer
        failure = f"{message.shown} {answer.said}"
        if not answer.again:
            raise CallbackError(failure)
        wait = backoff_seconds(number, answer.retry_after_seconds)
        tried = f"{number} {'try' if number == 1 else 'tries'} in {time.monotonic() - began:.1f} s"
        if number == message.tries or not budget.pause(wait):
            raise CallbackError(f"{failure}; given up after {tried}{asked(answer, budget)}")
        log.info("trying again", what=message.shown, after=f"{wait:.1f}s", cause=answer.said)
    raise AssertionError("unreachable")


def asked(answer: Answer, budget: Budget) -> str:
    if answer.retry_after_seconds is None or answer.retry_after_seconds < budget.left():
        return ""
    return f": it asks to wait {answer.retry_after_seconds:.0f} s, and {budget.left():.0f} s are left"


def check(message: Message) -> None:
    """Raises InputError for what no server could answer."""
    if not message.url.isascii() or not message.url.isprintable() or " " in message.url:
        raise InputError(f"{message.what}: its URL has characters that no URL has: percent-encode them")
    try:
        parts = urlsplit(message.url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"{message.what}: its URL ({shown_url(message.url)}) must begin with http:// or https://")
    for name, value in message.headers.items():
        if not (name.isascii() and name.isprintable() and value.isprintable() and value.isascii()):
            raise InputError(f"{message.what}: the header {name!r} has characters that no header may have")
    if message.tries < 1:
        raise InputError(f"{message.what}: tries must be 1 or more")


def attempt(message: Message, budget: Budget) -> Answer:
    """One try, whatever comes of it."""
    seconds = min(message.timeout_seconds, budget.left())
    try:
        return within(seconds, lambda: exchange(message, seconds))
    except (OSError, http.client.HTTPException) as error:
        return failed(message, error, seconds)
    except ValueError as error:  # a host that no name server could be asked for
        return Answer(0, f"can't be asked: {message.hide(str(error))}")


def exchange(message: Message, seconds: float) -> Answer:
    headers = {"User-Agent": "podhooks", **authorization(message.url), **message.headers}
    request = urllib.request.Request(  # noqa: S310  the scheme is checked
        without_user(message.url), message.body, headers, method=message.method
    )
    try:
        with urllib.request.build_opener(NoRedirects).open(request, timeout=seconds) as response:
            return Answer(response.status, "")  # taken, whatever its body says, and however slowly
    except urllib.error.HTTPError as error:
        with error:
            return refused(message, error)


def authorization(url: str) -> dict[str, str]:
    """`https://user:password@host` as a header: urllib doesn't know that form."""
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))


def refused(message: Message, error: urllib.error.HTTPError) -> Answer:
    said = message.hide(error.read(SAID_BYTES).decode("utf-8", "replace"))
    line = f"answered {error.code} {message.hide(str(error.reason or ''))}".rstrip()
    if 300 <= error.code < 400:
        where = shown_url(error.headers.get("Location") or "")
        return Answer(error.code, f"{line}: it has moved to {where}; redirects are not followed, give the new URL")
    line = f"{line}: {said}" if said else line
    return Answer(error.code, line, retry_after(error.headers), again=error.code in AGAIN)


def failed(message: Message, error: Exception, seconds: float) -> Answer:
    """A message for what a connection of `seconds` at most may die of. urllib packs most of it into a URLError."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Answer(0, f"has a certificate that is not accepted: {reason.verify_message}")
    if isinstance(reason, TimeoutError):
        return Answer(0, f"gave no answer within {seconds:.1f} s", again=True)
    why = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return Answer(0, f"can't be reached: {message.hide(why) or type(reason).__name__}", again=True)


def retry_after(headers: Headers) -> float | None:
    """Seconds from a number or a date; None for nothing, or for nonsense."""
    text = (headers.get("Retry-After") or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
