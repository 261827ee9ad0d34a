"""Where in a document the pods and pod templates are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podhooks import contract
from podhooks.inject.shapes import Json, Path
from podhooks.pod.object import mapping, sequence, text

TEMPLATE: Path = ("spec", "template")
TEMPLATES: Mapping[str, tuple[Path, ...]] = {
    "Pod": ((),),
    "PodTemplate": (("template",),),
    "CronJob": (("spec", "jobTemplate", "spec", "template"),),
    "DaskCluster": (("spec", "worker"), ("spec", "scheduler")),
    "DaskWorkerGroup": (("spec", "worker"),),
    "DaskJob": (("spec", "job"), ("spec", "cluster", "spec", "worker"), ("spec", "cluster", "spec", "scheduler")),
    **dict.fromkeys(
        ["Job", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"], (TEMPLATE,)
    ),
}
"""Kinds whose pod templates have a fixed place. A template is whatever has `metadata` and a pod's `spec`; Dask's
resources have both below scheduler, worker and job (dask-kubernetes 2022.10 and later)."""

OLD_POD_SCHEMA = frozenset({"DaskCluster", "DaskWorkerGroup", "DaskJob"})
"""Kinds whose resource definition spells out a pod as of Kubernetes 1.21: the API server drops an init container's
restartPolicy (its sidecar would block the pod for ever) and image volumes."""

RECORDS = frozenset({"ControllerRevision", "Rescue"})
"""Kinds that hold pods or templates as they were: nothing is made of them, and they mustn't change."""

LIST = "List"  # how kinds end that hold objects in `items`: List, PodList, and ResourceList, which functions get


def shown_path(path: Path) -> str:
    """`items[0].spec.template`, as Kubernetes writes field paths."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def look_up(value: Json, path: Path) -> Json:
    """What is at `path`, None if nothing is."""
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = mapping(value).get(part)
    return value


def objects(document: Mapping[str, Json], at: Path = ()) -> Iterator[tuple[Mapping[str, Json], Path]]:
    """The objects of a document: itself, or the items of a List (also of a List in it)."""
    kind = text(document.get("kind"))
    if not kind.endswith(LIST) or ("items" in document and not isinstance(document["items"], (list, type(None)))):
        yield document, at
        return
    if "items" not in document and kind != LIST:
        yield document, at
        return
    of = kind.removesuffix(LIST)
    for index, each in enumerate(sequence(document.get("items"))):
        if isinstance(each, Mapping):
            typed = {"kind": of, **each} if of else each
            yield from objects(typed, (*at, "items", index))


def pod_templates(document: Mapping[str, Json]) -> Iterator[tuple[Mapping[str, Json], Path, Path]]:
    """Each pod or pod template of a document: its object, that object's path, and the template's path below it."""
    for obj, at in objects(document):
        for below in templates_of(obj):
            yield obj, at, below


def templates_of(obj: Mapping[str, Json]) -> list[Path]:
    """The paths of an object's pods and pod templates. In a kind that isn't Kubernetes' own: of those with annotations
    of ours, wherever they are, and of `spec.template`."""
    kind = text(obj.get("kind"))
    if kind in TEMPLATES:
        return [below for below in TEMPLATES[kind] if isinstance(look_up(obj, below), Mapping)]
    if kind in RECORDS:
        return []
    return [below for below in possible_templates(obj) if below == TEMPLATE or is_annotated(look_up(obj, below))]


def possible_templates(obj: Mapping[str, Json]) -> list[Path]:
    """The paths of whatever could be a pod template below an object: it has a list of containers in its spec."""
    found: list[Path] = []
    waiting: list[tuple[Json, Path]] = [(obj, ())]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, dict):
            if path and isinstance(mapping(value.get("spec")).get("containers"), list):
                found.append(path)
                continue
            waiting += [(each, (*path, key)) for key, each in reversed(value.items()) if type(each) in (dict, list)]
        elif isinstance(value, list):
            inner = list(enumerate(value))
            waiting += [(each, (*path, index)) for index, each in reversed(inner) if type(each) in (dict, list)]
    return found


def is_annotated(template: Json) -> bool:
    """Also by an earlier injection."""
    annotations = mapping(mapping(mapping(template).get("metadata")).get("annotations"))
    return any(isinstance(key, str) and key.startswith(contract.PREFIX) for key in annotations)


def prefixed(metadata: Json, field: str) -> list[str]:
    """Annotations (or labels) of ours, except the one that we write."""
    return ours(mapping(mapping(metadata).get(field)))


def ours(keys: Mapping[str, Json]) -> list[str]:
    return [key for key in keys if isinstance(key, str) and key.startswith(contract.PREFIX) and key != contract.STATUS]
