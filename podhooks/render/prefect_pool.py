"""The base job template of a Prefect Kubernetes work pool, with callbacks as variables of its deployments.

Prefect's worker fills a template once per flow run: `{{ name }}` becomes a variable's value. So our containers are
injected here, once, around placeholders, and annotations hold placeholders where users write callbacks. What the
worker adds later (image, environment, labels) it adds to the first container only: hence the image's default, and
contract.ENV_INHERIT, by which callbacks find main's environment.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from podhooks import contract
from podhooks.annotations.finding import Severity
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Mode, Plan
from podhooks.errors import InputError, ManifestError
from podhooks.inject import InjectSettings, inject_object, uninject_object
from podhooks.inject.edit import plain
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, mappings, sequence
from podhooks.render.prefect_variables import (
    CREDENTIALS,
    ENV_FROM,
    GRACE_PERIOD,
    NO_CALLBACKS,
    RESOURCES,
    Variable,
    annotation_variables,
    hook_variables,
    pod_variables,
)

STAND_IN = "podhooks:callback"  # where a placeholder will be: the injector must read the annotations
GRACE_FIELD = "terminationGracePeriodSeconds"
DEFAULT_RESERVE_SECONDS = 2 * contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS


USUAL = InjectSettings()


@dataclass(frozen=True)
class PoolOptions:
    """`on_start` and `on_exit` are what holds for deployments that don't say; annotations' texts."""

    settings: InjectSettings = USUAL
    mode: Mode = Mode.NATIVE
    python: str = contract.DEFAULT_PYTHON
    on_start: str = NO_CALLBACKS
    on_exit: str = NO_CALLBACKS
    annotations_only: bool = False


def default_template() -> dict[str, Json]:
    """Prefect's own, of the version installed here. InputError where it isn't."""
    try:
        from prefect_kubernetes.worker import KubernetesWorker
    except ImportError as error:
        raise InputError(
            f"prefect-kubernetes can't be imported here ({error}): pip install 'podhooks[prefect]', or give a template "
            "with --base FILE, from: prefect work-pool get-default-base-job-template --type kubernetes"
        ) from error
    return cast("dict[str, Json]", KubernetesWorker.get_default_base_job_template())


def default_image() -> str:
    """What Prefect's worker takes where neither pool nor deployment names an image."""
    try:
        from prefect.utilities.dockerutils import get_prefect_image_name
    except ImportError:
        return "docker.io/prefecthq/prefect:3-latest"
    with _silent_programs():
        return str(get_prefect_image_name())


@contextlib.contextmanager
def _silent_programs() -> Iterator[None]:
    """Prefect asks git for its own revision, which outside a repository ends in `fatal: ...` on our stderr."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _give_image(properties: dict[str, Json]) -> None:
    """An image where the template has none: the worker would put it into the flow's container only."""
    variable = mapping(properties.get("image"))
    if variable and not variable.get("default"):
        properties["image"] = {**variable, "default": default_image()}


def base_job_template(base: Mapping[str, Json], options: PoolOptions) -> dict[str, Json]:
    """`base` with our containers (or annotations only) and variables. What it had stays.

    Raises:
        ManifestError: `base` isn't a Kubernetes work pool's template, or can't be injected.
        InputError: the default callbacks can't be used.
    """
    result: dict[str, Json] = plain(base)
    manifest, properties = _manifest(result), _properties(result)
    _without_label(manifest)
    if options.annotations_only:
        hooks = hook_variables(None, options.on_start, options.on_exit)
        variables: tuple[Variable, ...] = (*hooks, *annotation_variables())
        _plan_of_defaults(variables)
        manifest = uninject_object(manifest)[0]
        _annotate(manifest, {each.annotation: each.placeholder for each in variables})
    else:
        manifest, variables = _injected(manifest, options)
        _give_image(properties)
    result["job_configuration"]["job_manifest"] = manifest
    properties.update({each.name: dict(each.schema) for each in variables})
    return result


def _manifest(template: Mapping[str, Json]) -> dict[str, Json]:
    manifest: Json = mapping(template.get("job_configuration")).get("job_manifest")
    if not isinstance(manifest, dict) or not list(mappings(_spec(manifest).get("containers"))):
        raise ManifestError(
            "job_configuration.job_manifest with a pod's containers isn't there: this is no base job template of a "
            "Kubernetes work pool"
        )
    return cast("dict[str, Json]", manifest)


def _properties(template: Mapping[str, Json]) -> dict[str, Json]:
    properties: Json = mapping(template.get("variables")).get("properties")
    if not isinstance(properties, dict):
        raise ManifestError("variables.properties isn't there: this is no base job template of a work pool")
    return cast("dict[str, Json]", properties)


def _spec(manifest: Mapping[str, Json]) -> Mapping[str, Json]:
    return mapping(mapping(mapping(manifest.get("spec")).get("template")).get("spec"))


def _annotate(manifest: dict[str, Json], annotations: Mapping[str, Json]) -> None:
    _pods_metadata(manifest, "annotations").update(annotations)


