"""The variables of a work pool's template that are ours: what a deployment may set in `job_variables`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from podhooks import contract
from podhooks.annotations.durations import format_duration
from podhooks.annotations.plan import LISTS, TABLE, Annotation, Mode, Policy
from podhooks.context import Hook
from podhooks.inject.container_resources import completed
from podhooks.inject.inject_settings import DEFAULT_RESOURCES
from podhooks.inject.shapes import Json
from podhooks.render.annotation_schemas import schema

GRACE_PERIOD = "termination_grace_period_seconds"
RESOURCES = "callback_resources"
ENV_FROM = "callback_env_from"
API_URL = "callback_api_url"
API_KEY_FROM = "callback_api_key_from"
AUTH_STRING_FROM = "callback_api_auth_string_from"
CREDENTIALS = {  # Prefect's variables, each with ours and the field of a container's env that it fills
    "PREFECT_API_URL": (API_URL, "value"),
    "PREFECT_API_KEY": (API_KEY_FROM, "valueFrom"),
    "PREFECT_API_AUTH_STRING": (AUTH_STRING_FROM, "valueFrom"),
}
NO_CALLBACKS = "[]"  # an annotation must hold something: an empty list is one that asks for nothing
LIST_FORMS = "Names of functions, one a line or with commas between them, or YAML or JSON with more about each."


@dataclass(frozen=True)
class Variable:
    """`annotation` is where it goes, "" for those with a place of their own; `schema` is JSON schema, for the UI."""

    name: str
    annotation: str
    schema: Mapping[str, Json]

    @property
    def placeholder(self) -> str:
        """For Prefect to replace. A lone placeholder becomes the value itself, which in an annotation must be text:
        the blank behind a number makes it so, and is taken off by whoever reads the annotation."""
        return f"{{{{ {self.name} }}}}" + (" " if self.annotation and self.schema["type"] == "integer" else "")


def hook_variables(mode: Mode | None, on_start: str, on_exit: str) -> tuple[Variable, ...]:
    """What both kinds of template have. `mode` is None where each deployment chooses it."""
    texts = {LISTS[Hook.ON_START].name: on_start, LISTS[Hook.ON_EXIT].name: on_exit}
    chosen = [each for each in TABLE if each.name in texts or _is_about_callbacks(each)]
    at_start_first = sorted(chosen, key=lambda each: each.hook is not Hook.ON_START)
    return tuple(_variable(each, texts.get(each.name), mode) for each in at_start_first)


def annotation_variables() -> tuple[Variable, ...]:
    """Of a template with annotations only: what shapes the containers, which somebody else adds."""
    return tuple(_variable(each) for each in TABLE if not each.otherwise and not _is_about_callbacks(each))


def _is_about_callbacks(annotation: Annotation) -> bool:
    """Whether containers that are there already go by it, too."""
    return not annotation.otherwise and (not annotation.shapes_pod or variable_name(annotation).startswith("on_"))


def _variable(annotation: Annotation, default: str | None = None, mode: Mode | None = None) -> Variable:
    """The annotation as a variable; `default` is its text where that isn't the table's."""
    name = variable_name(annotation)
    said = {"title": name.replace("_", " ").title(), "description": _description(annotation, mode)}
    value = annotation.kind.write(annotation.default) if default is None else default
    return Variable(name, annotation.name, {**said, **_schema(annotation, mode), "default": value})


def variable_name(annotation: Annotation) -> str:
    short = annotation.short_name.replace("-", "_")
    return annotation.variable or (short if annotation.hook and short.startswith("on_") else f"callback_{short}")


def _description(annotation: Annotation, mode: Mode | None) -> str:
    text = f"{annotation.help[0].upper()}{annotation.help[1:]}.".replace("`", "")
    if annotation.name in (each.name for each in LISTS.values()):
        return f"{text} {LIST_FORMS}"
    if annotation.name == contract.ON_EXIT_POLICY and mode in (Mode.NATIVE, Mode.OUTSIDE):
        return f"{text} This pool's mode is {mode.value}, where it can't."
    return text


def _schema(annotation: Annotation, mode: Mode | None) -> Mapping[str, Json]:
    """Of a text, or a whole number: Prefect's annotations are placeholders in texts, and no variable may be empty."""
    made = schema(annotation)
    if annotation.name == contract.ON_EXIT_POLICY and mode in (Mode.NATIVE, Mode.OUTSIDE):
        return {**made, "enum": [Policy.IGNORE.value]}
    return made if made["type"] == "integer" or "enum" in made else {**_only_text(made), "minLength": 1}


def _only_text(made: Mapping[str, Json]) -> Mapping[str, Json]:
    return made if made["type"] == "string" else {"type": "string"}


def pod_variables(*, grace_seconds: int, reserve_seconds: float) -> tuple[Variable, ...]:
    """Of a template that has our containers: what is computed from the callbacks elsewhere is to be said here."""
    reserve = next(each for each in TABLE if each.name == contract.RESERVE)
    grace = "What a pod that is deleted or evicted gets: the flow's own time (30 s by default) and on_exit's reserve."
    return (
        _variable(reserve, format_duration(reserve_seconds)),
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
        *_credential_variables(),
    )


def _credential_variables() -> tuple[Variable, ...]:
    """Where Prefect is and what opens it, for pods whose main has these from Secrets.

    The key's default is the Secret of Prefect's Helm chart for workers, `worker.cloudApiConfig.apiKeySecret`; the auth
    string's key is that of its `worker.basicAuth.existingSecret`:
    https://github.com/PrefectHQ/prefect-helm/blob/main/charts/prefect-worker/values.yaml
    """
    url = (
        "Where callbacks find Prefect when main has PREFECT_API_URL from a Secret, whose values the pod doesn't show: "
        "with PREFECT_INTEGRATIONS_KUBERNETES_WORKER_STORE_ENV_AS_SECRET."
    )
    return (
        Variable(API_URL, "", {"title": "Callback Api Url", "description": url, "type": "string", "default": ""}),
        _source(API_KEY_FROM, "PREFECT_API_KEY", "prefect-api-key", "key"),
        _source(AUTH_STRING_FROM, "PREFECT_API_AUTH_STRING", "prefect-api-auth-string", "auth-string"),
    )


def _source(variable: str, name: str, secret: str, key: str) -> Variable:
    """A variable's `valueFrom`, as Kubernetes has it."""
    where = {
        "type": "object",
        "required": ["name", "key"],
        "minProperties": 2,  # Prefect's server doesn't check `required`
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "key": {"type": "string", "minLength": 1},
            "optional": {"type": "boolean"},
        },
        "additionalProperties": False,
    }
    about = (
        f"Where callbacks get {name} when main has none that the pod shows: the valueFrom of a variable, as Kubernetes "
        "has it. With optional, a missing Secret is no error."
    )
    return Variable(
        variable,
        "",
        {
            "title": variable.replace("_", " ").title(),
            "description": about,
            "type": "object",
            "properties": {"secretKeyRef": where, "configMapKeyRef": where},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "default": {"secretKeyRef": {"name": secret, "key": key, "optional": True}},
        },
    )
