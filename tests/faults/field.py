"""Where a matrix is run: a Kubernetes API, and commands for the node. The same on the stand-in and on a cluster."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import kubernetes
import urllib3

Json = dict[str, Any]
CALLBACKS = Path(__file__).with_name("callbacks.py")
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.3


class Trouble(Exception):
    """The field didn't do what a run needs: the run doesn't count."""


class Field:
    """One API server. Namespaces that it makes have what the pods of a matrix need; `close` removes them.

    Args:
        kubeconfig: of an account that may do everything in those namespaces.
        commands: what can be done to the cluster itself, by name (`stop-kubelet`, ...): functions of no argument.
        away_seconds: how long a lost node stays away.
    """

    def __init__(
        self, kubeconfig: str, commands: Mapping[str, Callable[[], None]], *, away_seconds: float = 150.0
    ) -> None:
        self._client = kubernetes.config.new_client_from_config(kubeconfig)  # type: ignore[no-untyped-call]
        self._pool: Any = self._client.rest_client.pool_manager
        self._pool.connection_pool_kw["maxsize"] = 64
        self.commands = dict(commands)
        self.away_seconds = away_seconds
        self._namespaces: list[str] = []

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json", **query: str
    ) -> Json:
        """The answer's object. `{}` for 404; Trouble for anything else that isn't success."""
        url = f"{self._client.configuration.host}{path}{'?' * bool(query)}{urlencode(query)}"
        headers = {"Accept": "application/json", "Content-Type": content_type}
        headers |= {each["key"]: each["value"] for each in self._client.configuration.auth_settings().values()}
        try:
            answer = self._pool.request(
                method, url, body=json.dumps(body) if body else None, headers=headers, timeout=30
            )
        except urllib3.exceptions.HTTPError as error:
            raise Trouble(f"{method} {path}: {error}") from error
        if answer.status == 404:
            return {}
        if answer.status >= 400:
            raise Trouble(f"{method} {path}: {answer.status} {answer.data.decode(errors='replace')}")
        found: Json = json.loads(answer.data or b"{}")
        return found

    # -- namespaces

    def namespace(self, purpose: str) -> str:
        """A new one, with the callbacks, and the right of its pods to look at themselves."""
        name = f"faults-{purpose}-{uuid.uuid4().hex[:6]}"[:63]
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": {"podhooks-faults": "true"}}})
        self._namespaces.append(name)
        data = {CALLBACKS.name: CALLBACKS.read_text()}
        self.request("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "faults"}, "data": data})
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{name}"
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch"]}]
        self.request("POST", f"{rbac}/roles", {"metadata": {"name": "podhooks"}, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "podhooks"}
        subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": name}]
        binding = {"metadata": {"name": "podhooks"}, "roleRef": reference, "subjects": subjects}
        self.request("POST", f"{rbac}/rolebindings", binding)
        self.until(
            lambda: self.request("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default"), "a service account"
        )
        return name

    def close(self) -> None:
        for name in self._namespaces:
            self.request("DELETE", f"/api/v1/namespaces/{name}")

    # -- jobs and pods

    def create_job(self, namespace: str, job: Json) -> None:
        self.request("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", job)

    def patch_job(self, namespace: str, name: str, spec: Json) -> None:
        """Over whatever version there is: its controller writes to it, too."""
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        self.request("PATCH", path, {"spec": spec}, content_type="application/merge-patch+json")

    def delete_job(self, namespace: str, name: str) -> None:
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        self.request("DELETE", path, {"propagationPolicy": "Background"})

    def pod(self, namespace: str, job: str) -> Json:
        """The job's first pod as it is now; `{}` when there is none."""
        selector = f"batch.kubernetes.io/job-name={job}"
        items = self.request("GET", f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector).get("items", [])
        return items[0] if items else {}

    def delete_pod(self, namespace: str, name: str, grace_seconds: int | None = None) -> None:
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        self.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", options)

    def evict(self, namespace: str, name: str) -> None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        self.request("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)

    def delete_namespace(self, name: str) -> None:
        self.request("DELETE", f"/api/v1/namespaces/{name}")

    def delete_node(self, name: str) -> None:
        self.request("DELETE", f"/api/v1/nodes/{name}")

    def nodes(self) -> list[Json]:
        found: list[Json] = self.request("GET", "/api/v1/nodes").get("items", [])
        return found

    def twice(self) -> set[str]:
        """UIDs of the pods whose doubled runs the rescuer counted."""
        rescues = self.request("GET", "/apis/podhooks.io/v1alpha1/rescues").get("items", [])
        return {
            str(each.get("spec", {}).get("pod", {}).get("uid"))
            for each in rescues
            if each.get("status", {}).get("twice")
        }

    def until(self, condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() >= deadline:
                raise Trouble(f"not within {seconds:.0f} s: {what}")
            time.sleep(POLL_SECONDS)
        return found


def shell(command: str) -> Callable[[], None]:
    """A command of the person who runs the matrix."""

    def run() -> None:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise Trouble(f"{shlex.quote(command)}: {done.stderr.strip() or done.returncode}")

    return run


def state_of(pod: Mapping[str, Any], container: str = "main") -> Json:
    status = pod.get("status", {})
    for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if each["name"] == container:
            found: Json = each["state"]
            return found
    return {}
