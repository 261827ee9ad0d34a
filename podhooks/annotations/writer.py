"""A plan, back to annotations: for those who build plans in Python."""

from __future__ import annotations

from podhooks import contract
from podhooks.annotations.durations import format_duration
from podhooks.annotations.plan import Callback, Guarantee, Mode, Plan, Policy, total_timeout
from podhooks.context import Result
from podhooks.errors import PlanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from podhooks.context import Json

START_DEFAULTS = Callback(
    key="",
    timeout_seconds=contract.DEFAULT_ON_START_TIMEOUT_SECONDS,
    retries=contract.DEFAULT_ON_START_RETRIES,
    policy=Policy.FAIL,
)
EXIT_DEFAULTS = Callback(
    key="",
    timeout_seconds=contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS,
    retries=contract.DEFAULT_ON_EXIT_RETRIES,
    policy=Policy.IGNORE,
)


def to_annotations(plan: Plan) -> dict[str, str]:
    """The annotations that describe `plan`: `podhooks.annotations.parser.parse` gives it back.

    Only what differs from the defaults is written. What no annotation can say (a key of your own) is lost; what may
    not be said is left for `parse` to find. Raises PlanError where arguments aren't JSON.
    """
    written = {
        contract.ON_START: _list(plan.on_start, START_DEFAULTS),
        contract.ON_EXIT: _list(plan.on_exit, EXIT_DEFAULTS),
        contract.MAIN_CONTAINER: plan.main_container,
        contract.MODE: None if plan.mode is Mode.NATIVE else plan.mode.value,
        contract.IMAGE: None if plan.image == contract.MAIN_IMAGE else plan.image,
        contract.PYTHON: None if plan.python == contract.DEFAULT_PYTHON else plan.python,
        contract.RESERVE: _reserve(plan),
        contract.GUARANTEE: None if plan.guarantee is Guarantee.POD else plan.guarantee.value,
        contract.RESOURCES: None if plan.resources is None else _json(dict(plan.resources)),
    }
    return {name: text for name, text in written.items() if text is not None}


def _list(callbacks: tuple[Callback, ...], defaults: Callback) -> str | None:
    return _json([_entry(callback, defaults) for callback in callbacks]) if callbacks else None


def _entry(callback: Callback, defaults: Callback) -> Json:
    entry: dict[str, Json] = {"call": callback.call} if callback.call else {"exec": list(callback.exec)}
    if callback.arguments:
        entry["with"] = dict(callback.arguments)
    if callback.timeout_seconds != defaults.timeout_seconds:
        entry["timeout"] = format_duration(callback.timeout_seconds)
    if callback.retries != defaults.retries:
        entry["retries"] = callback.retries
    if callback.policy is not defaults.policy:
        entry["policy"] = callback.policy.value
    if callback.when is not None:
        entry["when"] = [result.value for result in Result if result in callback.when]
    return callback.call if list(entry) == ["call"] else entry


def _reserve(plan: Plan) -> str | None:
    default = min(total_timeout(plan.on_exit), contract.MAX_DEFAULT_RESERVE_SECONDS)
    return None if not plan.on_exit or plan.reserve_seconds == default else format_duration(plan.reserve_seconds)


def _json(value: Json) -> str:
    from json import dumps

    try:
        return dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"the plan holds a value that JSON can't: {error}; give plain text, numbers and lists"
        ) from error
