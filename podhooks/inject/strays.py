"""Annotations of ours that no pod template has: nothing comes of them here, and that is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podhooks import contract
from podhooks.annotations.finding import Finding
from podhooks.annotations.plan import USER_ANNOTATIONS
from podhooks.inject.checks import finding
from podhooks.inject.shapes import Json, Path
from podhooks.inject.templates import (
    RECORDS,
    TEMPLATES,
    is_annotated,
    look_up,
    ours,
    possible_templates,
    prefixed,
    shown_path,
    templates_of,
)
from podhooks.pod.object import mapping, text

OWN: Path = ("metadata", "annotations")
LABELS = frozenset(
    {"labels", "matchLabels", "nodeSelector", "selector"}
)  # there our keys are labels, which we have too


def around(obj: Mapping[str, Json], below: Path) -> Iterator[Finding]:
    """Annotations above a template of Kubernetes' own kinds (on the object, on a CronJob's job template), and among
    any template's labels."""
    right = shown_path((*below, *OWN))
    template = mapping(look_up(obj, below))
    if text(obj.get("kind")) in TEMPLATES:
        inside = bool(prefixed(template.get("metadata"), "annotations"))
        for path, key in _above(obj, below):
            where = f"{shown_path(path)}[{key}]"
            if inside:
                problem = f"only what is in {right} counts, and Podhooks annotations are there too: take this one out"
                yield finding("misplaced-too", where, problem)
            elif not _elsewhere(obj, below):
                yield finding("misplaced", where, f"the pods don't get it: move it to {right}")
    metadata = mapping(template.get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    for key in prefixed(metadata, "labels"):
        if key == contract.GUARANTEE_LABEL and {contract.GUARANTEE, contract.STATUS} & set(annotations):
            continue  # ours, of an earlier injection
        where = shown_path((*below, "metadata", "labels")) + f"[{key}]"
        yield finding("misplaced", where, f"is a label, and Podhooks reads annotations: move it to {right}")


def strays(obj: Mapping[str, Json]) -> Iterator[Finding]:
    """Everything else in an object that looks like an annotation of ours, and isn't on a pod template."""
    if text(obj.get("kind")) in RECORDS:
        return
    templates = templates_of(obj)
    known = {(*below, *OWN) for below in templates}
    if text(obj.get("kind")) in TEMPLATES:
        known |= {path for below in templates for path, _ in _above(obj, below)}
    advice = _advice(obj, templates)
    for path, value in _suspects(obj):
        if path in known:
            if not isinstance(value, Mapping):
                yield _not_a_mapping(path, value)
        elif path[-2:] == OWN and not isinstance(value, Mapping):
            yield _not_a_mapping(path, value)
        elif isinstance(value, Mapping):
            for key in ours(value):
                yield _stray(obj, path, key, advice)
        else:
            yield finding("no-template", shown_path(path), f"nothing comes of Podhooks annotations here: {advice}")


def _suspects(obj: Mapping[str, Json]) -> Iterator[tuple[Path, Json]]:
    """Mappings with keys of ours; and lists or texts that are called annotations and have our prefix in them."""
    waiting: list[tuple[Json, Path]] = [(obj, ())]
    while waiting:
        value, path = waiting.pop()
        called = path[-1] if path else ""
        if isinstance(value, dict):
            if _is_called_annotations(called):
                if ours(value):
                    yield path, value
            elif called not in LABELS and any(key in USER_ANNOTATIONS for key in value):
                yield path, value
            for key, each in reversed(value.items()):
                kind = type(each)
                if kind is dict or kind is list or (kind is str and _is_called_annotations(key)):
                    waiting.append((each, (*path, key)))
        elif _is_called_annotations(called):
            if _mentions(value):
                yield path, value
        elif isinstance(value, list):
            waiting += [(each, (*path, index)) for index, each in enumerate(value) if type(each) in (dict, list)]


def _is_called_annotations(key: str | int) -> bool:
    """`annotations`, `podAnnotations`, `commonAnnotations`."""
    return isinstance(key, str) and key.endswith(("nnotations", "NNOTATIONS"))


def _mentions(value: Json) -> bool:
    """Whether a list or a text has something in it that begins as our annotations do."""
    if isinstance(value, str):
        return any(line.strip(" -'\"").startswith(contract.PREFIX) for line in value.splitlines())
    if isinstance(value, list):
        return any(_mentions(each) for each in value)
    return isinstance(value, Mapping) and any(_mentions(each) for pair in value.items() for each in pair)


def _not_a_mapping(path: Path, value: Json) -> Finding:
    shape = "a list" if isinstance(value, list) else "a text"
    problem = f"is {shape}, and annotations are a mapping: write NAME: VALUE lines, without dashes"
    return finding("annotations-not-mapping", shown_path(path), problem)


def _stray(obj: Mapping[str, Json], path: Path, key: str, advice: str) -> Finding:
    where = f"{shown_path(path)}[{key}]"
    if path == OWN and _is_kubernetes_own(obj) and not templates_of(obj):
        problem = "this object has no pod template, so nothing comes of it: move it to the pod's own annotations"
        return finding("misplaced", where, problem)
    if path == OWN and any(map(is_annotated, (look_up(obj, each) for each in templates_of(obj)))):
        problem = "only what is on the pod templates counts, and Podhooks annotations are there too: take this one out"
        return finding("misplaced-too", where, problem)
    if path == OWN and possible_templates(obj):
        return finding("misplaced", where, f"nothing comes of it here: {advice}")
    return finding("no-template", where, f"nothing comes of it here: {advice}")


def _advice(obj: Mapping[str, Json], templates: list[Path]) -> str:
    """What helps: the templates that are there; else whoever sees the pods when they are made."""
    places = [shown_path((*below, *OWN)) for below in possible_templates(obj) or templates]
    if places:
        return f"move it to {' or '.join(places[:3])}"
    kind = text(obj.get("kind")) or "this object"
    return (
        f"{kind} has no pod template (annotations beside a spec with containers). If its controller gives them to its "
        "pods, the webhook or the admission policy injects those"
    )


def _is_kubernetes_own(obj: Mapping[str, Json]) -> bool:
    """By its API group: a resource definition's has a domain of somebody else's."""
    group = text(obj.get("apiVersion")).rpartition("/")[0]
    return "." not in group or (group.endswith(".k8s.io") and not group.endswith(".x-k8s.io"))


def _above(obj: Mapping[str, Json], below: Path) -> Iterator[tuple[Path, str]]:
    for depth in range(len(below)):
        holder = mapping(look_up(obj, below[:depth]))
        for key in prefixed(holder.get("metadata"), "annotations"):
            yield (*below[:depth], *OWN), key


def _elsewhere(obj: Mapping[str, Json], below: Path) -> bool:
    """Whether another template of the object has annotations, or comes first: one sentence is enough."""
    others = TEMPLATES[text(obj.get("kind"))]
    annotated = [each for each in others if prefixed(mapping(look_up(obj, each)).get("metadata"), "annotations")]
    return bool(annotated) or (len(others) > 1 and others[0] != below)
