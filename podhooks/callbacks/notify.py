"""Tells somebody how main ended, or that it is about to start: a webhook, Slack, or any service that apprise knows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from podhooks.callbacks import slack_blocks
from podhooks.callbacks.budget import Budget, timeout_seconds, within
from podhooks.callbacks.delivery import TRIES, Message, send
from podhooks.callbacks.secrecy import expand, hide, secrets_of, variable
from podhooks.callbacks.templates import fields, fill, fill_all, fill_url
from podhooks.context import RunContext
from podhooks.errors import CallbackError, InputError
from podhooks.runtime.backoff import backoff_seconds

if TYPE_CHECKING:
    from podhooks.context import Json

SCHEMA = "podhooks.io/notification/v1"
KEPT = ("hook", "callback", "attempt", "idempotency_key", "main_container", "owner", "flow_run_id", "earlier", "exit")
APPRISE_MISSING = (
    "notify:apprise needs the package apprise in main's image: pip install 'podhooks[apprise]' (or pip install apprise)"
)


def webhook(  # noqa: PLR0913  settings, by name
    context: RunContext,
    url: str = "",
    *,
    url_env: str = "",
    headers: Mapping[str, str] | None = None,
    body: Json = None,
    log_lines: int = 0,
    timeout: float | str = 10,
    tries: int = TRIES,
) -> None:
    """POST `notification(context)`, or `body`, as JSON."""
    values = fields(context)
    expanded = {name: expand(str(value), f"headers: {name}") for name, value in (headers or {}).items()}
    document = notification(context, log_lines) if body is None else fill_all(body, values, "body")
    message = Message(
        "the webhook",
        address(url, url_env),
        document.encode() if isinstance(document, str) else json.dumps(document).encode(),
        {"Content-Type": "application/json", "Idempotency-Key": key_header(context), **expanded},
        timeout_seconds=timeout_seconds(timeout),
        tries=tries,
        secret_values=frozenset(word for value in expanded.values() for word in value.split()[-1:]),
    )
    told(message, send(message, Budget.of(context)).status)


def slack(
    context: RunContext,
    url_env: str = "SLACK_WEBHOOK_URL",
    *,
    channel: str = "",
    link: str = "",
    log_lines: int = 20,
    timeout: float | str = 10,
    tries: int = TRIES,
) -> None:
    """Post a message with blocks to a Slack incoming webhook (or to one that speaks its language)."""
    where = fill_url(link, fields(context), "link") if link else ""
    document = slack_blocks.message(context, log_tail(context, log_lines), where)
    if channel:
        document["channel"] = channel
    message = Message(
        "Slack",
        variable(url_env, "url_env"),
        json.dumps(document).encode(),
        {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": key_header(context)},
        timeout_seconds=timeout_seconds(timeout),
        tries=tries,
    )
    told(message, send(message, Budget.of(context)).status)


def apprise(
    context: RunContext,
    urls: str | Sequence[str] = (),
    *,
    urls_env: str = "",
    title: str = "",
    body: str = "",
    log_lines: int = 20,
    tries: int = 3,
) -> None:
    """Send title and body to every URL; one that fails doesn't keep the others from it, nor is it alone tried again."""
    library = import_apprise()
    values = fields(context)
    text = fill(body, values, "body") if body else slack_blocks.plain(context, log_tail(context, log_lines))
    head = fill(title, values, "title") if title else slack_blocks.headline(context)
    addresses = service_urls(urls, urls_env)
    kind = "info" if context.exit is None else "success" if context.exit.succeeded else "failure"
    budget, waiting = Budget.of(context), dict(enumerate(addresses, 1))
    for number in range(1, tries + 1):
        causes = {}
        for index, each in waiting.items():
            if cause := notify_one(library, each, {"title": head, "body": text, "notify_type": kind}, budget):
                causes[index] = cause
        if not causes:
            print(f"told {len(addresses)} of {len(addresses)}: {', '.join(map(scheme, addresses))}")
            return
        waiting = {index: waiting[index] for index in causes}
        if number == tries or not budget.pause(backoff_seconds(number)):
            break
    failed = "; ".join(f"number {index} ({scheme(waiting[index])}): {cause}" for index, cause in causes.items())
    raise CallbackError(f"apprise couldn't tell {len(causes)} of {len(addresses)}: {failed}")


def notification(context: RunContext, log_lines: int = 0) -> dict[str, Json]:
    """The document of `webhook`: docs/callbacks/notify.md describes it, and it only ever gains fields.

    Annotations aren't in it: they may hold what the receiver must not see.
    """
    whole = context.to_json()
    pod = {name: value for name, value in whole["pod"].items() if name != "annotations"}
    return {
        "schema": SCHEMA,
        **{name: whole[name] for name in KEPT},
        "pod": pod,
        "log_tail": log_tail(context, log_lines),
    }


def log_tail(context: RunContext, lines: int) -> str:
    """Empty before main has run, and where nobody asked for it."""
    return context.exit.log_tail(lines) if context.exit is not None and lines > 0 else ""


def key_header(context: RunContext) -> str:
    """A header takes ASCII only, and a callback's path may have anything."""
    return quote(context.idempotency_key, safe="/:@._-+~ ")


def address(url: str, url_env: str) -> str:
    if bool(url) == bool(url_env):
        raise InputError("give the webhook's address in `url` or in `url_env` (the name of a variable), one of them")
    return variable(url_env, "url_env") if url_env else expand(url, "url").strip()


def told(message: Message, status: int) -> None:
    print(f"told {message.shown}: {status}")


def import_apprise() -> Any:
    try:
        import apprise as library
    except ImportError as error:
        raise InputError(APPRISE_MISSING) from error
    return library


def service_urls(urls: str | Sequence[str], urls_env: str) -> list[str]:
    given = [urls] if isinstance(urls, str) else list(urls)
    found = [expand(each, "urls") for each in given if each]
    if urls_env:
        found += variable(urls_env, "urls_env").split()
    if not found:
        raise InputError("give apprise's URLs in `urls`, or in `urls_env`: a variable's name, blanks between URLs")
    return found


def scheme(url: str) -> str:
    """All of an apprise URL that may be shown: its tokens are anywhere behind it."""
    return f"{url.partition('://')[0]}://" if "://" in url else "no URL"


def notify_one(library: Any, url: str, words: Mapping[str, str], budget: Budget) -> str:
    """Empty when it went out, else why it didn't."""
    service = library.Apprise()
    if not service.add(url):
        return "apprise doesn't know that service, or something of its URL is missing"
    with library.LogCapture(level=library.logging.WARNING, fmt="%(message)s") as said:
        try:
            taken = within(budget.left(), lambda: service.notify(**words))
        except TimeoutError:
            return "no answer in time"
        why = hide(said.getvalue(), secrets_of(url) | secrets_of(url.partition("?")[0]))
    return "" if taken else why[:200] or "the service refused it"
