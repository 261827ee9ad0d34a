"""Pods on a local cluster, for tests: run one, wait for a state, read what it says."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from podhooks.local import Cluster

Json = dict[str, Any]
SECONDS = 30.0
_serial = itertools.count(1)


def container(script: str, name: str = "main", **fields: Any) -> Json:
    return {"name": name, "image": "demo", "command": ["sh", "-c", script], **fields}


def python(script: str, name: str = "main", **fields: Any) -> Json:
    return {"name": name, "image": "demo", "command": ["python3", "-u", "-c", script], **fields}


def pod(*containers: Json, init: tuple[Json, ...] = (), **spec: Any) -> Json:
    """A pod that isn't restarted."""
    known: Json = {"restartPolicy": "Never", "containers": list(containers), **spec}
    if init:
        known["initContainers"] = list(init)
    return {"metadata": {"name": f"pod-{next(_serial)}", "namespace": "default"}, "spec": known}


def create(cluster: Cluster, manifest: Json) -> str:
    cluster.store.create("pods", manifest)
    return str(manifest["metadata"]["name"])


def run(cluster: Cluster, manifest: Json) -> Json:
    """Run a pod to its end; the last object."""
    return wait(cluster, create(cluster, manifest), is_over)


def wait(cluster: Cluster, name: str, until: Callable[[Json], bool], seconds: float = SECONDS) -> Json:
    """The first state of a pod for which `until` holds. After DELETED the object has `gone`."""
    deadline = time.monotonic() + seconds
    watch = cluster.store.watch("pods", "default", fields=f"metadata.name={name}")
    last: Json = {}
    while event := watch.next(max(deadline - time.monotonic(), 0.0)):
        last = {**event.object, "gone": event.type == "DELETED"}
        if until(last):
            watch.close()
            return last
    raise AssertionError(f"pod {name} never got there: {last.get('status')}")


def is_over(pod: Json) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def is_gone(pod: Json) -> bool:
    return bool(pod["gone"])


def status_of(pod: Json, name: str = "main") -> Json:
    status = pod["status"]
    everyone = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return next((c for c in everyone if c["name"] == name), {"state": {}, "lastState": {}, "restartCount": 0})


def ended(pod: Json, name: str = "main") -> Json:
    """state.terminated."""
    found: Json = status_of(pod, name)["state"].get("terminated", {})
    return found


def is_running(name: str = "main") -> Callable[[Json], bool]:
    return lambda pod: "running" in status_of(pod, name)["state"]


def has_run(name: str = "main") -> Callable[[Json], bool]:
    return lambda pod: bool({"running", "terminated"} & set(status_of(pod, name)["state"]))


def waits_with(reason: str, name: str = "main") -> Callable[[Json], bool]:
    return lambda pod: status_of(pod, name)["state"].get("waiting", {}).get("reason") == reason


def output(cluster: Cluster, name: str, of: str = "main", **options: Any) -> str:
    return b"".join(cluster.logs("default", name, of, **options)).decode()


def run_for_output(cluster: Cluster, manifest: Json) -> str:
    over = run(cluster, manifest)
    text = output(cluster, over["metadata"]["name"])
    assert over["status"]["phase"] == "Succeeded", text
    return text


def eventually(holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def wait_for_line(cluster: Cluster, name: str, text: str, of: str = "main") -> None:
    """Until a container has printed a line."""
    wait(cluster, name, has_run(of))
    for line in cluster.logs("default", name, of, follow=True):
        if text in line.decode():
            return
    raise AssertionError(f"{of} ended without printing {text!r}")


class Follower:
    """Reads a container's log while it runs, so that it outlives the pod."""

    def __init__(self, cluster: Cluster, name: str, of: str = "main") -> None:
        self._stream = cluster.logs("default", name, of, follow=True)
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        self._lines.extend(line.decode() for line in self._stream)

    def times(self) -> dict[str, float]:
        """`word seconds` lines, when the container has ended."""
        self._thread.join(SECONDS)
        pairs = [line.split() for line in self._lines]
        return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2}


def children_of_this_process() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def find_child(*command: str) -> psutil.Process:
    """A process below this one with exactly this command, as soon as there is one."""
    found: list[psutil.Process] = []

    def look() -> bool:
        found.extend(p for p in children_of_this_process() if command_of(p) == list(command))
        return bool(found)

    eventually(look)
    return found[0]


def wait_until_gone(cluster: Cluster, name: str) -> None:
    eventually(lambda: not cluster.store.list("pods", "default", fields=f"metadata.name={name}")[0])


def command_of(process: psutil.Process) -> list[str]:
    """Empty for one that has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def events(cluster: Cluster, name: str, reason: str) -> list[Json]:
    found = cluster.store.list("events", "default", fields=f"involvedObject.name={name}")[0]
    return [event for event in found if event["reason"] == reason]
