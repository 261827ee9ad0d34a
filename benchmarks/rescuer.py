"""The rescuer with many pods: resident memory, CPU of the first sync, and requests, beside the stand-in's API server.

The operator is a process of its own; pods are written into the server's store, and no kubelet runs them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from podhooks import contract
from podhooks.local.apiserver import ApiServer
from podhooks.local.store import Store

Json = dict[str, Any]
PATIENCE_SECONDS = 300.0
HELD = "podhooks_rescuer_held_pods "


def pod(number: int) -> Json:
    """One that runs and is held, with about 10 kB as a real one has."""
    annotations = {contract.ON_EXIT: "a:b", contract.GUARANTEE: "cluster"}
    metadata = {
        "name": f"pod-{number:05}",
        "namespace": "default",
        "annotations": annotations,
        "labels": {contract.GUARANTEE_LABEL: "cluster"},
        "finalizers": [contract.FINALIZER],
    }
    env = [{"name": f"VARIABLE_{index}", "value": "x" * 60} for index in range(80)]
    main = {"name": "main", "image": "app:1", "env": env}
    spec = {"restartPolicy": "Never", "nodeName": "node-1", "containers": [main]}
    return {"metadata": metadata, "spec": spec}


def end(server: ApiServer, number: int) -> None:
    def write(obj: Json) -> None:
        times = {"startedAt": "2026-11-28T00:00:00Z", "finishedAt": "2026-11-28T00:00:01Z"}
        terminated = {"exitCode": 1, "reason": "Error", **times}
        obj["status"] = {
            "phase": "Failed",
            "containerStatuses": [{"name": "main", "state": {"terminated": terminated}, "restartCount": 0}],
        }

    server.store.mutate("pods", "default", f"pod-{number:05}", write)


def until(condition: Any) -> float:
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise TimeoutError
        time.sleep(0.05)
    return time.monotonic() - started


def measure(count: int, lost: int) -> Json:
    """Megabytes and seconds."""
    with ApiServer(Store()) as server, tempfile.TemporaryDirectory() as directory:
        for number in range(count):
            server.store.create("pods", pod(number))
        Path(directory, "token").write_text(server.token)
        Path(directory, "namespace").write_text("default")
        environ = {**os.environ, contract.ENV_API_SERVER: server.url, contract.ENV_SERVICE_ACCOUNT_DIR: directory}
        port = free_port()
        flags = ["--host", "127.0.0.1", "--health-port", str(port), "--webhook", "false", "--rescuer"]
        command = [sys.executable, "-m", "podhooks_operator", *flags]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return {"pods": count, "lost": lost, **_watched(server, psutil.Process(process.pid), port, count, lost)}
        finally:
            process.terminate()
            process.wait(30)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def held(port: int) -> int:
    """As the operator's metrics have it; 0 while it doesn't answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            text = page.read().decode()
    except OSError:
        return 0
    return next((int(float(line.split()[1])) for line in text.splitlines() if line.startswith(HELD)), 0)


def _watched(server: ApiServer, seen: psutil.Process, port: int, count: int, lost: int) -> Json:
    until(lambda: held(port) == count)
    used = sum(seen.cpu_times()[:2])
    found = {"cpu_seconds": round(used, 2), "resident_megabytes": round(seen.memory_info().rss / 1e6, 1)}
    for number in range(lost):
        end(server, number)
    seconds = until(lambda: len(server.store.list("rescues")[0]) == lost)
    running = sum("jobs" in each.path and each.method == "POST" for each in server.requests)
    peak = round(seen.memory_info().rss / 1e6, 1)
    return {**found, "recorded_seconds": round(seconds, 1), "megabytes_then": peak, "jobs_begun": running}


def main(arguments: list[str]) -> int:
    for count in map(int, arguments or ["1000", "10000"]):
        print(json.dumps(measure(count, min(count, 500))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
