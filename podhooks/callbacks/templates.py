"""Texts with `{pod}` in them, filled in from the context."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from podhooks.context import RunContext, format_time
from podhooks.errors import InputError

if TYPE_CHECKING:
    from podhooks.context import Json

FIELD = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def fields(context: RunContext) -> dict[str, str]:
    """What a template may name; what isn't known is empty."""
    end, owner = context.exit, context.owner
    values: dict[str, object] = {
        "hook": context.hook.value,
        "callback": context.callback,
        "attempt": context.attempt,
        "idempotency_key": context.idempotency_key,
        "pod": context.pod.name,
        "namespace": context.pod.namespace,
        "uid": context.pod.uid,
        "node": context.pod.node,
        "container": (end.container if end else "") or context.main_container,
        "job": owner.name if owner else "",
        "index": owner.index if owner else None,
        "flow_run_id": context.flow_run_id,
        "result": end.result.value if end else "",
        "exit_code": end.exit_code if end else None,
        "signal": end.signal if end else None,
        "reason": end.reason if end else "",
        "message": end.message if end else "",
        "restarts": end.restarts if end else None,
        "started_at": format_time(end.started_at) if end else None,
        "finished_at": format_time(end.finished_at) if end else None,
        "seconds": seconds(context),
    }
    return {name: "" if value is None else str(value) for name, value in values.items()}


def seconds(context: RunContext) -> int | None:
    """How long main's last run took; None where that isn't known."""
    end = context.exit
    if end is None or end.started_at is None or end.finished_at is None:
        return None
    return max(0, round((end.finished_at - end.started_at).total_seconds()))


def fill(text: str, values: Mapping[str, str], what: str, write: Callable[[str], str] = str) -> str:
    """`text` with its fields filled in; `{{` and `}}` are braces. `write` prepares a value for its place.

    Raises InputError for a field that doesn't exist; `what` names the argument.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if name not in values:
            raise InputError(f"{what}: there is no {{{name}}}: write one of {', '.join(sorted(values))}")
        return write(values[name])

    return FIELD.sub(value, text)


def fill_url(text: str, values: Mapping[str, str], what: str) -> str:
    return fill(text, values, what, lambda value: quote(value, safe=""))


def fill_all(value: Json, values: Mapping[str, str], what: str) -> Json:
    """Every text in JSON data filled in."""
    if isinstance(value, str):
        return fill(value, values, what)
    if isinstance(value, Mapping):
        return {name: fill_all(each, values, what) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill_all(each, values, what) for each in value]
    return value