def _pods_metadata(manifest: dict[str, Json], field: str) -> dict[str, Json]:
    metadata = manifest["spec"]["template"].setdefault("metadata", {})
    given: Json = metadata.setdefault(field, {}) if isinstance(metadata, dict) else metadata
    if not isinstance(given, dict):
        raise ManifestError(
            f"spec.template.metadata of the job manifest is {given!r}: write the {field} one by one, or leave "
            "them to the Job's, which Prefect copies to its pods"
        )
    return cast("dict[str, Json]", given)


def _label(manifest: dict[str, Json], variables: tuple[Variable, ...]) -> None:
    """By its label the rescuer finds a pod whose deployment says `cluster`; it adds its finalizer itself."""
    guarantee = next(each for each in variables if each.annotation == contract.GUARANTEE)
    _pods_metadata(manifest, "labels")[contract.GUARANTEE_LABEL] = guarantee.placeholder


def _without_label(manifest: Mapping[str, Json]) -> None:
    """Of a template that was ours: the label holds a placeholder, which uninject doesn't know."""
    metadata = mapping(mapping(mapping(manifest.get("spec")).get("template")).get("metadata"))
    labels: Json = metadata.get("labels")
    if isinstance(labels, dict) and "{{" in str(labels.get(contract.GUARANTEE_LABEL)):
        del labels[contract.GUARANTEE_LABEL]


def _plan_of_defaults(variables: tuple[Variable, ...]) -> Plan:
    """What the defaults mean. InputError for callbacks that can't be used: better now than in every pod."""
    texts = {each.annotation: str(each.schema["default"]) for each in variables if each.annotation}
    result, findings = parse(texts)
    wrong = [str(each) for each in findings if each.severity is Severity.ERROR]
    if wrong:
        raise InputError("; ".join(wrong))
    return result


def _injected(manifest: dict[str, Json], options: PoolOptions) -> tuple[dict[str, Json], tuple[Variable, ...]]:
    manifest = uninject_object(manifest)[0]
    spec = manifest["spec"]["template"]["spec"]
    own_grace = spec.pop(GRACE_FIELD, contract.DEFAULT_GRACE_SECONDS)
    if not isinstance(own_grace, int):
        raise ManifestError(
            f"{GRACE_FIELD} of the job manifest is {own_grace!r}: write the flow's own number of seconds"
        )
    _drop_environment_placeholder(spec)
    retries = _backoff_limit(manifest)
    hooks = hook_variables(options.mode, options.on_start, options.on_exit)
    reserve = _plan_of_defaults(hooks).reserve_seconds or DEFAULT_RESERVE_SECONDS
    pod = pod_variables(grace_seconds=math.ceil(own_grace + reserve), reserve_seconds=reserve)
    variables = (*hooks, *pod)
    fixed = {contract.MODE: options.mode.value, contract.PYTHON: options.python}
    stand_ins = {each.annotation: str(each.schema["default"]) for each in variables if each.annotation}
    _annotate(manifest, {**stand_ins, contract.ON_START: STAND_IN, contract.ON_EXIT: STAND_IN, **fixed})
    _label(manifest, variables)
    manifest, reports = inject_object(manifest, options.settings)
    errors = [str(found) for each in reports for found in each.report.errors]
    if errors:
        raise ManifestError("the job manifest can't be injected: " + "; ".join(errors))
    _annotate(manifest, {each.annotation: each.placeholder for each in variables if each.annotation})
    _parametrize(manifest["spec"]["template"]["spec"], retries)
    return manifest, variables


def _drop_environment_placeholder(spec: dict[str, Json]) -> None:
    """`env: "{{ env }}"` says nothing: the worker adds job_configuration.env in front of a list that it finds."""
    for container in mappings(spec["containers"]):
        if isinstance(container.get("env"), str):
            cast("dict[str, Json]", container).pop("env")


def _backoff_limit(manifest: Mapping[str, Json]) -> str:
    """The Job's, as an environment variable's text; 6 is Kubernetes' own. A fraction makes text of a placeholder."""
    return f"{mapping(manifest.get('spec')).get('backoffLimit', 6)}.0"


def _parametrize(spec: dict[str, Json], retries: str) -> None:
    """Our containers' placeholders. A fraction makes text of the number, as an environment variable must be."""
    spec[GRACE_FIELD] = f"{{{{ {GRACE_PERIOD} }}}}"
    for container in (*sequence(spec.get("initContainers")), *sequence(spec.get("containers"))):
        if container.get("name") not in contract.OUR_CONTAINERS:
            continue
        container["resources"] = f"{{{{ {RESOURCES} }}}}"
        if container["name"] == contract.RUNTIME_CONTAINER:
            continue
        container.setdefault("envFrom", f"{{{{ {ENV_FROM} }}}}")
        for each in container["env"]:
            if each["name"] == contract.ENV_GRACE_SECONDS:
                each["value"] = f"{{{{ {GRACE_PERIOD} }}}}.0"
        container["env"] += [
            {"name": contract.ENV_INHERIT, "value": "1"},
            {"name": contract.ENV_BACKOFF_LIMIT, "value": retries},
            *(
                {"name": contract.ENV_OTHERWISE + name, field: f"{{{{ {variable} }}}}"}
                for name, (variable, field) in CREDENTIALS.items()
            ),
        ]


def as_text(template: Mapping[str, Json]) -> str:
    return json.dumps(template, indent=2) + "\n"
