"""What main's container needs and isn't there yet when ours start, which are made of the same. Pure.

The kubelet makes a `subPath` that isn't there as an empty directory, and the container runtime does so with a working
directory and a mount point inside a volume; whoever is to make it then fails (kubelet fact 25). A container whose
ConfigMap, Secret or env file isn't there waits, and with it every container behind it (fact 29). Behind the user's init
containers all of that is there, so nearly everything here is about on-exit in front of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from podhooks import contract
from podhooks.annotations.finding import Finding, Severity
from podhooks.annotations.plan import Mode, Position
from podhooks.inject.case import Case
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, mappings, text
from podhooks.value import Value

PATH, ENVIRONMENT, PYTHON = "first-before-path", "first-before-environment", "first-before-python"
NOT_COVERED, FILE_BESIDE, PATH_BESIDE = "init-not-covered", "file-from-container", "path-from-container"
CODES: Mapping[str, Severity] = {
    PATH: Severity.ERROR,
    ENVIRONMENT: Severity.ERROR,
    PYTHON: Severity.ERROR,
    NOT_COVERED: Severity.WARNING,
    FILE_BESIDE: Severity.ERROR,
    PATH_BESIDE: Severity.WARNING,
}
WRITTEN_BY_KUBELET = ("configMap", "secret", "downwardAPI", "projected", "image")
"""Kinds of volumes that no container writes to."""
REFERENCES = {
    "configMapRef": "ConfigMap",
    "secretRef": "Secret",
    "configMapKeyRef": "ConfigMap",
    "secretKeyRef": "Secret",
}
EARLY = "and on-exit would start before that"
ADVICE = f"take {contract.ON_EXIT_POSITION}: first out, and on-exit starts behind your init containers"

Parts = tuple[str, ...]


class Spot(Value):
    """A file or directory in a volume. `below` is its path there, None where nobody knows (`subPathExpr`)."""

    where: str
    what: str
    volume: str
    below: Parts | None


class Reference(Value):
    """What a variable of main is taken from: a ConfigMap or Secret, or a file in `volume`."""

    where: str
    what: str
    volume: str = ""
    below: Parts = ()


def not_there_yet(case: Case) -> Iterator[Finding]:
    spots, references = list(_spots(case)), list(_references(case))
    if case.plan.position is Position.FIRST:
        yield from _before_init_containers(case, spots, references)
    yield from _from_other_containers(case, spots, references)


def _before_init_containers(case: Case, spots: list[Spot], references: list[Reference]) -> Iterator[Finding]:
    for code, each in [*((PATH, spot) for spot in spots), *((PYTHON, spot) for spot in _interpreter(case))]:
        if maker := _maker(case, case.behind_on_exit, each):
            yield _finding(code, each.where, f"{each.what}: init container {maker!r} may make it, {EARLY}: {ADVICE}")
    for ref in references:
        if ref.volume:
            maker = _maker(case, case.behind_on_exit, Spot(ref.where, ref.what, ref.volume, ref.below))
        else:
            maker = next((text(each.get("name")) for each in case.behind_on_exit if _may_use_api(case, each)), "")
        if maker:
            yield _finding(
                ENVIRONMENT, ref.where, f"{ref.what}: init container {maker!r} may make it, {EARLY}: {ADVICE}"
            )
    yield from _uncovered(case)


def _uncovered(case: Case) -> Iterator[Finding]:
    if not case.plan.on_exit or case.plan.mode is not Mode.NATIVE:
        return
    front = case.init_containers[: case.on_exit_index]
    names = [text(each.get("name")) for each in front if each.get("restartPolicy") != "Always"]
    if names:
        sidecar = text(front[-1].get("name"))
        problem = (
            f"on-exit starts behind your native sidecar {sidecar!r}, so on_exit doesn't run when {', '.join(names)} in "
            "front of it fails: put the sidecar first"
        )
        yield _finding(NOT_COVERED, contract.ON_EXIT_POSITION, problem)


def _from_other_containers(case: Case, spots: list[Spot], references: list[Reference]) -> Iterator[Finding]:
    """What main has from a container beside it: ours start before both, wherever they are."""
    others = [each for each in case.containers if each is not case.main]
    for ref in (each for each in references if each.volume):
        spot = Spot(ref.where, ref.what, ref.volume, ref.below)
        maker = _maker(case, others, spot)
        if maker and not _maker(case, case.init_containers, spot):
            problem = (
                f"{ref.what}: container {maker!r} makes it, and ours wait for it in front of that container: for ever"
            )
            yield _finding(FILE_BESIDE, ref.where, f"{problem}: write the file in an init container")
    for spot in spots:
        earlier = [each for each in _in_front_of_main(case) if mapping(each.get("lifecycle")).get("postStart")]
        if maker := _maker(case, earlier, spot):
            problem = (
                f"{spot.what}: container {maker!r} may make it in its postStart hook, but ours start before that, and "
                "then an empty directory is there: make it in an init container"
            )
            yield _finding(PATH_BESIDE, spot.where, problem)


def _in_front_of_main(case: Case) -> list[Mapping[str, Json]]:
    """The kubelet starts containers in their order, and waits for each one's postStart hook."""
    return case.containers[: _index(case)]


