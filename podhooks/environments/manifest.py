"""The Job of a job file with the flow in it, and the Secret that goes with it. Pure, but for reading the file.

Job files are those of Prefect's KubernetesJobEnvironment: the first container is the flow's, its command is replaced,
everything else stays as it is written.
"""

from __future__ import annotations

import base64
import copy
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podhooks import contract
from podhooks.annotations.plan import Plan
from podhooks.context import EMPTY
from podhooks.environments import pin12
from podhooks.environments.pickling import SecretFile
from podhooks.errors import InputError, ManifestError
from podhooks.pod.object import mapping, text
from podhooks.yamltext.stream import load

NAME_LENGTH = 63  # of a Job: its pods have a label with it
PICKLED_VOLUME = "podhooks-pickled"
DEFAULT_SPEC: Mapping[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "flow"}]}}},
}
"""Where no job file is given. A flow that failed isn't run again by Kubernetes: that's for the flow's own retries."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """What main's container runs: `reference` names the flow where it will run, `parameters` are JSON."""

    reference: str
    parameters: str = "{}"


def read_job_file(path: str | Path) -> Object:
    """Raises ManifestError with the file's name, and the line where there is one."""
    return checked(read_mapping(path, "job_spec_file", "one Job"), f"job_spec_file {path}")


def read_mapping(path: str | Path, what: str, wanted: str = "one object") -> Object:
    """A YAML or JSON file with one object in it."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{what} {path}: can't be read: {error.strerror}") from error
    documents = [each for each in _parsed(content, path) if each is not None]
    if len(documents) != 1 or not isinstance(documents[0], dict):
        found = f"{len(documents)} documents" if len(documents) != 1 else "no mapping"
        raise ManifestError(f"{what} {path}: holds {found}: it must be {wanted}")
    return documents[0]


def _parsed(content: bytes, path: Path) -> list[Any]:
    try:
        return load(content.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: isn't UTF-8 text: byte {error.start}") from error


def checked(spec: Mapping[str, Any], name: str) -> Object:
    """A Job with a container, tried once unless it says otherwise. `apiVersion`, `kind` and a name may be left out."""
    job = {"apiVersion": "batch/v1", "kind": "Job", **copy.deepcopy(dict(spec))}
    if (job["kind"], job["apiVersion"]) != ("Job", "batch/v1"):
        raise ManifestError(f"{name}: is a {job['kind']} of {job['apiVersion']}: it must be a Job of batch/v1")
    if not isinstance(job.get("metadata"), dict):
        job["metadata"] = {}
    for path in ("spec", "spec.template", "spec.template.spec"):
        _required(job, path, name)
    containers = job["spec"]["template"]["spec"].get("containers")
    if not containers or not isinstance(containers, list) or not isinstance(containers[0], dict):
        raise ManifestError(
            f"{name}: spec.template.spec.containers is empty: the flow runs in its first container, so write one"
        )
    return pin12.tried_once(job)


def name_in(job: Mapping[str, Any]) -> str | None:
    return text(mapping(job.get("metadata")).get("name")) or None


def prefix_in(job: Mapping[str, Any]) -> str:
    """`generateName` without the dash at its end."""
    return (text(mapping(job.get("metadata")).get("generateName")) or "").rstrip("-")


def _required(job: Object, path: str, name: str) -> None:
    found: Any = job
    for part in path.split("."):
        found = mapping(found).get(part)
    if not isinstance(found, dict):
        raise ManifestError(f"{name}: has no {path}: write a whole Job, down to spec.template.spec.containers")


def template_annotations(job: Mapping[str, Any]) -> dict[str, str]:
    """Ours among those of the pod template."""
    template = mapping(mapping(job.get("spec")).get("template"))
    annotations = mapping(mapping(template.get("metadata")).get("annotations"))
    return {name: value for name, value in annotations.items() if name.startswith(contract.PREFIX)}


@dataclass(frozen=True)
class Wanted:
    """What is put into a job file's Job."""

    name: str
    namespace: str
    call: Call
    python: str
    image: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    annotations: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    env: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # of all containers
    main_env: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # of the flow's only
    pickled_dir: str = ""  # empty: no function is pickled


