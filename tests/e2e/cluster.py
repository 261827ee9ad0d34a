"""A real cluster, driven with kubectl. Callbacks leave word as ConfigMaps: those outlive their pods, on any cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kubernetes

from podhooks.inject import Delivery, InjectSettings, inject_object

PATIENCE_SECONDS = 150.0
CALLBACKS = """
import json, os, sys, time, urllib.request
from podhooks.runtime.access import Access
import ssl

def leave_word(context, **more):
    access = Access.in_cluster(os.environ)
    word = {"hook": context.hook.value, "pod": context.pod.name, "uid": context.pod.uid, "callback": context.callback,
            "key": context.idempotency_key, "attempt": context.attempt,
            "exit": context.exit and context.exit.to_json(), **more}
    body = {"metadata": {"generateName": "word-", "labels": {"word": context.pod.labels.get("scenario", "none")}},
            "data": {"word": json.dumps(word)}}
    request = urllib.request.Request(
        f"{access.base_url}/api/v1/namespaces/{access.namespace}/configmaps", json.dumps(body).encode(),
        {"Authorization": "Bearer " + open(access.token_file).read(), "Content-Type": "application/json"})
    urllib.request.urlopen(request, context=ssl.create_default_context(cafile=access.ca_file), timeout=5).read()

def announce(context):
    context.shared_dir.joinpath("hello").write_text("from on_start")
    leave_word(context)

def done(context):
    leave_word(context, shared=os.path.exists("/podhooks/shared/hello"))

def flaky(context):
    leave_word(context)
    tried = context.shared_dir / "tried"
    if not tried.exists():
        tried.touch()
        raise RuntimeError("the first time")

def fail(context):
    leave_word(context)
    raise RuntimeError("on purpose")

def slow(context):
    leave_word(context)
    time.sleep(4)

def endless(context):
    leave_word(context)
    time.sleep(600)

def tail(context):
    leave_word(context, tail=context.exit.log_tail(5))
"""


class RealCluster:
    """One namespace of a cluster, made in open() and removed in close()."""

    def __init__(self, kubeconfig: str, *, image: str, runtime_image: str, pull_policy: str) -> None:
        self.kubeconfig = kubeconfig
        self.image = image
        self.pull_policy = pull_policy
        self.namespace = f"podhooks-e2e-{uuid.uuid4().hex[:6]}"
        api_client = kubernetes.config.new_client_from_config(kubeconfig)  # type: ignore[no-untyped-call]
        self._client = kubernetes.client.CoreV1Api(api_client)
        self.settings = InjectSettings(image=runtime_image, delivery=Delivery.IMAGE, pull_policy=pull_policy)

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        command = [kubectl_path(), "--kubeconfig", self.kubeconfig, "-n", self.namespace, *arguments]
        ran = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if check and ran.returncode:
            print(ran.stderr, file=sys.stderr)  # pytest shows it beside the failure; the exception's text doesn't
            ran.check_returncode()
        return ran.stdout

    def open(self) -> None:
        self.kubectl("create", "namespace", self.namespace)
        self.kubectl("create", "configmap", "calls", f"--from-literal=calls.py={CALLBACKS}")
        verbs = {"podhooks": ("get,watch", "pods"), "logs": ("get", "pods/log"), "words": ("create", "configmaps")}
        for name, (verb, resource) in verbs.items():
            self.kubectl("create", "role", name, f"--verb={verb}", f"--resource={resource}")
            self.kubectl("create", "rolebinding", name, f"--role={name}", f"--serviceaccount={self.namespace}:default")

    def close(self) -> None:
        self.kubectl("delete", "namespace", self.namespace, "--wait=false", check=False)

    def apply(self, manifest: Mapping[str, Any], settings: InjectSettings | None = None) -> None:
        injected, reports = inject_object(manifest, settings or self.settings)
        assert all(report.report.outcome.value == "injected" for report in reports), reports
        self.kubectl("create", "-f", "-", stdin=json.dumps(injected))

    def items(self, plural: str, selector: str) -> list[dict[str, Any]]:
        """Objects of the namespace by label. Not by kubectl: this is what all waiting polls."""
        list_raw = {
            "pods": self._client.list_namespaced_pod,
            "configmaps": self._client.list_namespaced_config_map,
        }[plural]
        answer: Any = list_raw(self.namespace, label_selector=selector, _preload_content=False)
        found: list[dict[str, Any]] = json.loads(answer.data)["items"]
        return found

    def pods(self, scenario: str) -> list[dict[str, Any]]:
        return self.items("pods", f"scenario={scenario}")

    def words(self, scenario: str, hook: str = "on-exit") -> list[dict[str, Any]]:
        """What callbacks left word of, in order."""
        maps = self.items("configmaps", f"word={scenario}")
        maps.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
        words = [json.loads(each["data"]["word"]) for each in maps]
        return [word for word in words if word["hook"] == hook]

    def until(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(0.5)
        pods = self.kubectl("get", "pods", "-o", "wide", check=False)
        raise AssertionError(f"not within {seconds:.0f} s: {what}\n{pods}")

    def until_main_runs(self, scenario: str) -> dict[str, Any]:
        def running() -> dict[str, Any] | None:
            for pod in self.pods(scenario):
                statuses = {each["name"]: each for each in pod["status"].get("containerStatuses", [])}
                if "running" in statuses.get("main", {}).get("state", {}):
                    return pod
            return None

        found: dict[str, Any] = self.until(running, f"main of {scenario} runs")
        return found


def kubectl_path() -> str:
    """The kubectl that the `dev` extra brings."""
    return str(Path(sysconfig.get_path("scripts")) / "kubectl")