def _index(case: Case) -> int:
    return next((number for number, each in enumerate(case.containers) if each is case.main), 0)


def _spots(case: Case) -> Iterator[Spot]:
    """What is made for main's container where it isn't there: by the kubelet, or by the container runtime."""
    at, mounts = f"spec.containers[{_index(case)}]", list(mappings(case.main.get("volumeMounts")))
    for index, mount in enumerate(mounts):
        where, name = f"{at}.volumeMounts[{index}]", text(mount.get("name"))
        if "subPathExpr" in mount:
            what = f"main mounts {text(mount['subPathExpr'])!r} of volume {name!r}"
            yield Spot(f"{where}.subPathExpr", what, name, None)
        elif parts(mount.get("subPath")):
            what = f"main mounts {text(mount['subPath'])!r} of volume {name!r}"
            yield Spot(f"{where}.subPath", what, name, parts(mount["subPath"]))
        path = text(mount.get("mountPath"))
        yield from _inside(f"{where}.mountPath", f"main's mount point {path} is", path, mounts)
    directory = text(case.main.get("workingDir"))
    if parts(directory) not in [parts(mount.get("mountPath")) for mount in mounts]:
        yield from _inside(f"{at}.workingDir", f"main's working directory {directory} is", directory, mounts)


def _interpreter(case: Case) -> Iterator[Spot]:
    path = case.plan.python
    if path.startswith("/"):
        mounts = list(mappings(case.main.get("volumeMounts")))
        yield from _inside(contract.PYTHON, f"{path} is", path, mounts)


def _inside(where: str, begin: str, path: str, mounts: list[Mapping[str, Json]]) -> Iterator[Spot]:
    """Where in which volume a path of main's is, if it is in one and not the volume itself."""
    wanted = parts(path)
    holders = [each for each in mounts if len(parts(each.get("mountPath"))) < len(wanted)]
    holders = [each for each in holders if wanted[: len(parts(each.get("mountPath")))] == parts(each.get("mountPath"))]
    if wanted and holders:
        mount = max(holders, key=lambda each: len(parts(each.get("mountPath"))))
        rest = wanted[len(parts(mount.get("mountPath"))) :]
        below = None if "subPathExpr" in mount else (*parts(mount.get("subPath")), *rest)
        name = text(mount.get("name"))
        yield Spot(where, f"{begin} in volume {name!r}", name, below)


def parts(path: Json) -> Parts:
    """Of a path, absolute or not."""
    return tuple(each for each in text(path).split("/") if each not in ("", "."))


def _maker(case: Case, these: Iterable[Mapping[str, Json]], spot: Spot) -> str:
    """The first that may make it, "" if none may."""
    volume = next((each for each in mappings(case.spec.get("volumes")) if each.get("name") == spot.volume), {})
    if any(kind in volume for kind in WRITTEN_BY_KUBELET):
        return ""
    return next((text(each.get("name")) for each in these if _may_make(each, spot)), "")


def _may_make(container: Mapping[str, Json], spot: Spot) -> bool:
    """Whether it has a directory above the spot mounted, and may write there."""
    for mount in mappings(container.get("volumeMounts")):
        if mount.get("name") == spot.volume and mount.get("readOnly") is not True:
            root = parts(mount.get("subPath"))
            if spot.below is None or "subPathExpr" in mount:
                return True
            if len(root) < len(spot.below) and spot.below[: len(root)] == root:
                return True
    return False


def _may_use_api(case: Case, container: Mapping[str, Json]) -> bool:
    mounts = mappings(container.get("volumeMounts"))
    mounted = any(parts(each.get("mountPath")) == parts(contract.SERVICE_ACCOUNT_DIR) for each in mounts)
    return mounted or case.spec.get("automountServiceAccountToken") is not False


def _references(case: Case) -> Iterator[Reference]:
    """An optional one holds nobody up, but for an env file: the kubelet wants the file all the same (ParseEnv in
    https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/util/env/env_util.go)."""
    at = f"spec.containers[{_index(case)}]"
    for index, entry in enumerate(mappings(case.main.get("envFrom"))):
        yield from _named(f"{at}.envFrom[{index}]", "main's environment", entry)
    for index, entry in enumerate(mappings(case.main.get("env"))):
        source, where = mapping(entry.get("valueFrom")), f"{at}.env[{index}].valueFrom"
        yield from _named(where, f"{text(entry.get('name'))} of main", source)
        file = mapping(source.get("fileKeyRef"))
        if file:
            volume, path = text(file.get("volumeName")), text(file.get("path"))
            what = f"{text(entry.get('name'))} of main is from the file {path!r} in volume {volume!r}"
            yield Reference(f"{where}.fileKeyRef", what, volume, parts(path))


def _named(where: str, begin: str, source: Mapping[str, Json]) -> Iterator[Reference]:
    for field, kind in REFERENCES.items():
        found = mapping(source.get(field))
        if found and found.get("optional") is not True:
            yield Reference(f"{where}.{field}", f"{begin} is from {kind} {text(found.get('name'))!r}")


def _finding(code: str, where: str, message: str) -> Finding:
    return Finding(code, CODES[code], where, message)