def filled(spec: Mapping[str, Any], wanted: Wanted) -> Object:
    """The Job. Raises InputError where no image is named."""
    job = copy.deepcopy(dict(spec))
    metadata = job.setdefault("metadata", {})
    metadata.update(name=wanted.name, namespace=wanted.namespace)
    metadata.pop("generateName", None)
    _merge(metadata, "labels", wanted.labels)
    template = job["spec"]["template"]
    if not isinstance(template.get("metadata"), dict):
        template["metadata"] = {}
    _merge(template["metadata"], "labels", wanted.labels)
    pod = template["spec"]
    pod.setdefault("restartPolicy", "Never")
    main = pod["containers"][0]
    main.setdefault("name", "flow")
    own = {contract.MAIN_CONTAINER: main["name"]} if len(pod["containers"]) > 1 and wanted.annotations else {}
    _merge(template["metadata"], "annotations", {**wanted.annotations, **own})
    _fill_main(main, wanted)
    _add_env(main, wanted.main_env)
    for each in pod["containers"]:
        _add_env(each, wanted.env)
    if wanted.pickled_dir:
        secret = {"secretName": wanted.name}
        _append(pod, "volumes", {"name": PICKLED_VOLUME, "secret": secret})
        _append(main, "volumeMounts", {"name": PICKLED_VOLUME, "mountPath": wanted.pickled_dir, "readOnly": True})
    return job


def _fill_main(main: Object, wanted: Wanted) -> None:
    if wanted.image is not None:
        main["image"] = wanted.image
    if not main.get("image"):
        raise InputError("no image is named for the flow: give image=, or write it into the job file's first container")
    path = main.get("terminationMessagePath") or contract.TERMINATION_LOG
    words = [bootstrap(), wanted.call.reference, wanted.call.parameters, path]
    main["command"] = [
        wanted.python,
        "-u",
        "-c",
        *(each.replace("$", "$$") for each in words),
    ]  # Kubernetes expands $(X)
    main.pop("args", None)


def _add_env(container: Object, env: Mapping[str, str]) -> None:
    known = [each.get("name") for each in container.get("env") or () if isinstance(each, Mapping)]
    for name, value in env.items():
        if name not in known:  # the job file's word stands
            _append(container, "env", {"name": name, "value": value})


def mains_python(plan: Plan) -> str:
    """Of the flow's own process: what is bundled with us has none of the flow's packages."""
    return contract.DEFAULT_PYTHON if plan.bundled else plan.python


def bootstrap() -> str:
    """The text of bootstrap.py, without what is for its readers only."""
    whole = Path(__file__).with_name("bootstrap.py").read_text(encoding="utf-8")
    code = whole.split('"""', 2)[2].strip()
    return "\n".join(line.partition("  # ")[0].rstrip() for line in code.splitlines())


def _merge(holder: Object, key: str, more: Mapping[str, str]) -> None:
    if more:
        holder[key] = {**mapping(holder.get(key)), **more}


def _append(holder: Object, key: str, value: Object) -> None:
    holder[key] = [*(holder.get(key) or []), value]


def with_items(job: Object, files: Sequence[SecretFile]) -> Object:
    """The Secret's volume with the paths of its files; a Secret's keys have no directories."""
    found = copy.deepcopy(job)
    for each in found["spec"]["template"]["spec"].get("volumes") or ():
        if each["name"] == PICKLED_VOLUME:
            each["secret"]["items"] = [{"key": file.key, "path": file.path} for file in files]
    return found


def secret(name: str, namespace: str, files: Sequence[SecretFile]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "immutable": True,
        "data": {each.key: base64.b64encode(each.content).decode("ascii") for each in files},
    }


def owned_by(obj: Object, job: Mapping[str, Any]) -> Object:
    """`obj`, to be removed with `job` by the cluster itself."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [owner]}}


def unique(name: str) -> str:
    """`name` with eight hexadecimal digits behind it."""
    return f"{name[: NAME_LENGTH - 9].rstrip('-.')}-{uuid.uuid4().hex[:8]}"
