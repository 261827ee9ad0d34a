"""Our own interpreter in an image that has nothing: no Python, no shell, no C library, no certificates."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from podhooks.inject import Delivery
from tests.e2e.cluster import RealCluster
from tests.e2e.test_promise import MODES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

RECEIVER = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass

http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
# What an image's own settings may be, for programs that aren't ours.
SURROUNDINGS = {
    "LD_LIBRARY_PATH": "/opt/lib",
    "LD_PRELOAD": "/opt/lib/libjemalloc.so.2",
    "PYTHONHOME": "/opt/python",
    "NVIDIA_VISIBLE_DEVICES": "all",
}


@pytest.fixture(scope="module")
def empty_image(request: pytest.FixtureRequest) -> str:
    image: str = request.config.getoption("--empty-image")
    if not image:
        pytest.skip("needs an image with nothing but /pause: --empty-image registry.k8s.io/pause:3.10")
    return image


@pytest.fixture(scope="module")
def receiver(cluster: RealCluster) -> str:
    """The name of a pod that prints what is posted to it."""
    name = f"receiver-{uuid.uuid4().hex[:4]}"
    main = {
        "name": "main",
        "image": cluster.image,
        "imagePullPolicy": cluster.pull_policy,
        "command": ["python3", "-c", RECEIVER],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [main]}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")
    return name


def address(cluster: RealCluster, pod: str) -> str:
    return cluster.kubectl("get", "pod", pod, "-o", "jsonpath={.status.podIP}")


def empty_pod(cluster: RealCluster, name: str, image: str, annotations: dict[str, str]) -> dict[str, Any]:
    """/pause with -v says which version it is, and ends."""
    main = {
        "name": "main",
        "image": image,
        "imagePullPolicy": cluster.pull_policy,
        "command": ["/pause", "-v"],
        "env": [{"name": each, "value": value} for each, value in SURROUNDINGS.items()],
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
    }
    metadata = {"name": name, "labels": {"scenario": name}}
    metadata["annotations"] = {f"podhooks.io/{each}": value for each, value in annotations.items()}
    volumes = [{"name": "app", "configMap": {"name": "calls"}}]
    spec = {"restartPolicy": "Never", "containers": [main], "volumes": volumes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("delivery", [Delivery.IMAGE, Delivery.COPY])
@pytest.mark.parametrize("mode", MODES)
def test_every_form_of_callback_runs_in_an_empty_image(
    cluster: RealCluster, empty_image: str, receiver: str, mode: str, delivery: Delivery
) -> None:
    """A function of ours and one in a file by our interpreter, a command as main itself would run it."""
    name = f"empty-{mode}-{delivery.value}-{uuid.uuid4().hex[:4]}"
    url = f"http://{address(cluster, receiver)}:8080/{name}"
    webhook = {"call": "podhooks.callbacks.notify:webhook", "with": {"url": url}}
    on_exit = [webhook, "/app/calls.py:done", {"exec": ["/pause", "-v"]}]
    annotations = {"on-start": "/app/calls.py:announce", "on-exit": json.dumps(on_exit), "mode": mode}
    pod = empty_pod(cluster, name, empty_image, {**annotations, "python": "bundled"})
    cluster.apply(pod, cluster.settings.replace(delivery=delivery))
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=120s")
    received = [line for line in cluster.kubectl("logs", receiver).splitlines() if name in line]
    assert [json.loads(line)["exit"]["result"] for line in received] == ["Succeeded"]
    assert [word["exit"]["result"] for word in cluster.words(name)] == ["Succeeded"]
    assert [word["hook"] for word in cluster.words(name, "on-start")] == ["on-start"]
    said = cluster.kubectl("logs", name, "-c", "on-exit")
    assert said.count("status=succeeded") == 3, said


def test_without_it_the_pod_says_that_there_is_no_python(cluster: RealCluster, empty_image: str) -> None:
    name = f"empty-python3-{uuid.uuid4().hex[:4]}"
    cluster.apply(empty_pod(cluster, name, empty_image, {"on-start": "/app/calls.py:announce"}))
    path = "{.status.initContainerStatuses[0].state.terminated.message}"
    found = cluster.until(lambda: cluster.kubectl("get", "pod", name, "-o", f"jsonpath={path}"), "on-start has failed")
    assert "python3" in found
    cluster.kubectl("delete", "pod", name, "--wait=false")
