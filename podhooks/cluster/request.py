"""What a file asks for: one Pod or Job to run, and the objects that go with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podhooks.annotations.finding import closest, shown
from podhooks.errors import InputError, ManifestError
from podhooks.inject.shapes import Json
from podhooks.inject.templates import objects
from podhooks.kinds.resources import by_kind, clone
from podhooks.pod.object import mapping, mappings, sequence, text

RUNNABLE = {"Pod": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}
COMPANIONS = {
    "ConfigMap": "v1",
    "Secret": "v1",
    "ServiceAccount": "v1",
    "PersistentVolumeClaim": "v1",
    "Service": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
}
"""Kinds that are created before what is run, and taken away after it."""

Object = dict[str, Json]


@dataclass(frozen=True)
class Request:
    """`run` is a Pod or a Job; `companions` come first, in the file's order. Every object has its namespace."""

    run: Object
    companions: tuple[Object, ...] = ()

    @property
    def namespace(self) -> str:
        return str(self.run["metadata"]["namespace"])

    @property
    def label(self) -> str:
        return label_of(self.run)

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each["metadata"]["namespace"] for each in (self.run, *self.companions)))

    @property
    def pod(self) -> Mapping[str, Json]:
        """The Pod, or the Job's template."""
        return self.run if self.run["kind"] == "Pod" else mapping(mapping(self.run.get("spec")).get("template"))


def request(
    documents: Sequence[Mapping[str, Json]],
    name: str,
    *,
    namespace: str | None = None,
    usual_namespace: str = "default",
    only: str | None = None,
) -> Request:
    """
    Args:
        documents: the file's objects.
        name: the file's, for messages.
        namespace: for all objects; where one names another, that's an error, as for kubectl.
        usual_namespace: for objects that name none, if `namespace` is None.
        only: `Job/etl`, which of several to run.

    Raises:
        InputError: nothing in it can be run, or too much.
    """
    found = [dict(each) for document in documents for each, _ in objects(document)]
    for each in found:
        _check(each, name)
    runnable = [each for each in found if each["kind"] in RUNNABLE]
    chosen = _chosen(runnable, name, only)
    companions = tuple(_placed(each, namespace, usual_namespace) for each in found if each["kind"] in COMPANIONS)
    if chosen["kind"] == "CronJob":
        chosen = _job_of(chosen, name)
    return Request(_placed(chosen, namespace, usual_namespace), companions)


def with_variables(run: Object, variables: Mapping[str, str]) -> Object:
    """The Pod or Job with `variables` set in every container of its own; they win over the manifest's."""
    if not variables:
        return run
    given = [{"name": name, "value": value} for name, value in variables.items()]
    spec = mapping(run.get("spec"))
    if run["kind"] == "Job":
        template = mapping(spec.get("template"))
        pod = _with_env(mapping(template.get("spec")), given)
        return {**run, "spec": {**spec, "template": {**template, "spec": pod}}}
    return {**run, "spec": _with_env(spec, given)}


def label_of(obj: Mapping[str, Json]) -> str:
    """`Job/etl`."""
    metadata = mapping(obj.get("metadata"))
    return f"{text(obj.get('kind'))}/{text(metadata.get('name')) or text(metadata.get('generateName')) + '*'}"


def _check(obj: Mapping[str, Json], name: str) -> None:
    kind, version, metadata = text(obj.get("kind")), text(obj.get("apiVersion")), mapping(obj.get("metadata"))
    known = {**RUNNABLE, **COMPANIONS}
    what = f"{name}: {label_of(obj)}"
    if (given := metadata.get("name")) is not None and not isinstance(given, str):
        raise ManifestError(f"{name}: a {kind or 'object'} has {shown(given)} as metadata.name: write text, in quotes")
    if not (text(given) or text(metadata.get("generateName"))):
        raise ManifestError(f"{name}: a {kind or 'object'} has no metadata.name")
    if kind not in known:
        raise ManifestError(f"{what}: {_refusal(kind, version)}")
    if version != known[kind]:
        raise ManifestError(f"{what}: its apiVersion is {version or 'missing'}: write apiVersion: {known[kind]}")


def _refusal(kind: str, version: str) -> str:
    if by_kind(kind, version) is not None:
        return "is nothing that ends, so it can't be run: `podhooks inject` it and kubectl apply the result"
    meant = closest(kind, RUNNABLE)
    hint = f"did you mean {meant}?" if meant else "a Pod, a Job or a CronJob can be run"
    return f"{kind} is no kind that podhooks run knows: {hint}"


def _chosen(runnable: Sequence[Object], name: str, only: str | None) -> Object:
    labels = [label_of(each) for each in runnable]
    if not runnable:
        raise ManifestError(f"{name}: nothing in it can be run: it needs a Pod, a Job or a CronJob")
    if only is not None:
        hits = [each for each in runnable if only.lower() in (label_of(each).lower(), str(name_in(each)).lower())]
        if len(hits) != 1:
            raise InputError(f"--only {only}: {name} has {', '.join(labels)}")
        return hits[0]
    if len(runnable) > 1:
        raise ManifestError(f"{name}: holds {', '.join(labels)}: choose one, with --only {labels[0]}")
    return runnable[0]


def name_in(obj: Mapping[str, Json]) -> str:
    return text(mapping(obj.get("metadata")).get("name"))


def _job_of(cronjob: Object, name: str) -> Object:
    template = mapping(mapping(cronjob.get("spec")).get("jobTemplate"))
    if not mapping(template.get("spec")) or not name_in(cronjob):
        raise ManifestError(f"{name}: {label_of(cronjob)}: has no spec.jobTemplate.spec to make a Job from")
    return job_from_cronjob(cronjob)


def _placed(obj: Object, namespace: str | None, usual_namespace: str) -> Object:
    metadata = mapping(obj.get("metadata"))
    own = text(metadata.get("namespace"))
    if own and namespace and own != namespace:
        raise InputError(f"{label_of(obj)} is for namespace {own}, and -n says {namespace}: leave one of them out")
    return {**obj, "metadata": {**metadata, "namespace": own or namespace or usual_namespace}}


def _with_env(spec: Mapping[str, Json], given: Sequence[Mapping[str, str]]) -> Object:
    names = {each["name"] for each in given}

    def changed(container: Json) -> Json:
        if not isinstance(container, Mapping):
            return container  # the injector says what is wrong with it
        kept = [each for each in mappings(container.get("env")) if each.get("name") not in names]
        return {**container, "env": [*kept, *given]}

    return {**spec, "containers": [changed(each) for each in sequence(spec.get("containers"))]}


def job_from_cronjob(cronjob: Mapping[str, Json]) -> Object:
    """The Job that a CronJob would make now, as `kubectl create job --from` makes it."""
    meta, template = cronjob["metadata"], clone(dict(cronjob["spec"]["jobTemplate"]))
    given = template.get("metadata") or {}
    made: Object = {"generateName": f"{meta['name'][:50]}-"}
    if meta.get("namespace"):
        made["namespace"] = meta["namespace"]
    for field in ("labels", "annotations"):
        if given.get(field):
            made[field] = given[field]
    made["annotations"] = {**made.get("annotations", {}), "cronjob.kubernetes.io/instantiate": "manual"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": made, "spec": template["spec"]}
