"""A plan, back to annotations: for those who build plans in Python."""

from __future__ import annotations

from podhooks import contract
from podhooks.annotations.plan import (
    CALLBACK_OPTIONS,
    LISTS,
    POD_OPTIONS,
    Annotation,
    Callback,
    Plan,
    total_timeout,
)
from podhooks.context import Hook
from podhooks.errors import PlanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from podhooks.context import Json


def to_annotations(plan: Plan) -> dict[str, str]:
    """The annotations that describe `plan`: `podhooks.annotations.parser.parse` gives it back.

    Only what differs from the defaults is written. What no annotation can say (a key of your own) is lost; what may
    not be said is left for `parse` to find. Raises PlanError where arguments aren't JSON.
    """
    texts = {hook: _list(getattr(plan, each.field), hook) for hook, each in LISTS.items()}
    written = {LISTS[hook].name: text for hook, text in texts.items() if text}
    for each in POD_OPTIONS:
        value = getattr(plan, each.field)
        if value != (_default_reserve(plan) if each.name == contract.RESERVE else each.default):
            written[each.name] = text_of(each, value)
    return written


def text_of(annotation: Annotation, value: Any) -> str:
    """The annotation's text for a value of its field. Raises PlanError where JSON can't hold it."""
    written = annotation.kind.write(value)
    return written if isinstance(written, str) else _json(written)


def _list(callbacks: tuple[Callback, ...], hook: Hook) -> str:
    return _json([_entry(callback, hook) for callback in callbacks]) if callbacks else ""


def _entry(callback: Callback, hook: Hook) -> Json:
    entry: dict[str, Json] = {"call": callback.call} if callback.call else {"exec": list(callback.exec)}
    if callback.arguments:
        entry["with"] = dict(callback.arguments)
    for each in CALLBACK_OPTIONS[hook]:
        value = getattr(callback, each.field)
        if value != each.default:
            entry[each.key] = each.kind.write(value)
    return callback.call if list(entry) == ["call"] else entry


def _default_reserve(plan: Plan) -> float:
    """Seconds. Without on_exit nothing is kept, whatever the plan says."""
    if not plan.on_exit:
        return plan.reserve_seconds
    return min(total_timeout(plan.on_exit), contract.MAX_DEFAULT_RESERVE_SECONDS)


def _json(value: Json) -> str:
    from json import dumps

    try:
        return dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"the plan holds a value that JSON can't: {error}; give plain text, numbers and lists"
        ) from error
