"""The webhook: reviews of a realistic pod, beside a handler on the same server (TLS, keep-alive) that does nothing."""

from __future__ import annotations

import asyncio
import json
import math
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil
import trustme
import uvloop
from podhooks_operator.certificates.tls import LiveContext
from podhooks_operator.certificates.x509 import Pair
from podhooks_operator.metrics import Metrics
from podhooks_operator.server import listener, web_server
from podhooks_operator.settings import Settings
from podhooks_operator.webhook.app import JSON, WebhookApp, read_body, respond
from podhooks_operator.webhook.review import ReviewSettings, review

from benchmarks.pod import recorded_pod
from benchmarks.result import Row, interleaved
from benchmarks.stage import Stage
from podhooks import contract

CONNECTIONS = 4
REQUESTS, QUICK_REQUESTS = 6000, 100  # processor time is counted in steps of 10 ms
WARM_UP = 50
AT_LEAST = 0.15  # of the empty handler
DIFFERENT = 512  # bodies
TOKEN_VOLUME = "kube-api-access-"


def measure(stage: Stage) -> list[Row]:
    requests = QUICK_REQUESTS if stage.quick else REQUESTS
    latencies: dict[str, list[float]] = {"empty": [], "webhook": []}
    with server("empty") as empty, server("webhook") as webhook:
        speeds = [speed(load, requests, latencies[name]) for name, load in (("empty", empty), ("webhook", webhook))]
        floor, ours = interleaved(1 if stage.quick else 5, *speeds)
    name = f"webhook, {len(review_body(0)) / 1000:.1f} kB, pods all different"
    slowest = {which: min(values) for which, values in latencies.items()}
    return [
        Row(
            f"{name}: per second of one core",
            "reviews",
            "empty handler, same server",
            floor,
            ours,
            at_most=AT_LEAST,
            more_is_better=True,
        ),
        Row(f"{name}: p99, {CONNECTIONS} at a time", "ms", "empty", slowest["empty"], slowest["webhook"]),
    ]


def speed(load: Load, requests: int, latencies: list[float]) -> Callable[[], float]:
    def run() -> float:
        per_second, seconds = load.run(requests)
        latencies.append(p99(seconds) * 1000)
        return per_second

    return run


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[math.ceil(len(seconds) * 0.99) - 1]


def review_body(number: int) -> bytes:
    """A recorded pod of a Job, as it was before it got containers of ours; another pod for each number."""
    pod = recorded_pod()
    pod.pop("status")
    pod["metadata"] = {key: pod["metadata"][key] for key in ("generateName", "namespace", "labels", "ownerReferences")}
    hooks = {contract.ON_START: "flows.etl:prepare", contract.ON_EXIT: "flows.etl:notify, flows.etl:clean_up"}
    pod["metadata"]["annotations"] = {**hooks, contract.ON_EXIT_TIMEOUT: "20s"}
    spec = pod["spec"]
    main = next(each for each in spec["containers"] if each["name"] == "main")
    main["env"] = [{"name": f"SETTING_{number}", "value": "x" * 20} for number in range(20)]
    spec["containers"], spec["initContainers"] = [main], []
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] in [m["name"] for m in main["volumeMounts"]]]
    main["env"][0]["value"] = f"number {number}"
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    request = {"uid": f"6f3f9dd6-{number}", "kind": kind, "operation": "CREATE", "namespace": "flows", "object": pod}
    user = {"username": "system:serviceaccount:kube-system:job-controller", "groups": ["system:authenticated"]}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**request, "userInfo": user}}
    token = next(each["name"] for each in spec["volumes"] if each["name"].startswith(TOKEN_VOLUME))
    return json.dumps(review).replace(token, f"{TOKEN_VOLUME}{number:05}").encode()


class Load:
    """Requests to one server process, and what they cost it."""

    def __init__(self, port: int, process: psutil.Process, context: ssl.SSLContext) -> None:
        self._port = port
        self._process = process
        self._context = context

    def run(self, requests: int) -> tuple[float, list[float]]:
        """Answers for each second of the server's processor time, and how long each took, in seconds."""
        bodies = [review_body(number) for number in range(DIFFERENT)]
        head = "POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n"
        return uvloop.run(self._run(requests, [head.format(len(body)).encode() + body for body in bodies]))

    async def _run(self, requests: int, bodies: Sequence[bytes]) -> tuple[float, list[float]]:
        await self._connection(WARM_UP, bodies)
        before = sum(self._process.cpu_times()[:2])
        each = [
            self._connection(requests // CONNECTIONS, bodies, number * len(bodies) // CONNECTIONS)
            for number in range(CONNECTIONS)
        ]
        seconds = [second for those in await asyncio.gather(*each) for second in those]
        return len(seconds) / max(sum(self._process.cpu_times()[:2]) - before, 0.01), seconds

    async def _connection(self, requests: int, bodies: Sequence[bytes], begin: int = 0) -> list[float]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._context, server_hostname="localhost"
        )
        found = []
        for number in range(begin, begin + requests):
            began = time.perf_counter()
            writer.write(bodies[number % len(bodies)])
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 200")
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))
            found.append(time.perf_counter() - began)
        writer.close()
        await writer.wait_closed()
        return found


@contextmanager
def server(what: str) -> Iterator[Load]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    pems = {"certificate": issued.cert_chain_pems[0].bytes().decode(), "key": issued.private_key_pem.bytes().decode()}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.webhook", what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(pems).encode() + b"\n")
            process.stdin.flush()
            yield Load(int(process.stdout.readline()), psutil.Process(process.pid), context)
        finally:
            process.terminate()


async def empty(scope: Any, receive: Any, send: Any) -> None:
    await read_body(scope, receive)
    await respond(send, 200, EMPTY_ANSWER, JSON)


EMPTY_ANSWER = json.dumps(review({}, ReviewSettings()).answer).encode()


async def serve(what: str) -> None:
    pems = json.loads(sys.stdin.readline())
    live = LiveContext()
    live.use(Pair(pems["certificate"].encode(), pems["key"].encode()))
    app = empty if what == "empty" else WebhookApp(ReviewSettings(), Metrics(), lambda _refusal: None)
    socket = listener("127.0.0.1", 0)
    print(socket.getsockname()[1], flush=True)
    await web_server(app, Settings(), live.context).serve([socket])


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
