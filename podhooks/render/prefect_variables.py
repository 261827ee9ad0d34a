"""The variables of a work pool's template that are ours: what a deployment may set in `job_variables`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from podhooks import contract
from podhooks.annotations.durations import format_duration
from podhooks.annotations.plan import Guarantee, Mode, Policy
from podhooks.inject.container_resources import completed
from podhooks.inject.inject_settings import DEFAULT_RESOURCES
from podhooks.inject.shapes import Json
from podhooks.value import Value

GRACE_PERIOD = "termination_grace_period_seconds"
RESOURCES = "callback_resources"
ENV_FROM = "callback_env_from"
NO_CALLBACKS = "[]"  # an annotation must hold something: an empty list is one that asks for nothing
DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
LIST_FORMS = "Names of functions, one a line or with commas between them, or YAML or JSON with more about each."


class Variable(Value):
    """`annotation` is where it goes, "" for those with a place of their own; `schema` is JSON schema, for the UI."""

    name: str
    annotation: str
    schema: Mapping[str, Json]

    @property
    def placeholder(self) -> str:
        """For Prefect to replace. A lone placeholder becomes the value itself, which in an annotation must be text:
        the blank behind a number makes it so, and is taken off by whoever reads the annotation."""
        return f"{{{{ {self.name} }}}}" + (" " if self.annotation and self.schema["type"] == "integer" else "")


def _text(title: str, description: str, default: str, **more: Json) -> dict[str, Json]:
    return {
        "title": title,
        "description": description,
        "type": "string",
        "default": default,
        **(more or {"minLength": 1}),
    }


def _duration(title: str, description: str, seconds: float) -> dict[str, Json]:
    return _text(title, description, format_duration(seconds), pattern=DURATION)


def _retries(title: str, default: int) -> dict[str, Json]:
    description = "How often a callback that failed is tried again."
    bounds = {"minimum": 0, "maximum": contract.MAX_RETRIES}
    return {"title": title, "description": description, "type": "integer", "default": default, **bounds}


def _choice(title: str, description: str, default: Enum, choices: Iterable[Enum] | None = None) -> dict[str, Json]:
    """One of the words of `default`'s class, or of `choices` among them."""
    return _text(title, description, default.value, enum=[each.value for each in choices or type(default)])


def hook_variables(mode: Mode | None, on_start: str, on_exit: str) -> tuple[Variable, ...]:
    """What both kinds of template have. `mode` is None where each deployment chooses it."""
    return (*_start_variables(on_start), *_exit_variables(mode, on_exit))


def _start_variables(callbacks: str) -> tuple[Variable, ...]:
    begins = f"Callbacks that run before the flow's process starts. {LIST_FORMS}"
    failed = "What a failed callback does. fail: the flow's process never starts; ignore: it is recorded."
    seconds, retries = contract.DEFAULT_ON_START_TIMEOUT_SECONDS, contract.DEFAULT_ON_START_RETRIES
    timeout = _duration("On Start Timeout", "How long each may take, like 5m.", seconds)
    return (
        Variable("on_start", contract.ON_START, _text("On Start", begins, callbacks)),
        Variable("on_start_policy", contract.ON_START_POLICY, _choice("On Start Policy", failed, Policy.FAIL)),
        Variable("on_start_timeout", contract.ON_START_TIMEOUT, timeout),
        Variable("on_start_retries", contract.ON_START_RETRIES, _retries("On Start Retries", retries)),
    )


def _exit_variables(mode: Mode | None, callbacks: str) -> tuple[Variable, ...]:
    ended = f"After the flow's process ended, however it ended. {LIST_FORMS}"
    fails = "fail needs the mode classic." if mode is not Mode.NATIVE else "This pool's mode is native, where it can't."
    failed = f"What a failed callback does. ignore: it is recorded; fail: the pod fails too. {fails}"
    policies = [Policy.IGNORE] if mode is Mode.NATIVE else [Policy.IGNORE, Policy.FAIL]
    seconds, retries = contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS, contract.DEFAULT_ON_EXIT_RETRIES
    timeout = _duration("On Exit Timeout", "How long each may take, like 30s.", seconds)
    when = "always, success, failure, or results with commas, like OOMKilled, Evicted."
    kept = "pod: best effort inside the pod; cluster: kept for later, nothing makes good yet what the pod couldn't."
    policy = _choice("On Exit Policy", failed, Policy.IGNORE, policies)
    return (
        Variable("on_exit", contract.ON_EXIT, _text("On Exit", ended, callbacks)),
        Variable("on_exit_policy", contract.ON_EXIT_POLICY, policy),
        Variable("on_exit_timeout", contract.ON_EXIT_TIMEOUT, timeout),
        Variable("on_exit_retries", contract.ON_EXIT_RETRIES, _retries("On Exit Retries", retries)),
        Variable("on_exit_when", contract.ON_EXIT_WHEN, _text("On Exit When", when, "always")),
        Variable("on_exit_guarantee", contract.GUARANTEE, _choice("On Exit Guarantee", kept, Guarantee.POD)),
    )


def pod_variables(*, grace_seconds: int, reserve_seconds: float) -> tuple[Variable, ...]:
    """Of a template that has our containers: what is computed from the callbacks elsewhere is to be said here."""
    reserve = (
        "How long before the pod's forced end on_exit begins at the latest: the timeouts of all on_exit callbacks."
    )
    grace = "What a pod that is deleted or evicted gets: the flow's own time (30 s by default) and on_exit's reserve."
    return (
        Variable("on_exit_reserve", contract.RESERVE, _duration("On Exit Reserve", reserve, reserve_seconds)),
        Variable(
            GRACE_PERIOD,
            "",
            {
                "title": "Termination Grace Period Seconds",
                "description": grace,
                "type": "integer",
                "default": grace_seconds,
                "minimum": 1,
            },
        ),
        Variable(
            RESOURCES,
            "",
            {
                "title": "Callback Resources",
                "description": "Requests and limits of the containers on-start and on-exit.",
                "type": "object",
                "default": completed({}, DEFAULT_RESOURCES),
            },
        ),
        Variable(
            ENV_FROM,
            "",
            {
                "title": "Callback Env From",
                "description": "Secrets and ConfigMaps whose variables callbacks have, such as PREFECT_API_KEY, as "
                'Kubernetes has them: [{"secretRef": {"name": "prefect"}}].',
                "type": "array",
                "items": {"type": "object"},
                "default": [],
            },
        ),
    )


def annotation_variables() -> tuple[Variable, ...]:
    """Of a template with annotations only: what shapes the containers, which somebody else adds."""
    return (
        Variable(
            "callback_mode",
            contract.MODE,
            _choice("Callback Mode", "native, or classic for clusters before Kubernetes 1.29.", Mode.NATIVE),
        ),
        Variable(
            "callback_image",
            contract.IMAGE,
            _text("Callback Image", "The image that callbacks run in; main is the flow's own.", contract.MAIN_IMAGE),
        ),
        Variable(
            "callback_python",
            contract.PYTHON,
            _text("Callback Python", "The interpreter in that image.", contract.DEFAULT_PYTHON),
        ),
    )
