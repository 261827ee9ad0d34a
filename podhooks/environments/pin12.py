"""Arguments and files of PIN-12's time: what they mean now, and a sentence for each that means nothing any more. Pure.

The original is `prefect.environments` of Prefect 0.15:
https://github.com/PrefectHQ/prefect/tree/0.15.13/src/prefect/environments/execution
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from podhooks.annotations.finding import shown
from podhooks.errors import InputError
from podhooks.pod.object import mapping, whole

Object = dict[str, Any]

GONE: Mapping[str, str] = {
    "executor": "Prefect 3 has no executors: give the flow itself a task runner, @flow(task_runner=...)",
    "scheduler_logs": "the scheduler is a pod of its own now: `kubectl logs` of it shows its log",
    "private_registry": "give image_pull_secret= the name of a Secret of type kubernetes.io/dockerconfigjson",
    "docker_secret": "give image_pull_secret= the name of a Secret of type kubernetes.io/dockerconfigjson",
    "log_k8s_errors": "errors of Kubernetes are always told: `setup` and `execute` raise them",
}
"""Arguments of 0.15 that nothing could be made of, and what does their work now."""

GONE_PROGRAMS: Mapping[str, str] = {"dask-scheduler": "scheduler", "dask-worker": "worker"}
"""Programs that distributed has no more since 2026.6, and the word after `dask` that starts the same."""

GONE_OPTIONS = frozenset({"--bokeh", "--no-bokeh"})
"""Of dask-worker, which doesn't start with them any more."""


def refuse_gone(**given: object) -> None:
    """Raises InputError for the first argument that asks for something. What was the default asks for nothing."""
    for name, value in given.items():
        if value is None or value is False:
            continue
        hint = f" If {shown(value)} is the image, write image={shown(value)}." if _may_be_an_image(name, value) else ""
        raise InputError(f"{name}: is an argument of Prefect 0.15 that does nothing here: {GONE[name]}.{hint}")


def _may_be_an_image(name: str, value: object) -> bool:
    """The image was the third argument in our first versions, where 0.15 had the executor."""
    return name == "executor" and isinstance(value, str)


def image_of(image: str | None, metadata: Mapping[str, Any] | None) -> str | None:
    """The flow's image: `metadata={"image": ...}` decided it in 0.15. Raises InputError for two different ones."""
    written = (metadata or {}).get("image")
    if not written:
        return image
    if not isinstance(written, str):
        raise InputError(f"metadata: image: {shown(written)} is no image's name: write a text")
    if image is not None and image != written:
        raise InputError(f"image: is {shown(image)}, and metadata has the image {shown(written)}: give one of them")
    return written


def tried_once(job: Mapping[str, Any]) -> Object:
    """The Job of a file that doesn't say how often it is tried: once.

    In 0.15 main's container ended with 0 after a failed flow, so the Job had succeeded. Now the container fails with
    its flow, and Kubernetes' own default would run the flow up to seven times: `backoffLimit: 6`, and in the pod with
    `restartPolicy: OnFailure`.
    """
    spec = dict(mapping(job.get("spec")))
    if "backoffLimit" in spec or "backoffLimitPerIndex" in spec:
        return dict(job)
    template = dict(mapping(spec.get("template")))
    pod = dict(mapping(template.get("spec")))
    if pod.get("restartPolicy") == "OnFailure":
        pod["restartPolicy"] = "Never"
    return {**job, "spec": {**spec, "backoffLimit": 0, "template": {**template, "spec": pod}}}


def retried(job: Mapping[str, Any], name: str) -> Iterator[str]:
    """A warning for a file that asks for more than one try, which a failed flow didn't get in 0.15."""
    limit = whole(mapping(job.get("spec")).get("backoffLimit"))
    if limit:
        yield (
            f"{name}: has spec.backoffLimit: {limit}, so Kubernetes runs a flow that failed up to {limit} times more. "
            "In Prefect 0.15 a failed flow ran once: write 0 for that"
        )


def worker_pod(pod: Mapping[str, Any], name: str) -> tuple[Object, list[str]]:
    """A worker's or scheduler's Pod without a Deployment's `replicas`, and a warning for each thing that is old.

    The command stays as it is written: only its author knows which distributed is in the image.
    """
    spec = dict(mapping(pod.get("spec")))
    warnings = []
    if "replicas" in spec:
        warnings.append(f"{name}: spec.replicas is no field of a pod, and is left out: min_workers= says how many")
        del spec["replicas"]
    for number, container in enumerate(spec.get("containers") or ()):
        where = f"{name}: spec.containers[{number}]"
        warnings += [f"{where}: {each}" for each in _old_words(_words(container))]
    return {**pod, "spec": spec}, warnings


def _words(container: object) -> list[str]:
    """Command and arguments; those of a shell are split, too."""
    fields = (mapping(container).get(key) for key in ("command", "args"))
    return [word for field in fields if isinstance(field, list) for each in field for word in str(each).split()]


def _old_words(words: list[str]) -> Iterator[str]:
    for word in words:
        name = word.rpartition("/")[2]
        if name in GONE_PROGRAMS:
            yield f"{name} is gone from distributed since 2026.6: write `dask {GONE_PROGRAMS[name]}`"
        if word in GONE_OPTIONS:
            new = word.replace("bokeh", "dashboard")
            yield f"{word} is an option that no dask worker has any more, so the worker won't start: write {new}"


def with_programs_of_today(container: Mapping[str, Any]) -> Object:
    """A container that begins with a program which is gone starts the same with `dask`."""
    found = dict(container)
    for key in ("command", "args"):
        words = found.get(key)
        if isinstance(words, list) and words and words[0] in GONE_PROGRAMS:
            found[key] = ["dask", GONE_PROGRAMS[words[0]], *words[1:]]
    return found
