"""Pods whose main needs what another container makes: every door refuses the same ones."""

from __future__ import annotations

from typing import Any

from podhooks.inject import needs
from tests.doors.cases import Pod
from tests.doors.policy_pods import pod

WORK = {"name": "work", "emptyDir": {}}
FIRST = {"on-exit": "a:b", "on-exit-position": "first"}
LAST = {"on-exit": "a:b"}
TOKEN_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"


def mount(path: str = "/work", name: str = "work", **more: Any) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **more}


def container(*mounts: dict[str, Any], name: str = "make", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "make:1", "volumeMounts": list(mounts), **more}


def case(main: dict[str, Any], *init: dict[str, Any], annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
    inits = list(init) or [container(mount("/made"))]
    return pod({**FIRST, **(annotations or {})}, main, **{"volumes": [WORK], "initContainers": inits, **spec})


def of_file(path: str = "env", **more: Any) -> dict[str, Any]:
    source = {"volumeName": "work", "path": path, "key": "A", **more}
    return {"env": [{"name": "A", "valueFrom": {"fileKeyRef": source}}]}


def of_key(kind: str, **more: Any) -> dict[str, Any]:
    return {"env": [{"name": "A", "valueFrom": {kind: {"name": "made", "key": "a", **more}}}]}


def subpath(path: str = "app.conf") -> dict[str, Any]:
    return {"volumeMounts": [mount("/etc/app.conf", subPath=path)]}


EXPRESSION = {"volumeMounts": [mount("/etc/app.conf", subPathExpr="$(NAME)")], "env": [{"name": "NAME", "value": "x"}]}
WRITER = container(mount("/made"), name="writer")
MAIN_OF_FILE = {"name": "main", "image": "etl:1", **of_file()}

REFUSED: dict[str, tuple[str, Pod]] = {
    "subPath": (needs.PATH, case(subpath())),
    "subPath, deeper": (needs.PATH, case(subpath("a//b/./app.conf"), container(mount("/a", subPath="a/b/")))),
    "subPathExpr": (needs.PATH, case(EXPRESSION)),
    "subPathExpr of the maker": (needs.PATH, case(subpath(), container(mount("/made", subPathExpr="$(A)")))),
    "working directory": (needs.PATH, case({"workingDir": "/work/app", "volumeMounts": [mount()]})),
    "working directory in a subPath": (
        needs.PATH,
        case(
            {"workingDir": "/work/app/", "volumeMounts": [mount("/work/", subPath="src")]},
            container(mount("/src", subPath="src")),
        ),
    ),
    "working directory, read-only in main": (
        needs.PATH,
        case({"workingDir": "/work/app", "volumeMounts": [mount(readOnly=True)]}),
    ),
    "mount point in a volume": (
        needs.PATH,
        case(
            {"volumeMounts": [mount(), mount("/work/cache", "cache")]},
            volumes=[WORK, {"name": "cache", "emptyDir": {}}],
        ),
    ),
    "ConfigMap": (needs.ENVIRONMENT, case({"envFrom": [{"configMapRef": {"name": "made"}}]})),
    "Secret": (needs.ENVIRONMENT, case({"envFrom": [{"prefix": "A_", "secretRef": {"name": "made"}}]})),
    "key of a ConfigMap": (needs.ENVIRONMENT, case(of_key("configMapKeyRef", optional=False))),
    "key of a Secret": (needs.ENVIRONMENT, case(of_key("secretKeyRef"))),
    "token of its own": (
        needs.ENVIRONMENT,
        case(
            of_key("secretKeyRef"),
            container(mount(TOKEN_DIR, "token")),
            automountServiceAccountToken=False,
            volumes=[{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        ),
    ),
    "env file": (needs.ENVIRONMENT, case(of_file())),
    "optional env file": (needs.ENVIRONMENT, case(of_file("a/env", optional=True))),
    "interpreter": (
        needs.PYTHON,
        case({"volumeMounts": [mount("/venv")]}, annotations={"podhooks.io/python": "/venv/bin/python3"}),
    ),
    "env file of a container beside main": (
        needs.FILE_BESIDE,
        pod(LAST, containers=[MAIN_OF_FILE, WRITER], volumes=[WORK], initContainers=[container(mount(readOnly=True))]),
    ),
    "env file of a container beside main, classic": (
        needs.FILE_BESIDE,
        pod({**LAST, "mode": "classic", "main-container": "main"}, containers=[WRITER, MAIN_OF_FILE], volumes=[WORK]),
    ),
}
"""The code, and the pod that it is found in."""

SIDECAR = {"restartPolicy": "Always"}
SOURCES: dict[str, dict[str, Any]] = {
    "configMap": {"name": "settings"},
    "secret": {"secretName": "settings"},
    "downwardAPI": {"items": []},
    "projected": {"sources": []},
    "image": {"reference": "files:1"},
}
OPTIONAL = {"optional": True}
TAKEN: dict[str, Pod] = {
    "the same without a position": pod(LAST, subpath(), volumes=[WORK], initContainers=[WRITER]),
    "the same, last": case(of_file(), annotations={"podhooks.io/on-exit-position": "last"}),
    "without on-exit": pod({"on-start": "a:b"}, of_key("secretKeyRef"), initContainers=[container()]),
    "no init container": pod(FIRST, subpath(), volumes=[WORK]),
    "made in front of a sidecar": case(subpath(), WRITER, container(name="proxy", **SIDECAR)),
    "made by a sidecar": case(of_file(), container(mount("/made"), **SIDECAR)),
    "read only": case(subpath(), container(mount("/made", readOnly=True))),
    "another subPath": case(subpath("b/app.conf"), container(mount("/made", subPath="a"))),
    "the same subPath": case(subpath("a"), container(mount("/made", subPath="./a"))),
    "a subPath below main's": case(subpath("a"), container(mount("/made", subPath="a/b"))),
    "a subPath that begins alike": case(subpath("ab/c"), container(mount("/made", subPath="a"))),
    "another volume": case(
        subpath(), container(mount("/made", "other")), volumes=[WORK, {"name": "other", "emptyDir": {}}]
    ),
    **{f"a file of {kind}": case(subpath(), volumes=[{"name": "work", kind: SOURCES[kind]}]) for kind in SOURCES},
    "working directory that is a volume": case({"workingDir": "/work/", "volumeMounts": [mount()]}),
    "working directory of the image": case({"workingDir": "/app", "volumeMounts": [mount()]}),
    "interpreter of the image": case(
        {"volumeMounts": [mount("/venv")]}, annotations={"podhooks.io/python": "/opt/python"}
    ),
    "interpreter by name": case({"volumeMounts": [mount("/usr")]}, annotations={"podhooks.io/python": "python3.12"}),
    "optional ConfigMap": case({"envFrom": [{"configMapRef": {"name": "made", **OPTIONAL}}]}),
    "optional Secret": case({"envFrom": [{"secretRef": {"name": "made", **OPTIONAL}}]}),
    "optional key of a ConfigMap": case(of_key("configMapKeyRef", **OPTIONAL)),
    "optional key of a Secret": case(of_key("secretKeyRef", **OPTIONAL)),
    "a field of the pod": case({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
    "relative interpreter": case(
        {"volumeMounts": [mount("/venv")]}, annotations={"podhooks.io/python": "venv/bin/python"}
    ),
    "first, without on-exit": pod(
        {"on-start": "a:b", "on-exit-position": "first"}, subpath(), volumes=[WORK], initContainers=[WRITER]
    ),
    "env file of main's own volume": pod(
        LAST, {**of_file(), "volumeMounts": [mount()]}, volumes=[WORK], initContainers=[container(mount(readOnly=True))]
    ),
    "env file where a container beside main mounts something else": pod(
        LAST, containers=[MAIN_OF_FILE, container(mount(subPath="env"), name="other")], volumes=[WORK]
    ),
    "env file in a directory that main's neighbour does not see": pod(
        LAST,
        containers=[MAIN_OF_FILE, container(mount("/a", "work", subPath="a"), name="other")],
        volumes=[WORK],
    ),
    "subPathExpr, nobody writes there": case(
        EXPRESSION, container(mount("/made", "other")), volumes=[WORK, {"name": "other", "emptyDir": {}}]
    ),
    "no token": case(of_key("secretKeyRef"), automountServiceAccountToken=False),
    "env file that main's neighbour and an init container write": pod(
        LAST, containers=[MAIN_OF_FILE, WRITER], volumes=[WORK], initContainers=[container(mount("/made"))]
    ),
    "env file that nobody writes": pod(LAST, of_file(), volumes=[WORK]),
    "env file that a sidecar writes": pod(LAST, of_file(), volumes=[WORK], initContainers=[{**WRITER, **SIDECAR}]),
}
