"""Takes out what was put in, and gives back what was there before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from podhooks import contract
from podhooks.inject.edit import plain
from podhooks.inject.env import SHARED_ENV
from podhooks.inject.marks import unmark
from podhooks.inject.shapes import Json, Pod
from podhooks.inject.status import Status, read_status
from podhooks.pod.object import is_shared_mount, mapping, sequence, text

Ours = Callable[[Json], bool]  # whether an entry of a list is one that we put in


def without_ours(given: Pod) -> tuple[Pod, Status | None]:
    """A copy without what the status says was added; `given` itself where there is no status.

    ManifestError for a status that isn't ours.
    """
    status = read_status(given)
    if status is None:
        return given, None
    pod: Pod = plain(given)
    annotations = pod["metadata"]["annotations"]
    for key in (contract.STATUS, *status.annotations):
        annotations.pop(key, None)
    unmark(pod["metadata"], status)
    spec = pod.get("spec")
    if isinstance(spec, dict):
        for holder, field, path, ours in _our_places(spec, status):
            _take_out(holder, field, [each for each in holder[field] if not ours(each)], path, status)
        _restore_grace(spec, status)
    return pod, status


def _our_places(spec: Pod, status: Status) -> Iterator[tuple[Pod, str, str, Ours]]:
    """Lists that may hold entries of ours: their holder, field, path, and how to know ours."""
    for field, ours in (("volumes", _our_volume), ("initContainers", _our_container), ("containers", _our_container)):
        if isinstance(spec.get(field), list):
            yield spec, field, field, ours
    for container in filter(lambda each: isinstance(each, dict), sequence(spec.get("containers"))):
        for field, ours in (("volumeMounts", _our_mount), ("env", _our_env)):
            path = f"{text(container.get('name'))}.{field}"
            if isinstance(container.get(field), list) and path not in status.own:
                yield container, field, path, ours


def _our_volume(entry: Json) -> bool:
    return text(mapping(entry).get("name")) in contract.OUR_VOLUMES


def _our_container(entry: Json) -> bool:
    return text(mapping(entry).get("name")) in contract.OUR_CONTAINERS


def _our_mount(entry: Json) -> bool:
    return is_shared_mount(mapping(entry))


def _our_env(entry: Json) -> bool:
    return bool(entry == SHARED_ENV)


def _take_out(holder: Pod, field: str, left: list[Json], path: str, status: Status) -> None:
    if len(left) == len(holder[field]):
        return
    if left:
        holder[field] = left
    elif path in status.was:
        holder[field] = plain(status.was[path])
    else:
        del holder[field]


def _restore_grace(spec: Pod, status: Status) -> None:
    field = "terminationGracePeriodSeconds"
    if not status.grace_raised:
        return
    if status.grace_seconds is not None or field in status.was:
        spec[field] = status.grace_seconds
    else:
        spec.pop(field, None)
