"""The operator as a process beside an API server, and a client that checks its certificate as an API server does."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from podhooks import contract

Json = dict[str, Any]
T = TypeVar("T")
PATIENCE_SECONDS = 40.0
POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "etl", "annotations": {contract.ON_START: "app:prepare", contract.ON_EXIT: "app:notify"}},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "app:1"}]},
}
WRONG_POD: Json = {**POD, "metadata": {"name": "etl", "annotations": {contract.PREFIX + "on-exitt": "app:notify"}}}


def review_of(pod: Json, **more: Any) -> bytes:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": "u-1", "kind": kind, "operation": "CREATE", "namespace": "default", "object": pod, **more}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def until(condition: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


class OperatorProcess:
    """Started at once; stop it, or use it as a context manager."""

    def __init__(self, directory: Path, account: Path, api_url: str, *flags: str) -> None:
        directory.mkdir(exist_ok=True)
        self._log = directory / "log"
        environ = {
            "PATH": os.environ["PATH"],
            contract.ENV_API_SERVER: api_url,
            contract.ENV_SERVICE_ACCOUNT_DIR: str(account),
        }
        command = [sys.executable, "-m", "podhooks_operator", *flags]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def port(self, name: str) -> int:
        def found() -> int:
            assert self.process.poll() is None, self.log
            match = re.search(rf"podhooks-operator .*{name}=(\d+)", self.log)
            return int(match[1]) if match else 0

        return until(found, f"the operator says its ports: {self.log}")

    def health(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port("health"), timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except ConnectionError:
            return 0, "refused"
        finally:
            connection.close()

    def until_ready(self) -> None:
        until(lambda: self.health("/readyz")[0] == 200, f"ready: {self.log}")

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = self.health("/metrics")[1].splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))

    def connect(self, bundle: bytes, host: str = "127.0.0.1") -> http.client.HTTPSConnection:
        """As an API server that trusts just this bundle (PEM)."""
        context = ssl.create_default_context(cadata=bundle.decode())
        return http.client.HTTPSConnection(host, self.port("webhook"), timeout=PATIENCE_SECONDS, context=context)

    def review(self, bundle: bytes, body: bytes, **headers: str) -> tuple[int, Mapping[str, Any]]:
        connection = self.connect(bundle)
        try:
            connection.request("POST", "/mutate", body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_SECONDS)

    def __enter__(self) -> OperatorProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECONDS)


def bundle_of(configuration: Json) -> bytes:
    return base64.b64decode(configuration["webhooks"][0]["clientConfig"].get("caBundle", ""))
