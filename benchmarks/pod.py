"""A pod whose on-exit container is the delivered program, waiting over TLS. The benchmark is the kubelet."""

from __future__ import annotations

import copy
import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from benchmarks.stage import Stage, settle
from podhooks import contract
from podhooks.local.apiserver import ApiServer
from podhooks.local.store import Store
from tests.integration.sidecar_harness import ROOT, Harness, until

TRACE = ROOT / "tests" / "traces" / "native-succeeded.jsonl"


class DeliveredPod(Harness):
    """A pod as a cluster has it (a recorded one, some KiB of JSON), run again and again."""

    def __init__(self, server: ApiServer, stage: Stage, directory: Path, **environ: str) -> None:
        super().__init__(server, directory)
        self.stage = stage
        self.stamps = directory / "stamps"
        ours = {key: value for key, value in self.environ.items() if key.startswith("PODHOOKS_")}
        self.environ = {**stage.environ, **ours, "STAMPS": str(self.stamps), **environ}
        self.annotate(**{"on-start": "calls:nothing", "on-exit": "calls:stamp"})

    @staticmethod
    def manifest() -> dict[str, Any]:
        pod = copy.deepcopy(recorded_pod())
        pod["metadata"] = {
            **{key: pod["metadata"][key] for key in ("annotations", "labels") if key in pod["metadata"]},
            "name": "p",
            "namespace": "default",
        }
        return pod

    def wait(self, *, byte_code: bool = True, importtime: bool = False) -> int:
        """Start the program in a fresh pod and come back when it waits; its pid."""
        self.reset()
        before = len(self.watches)
        command = self.stage.command("on_exit.py", byte_code=byte_code)
        if importtime:
            command[1:1] = ["-X", "importtime"]
        environ = self.environ if byte_code else {**self.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.stage.callbacks
            )
        until(lambda: len(self.watches) > before, "a watch")
        settle(self.process.pid)
        return self.process.pid

    def reset(self) -> None:
        """As if nothing had run in it yet."""
        self.stop()
        shutil.rmtree(self.shared / contract.RECORD_DIR, ignore_errors=True)
        self.stamps.write_text("")
        self.main_runs()

    def stamped(self, count: int = 1) -> list[int]:
        """What the callbacks wrote: monotonic nanoseconds, once there are `count`."""
        until(lambda: self.stamps.read_text().count("\n") >= count, f"{count} callbacks; log: {self.output}")
        return [int(line) for line in self.stamps.read_text().splitlines()]


def recorded_pod() -> dict[str, Any]:
    """The pod of a trace while main runs."""
    for line in TRACE.read_text().splitlines():
        pod: dict[str, Any] = json.loads(line)["event"]["object"]
        mains = [each for each in pod["status"].get("containerStatuses", []) if each["name"] == "main"]
        if mains and "running" in mains[0]["state"]:
            return pod
    raise ValueError(f"main never runs in {TRACE}")


@contextmanager
def tls_pod(stage: Stage, **environ: str) -> Iterator[DeliveredPod]:
    """The pod beside an API server with a certificate of its own authority, as in a cluster."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    directory = stage.directory / "pod"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    with ApiServer(Store(), ssl_context=context) as server:
        pod = DeliveredPod(server, stage, directory, **environ)
        authority.cert_pem.write_to_path(str(pod.account / "ca.crt"))
        try:
            yield pod
        finally:
            pod.stop()
