"""The webhook on a real cluster: the API server calls it, kubectl shows what it says.

The operator is a process beside the test that the API server must be able to reach: at --webhook-host, an address of
this machine as the API server sees it. It has the ServiceAccount and the roles that `podhooks render operator-rbac`
gives it, and serves only the namespaces of this test.
"""

from __future__ import annotations

import copy
import json
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podhooks import contract
from podhooks.cli.render import as_json
from podhooks.inject import InjectSettings, inject
from podhooks.render.rbac import OperatorNames, operator_rbac
from podhooks.render.webhook import (
    ENABLED,
    INJECTION_LABEL,
    NAMESPACE_NAME_LABEL,
    WebhookOptions,
    webhook_configuration,
)
from tests.e2e.cluster import RealCluster, kubectl_path
from tests.e2e.test_promise import MODES, finished, job, told
from tests.integration.operator_process import OperatorProcess, bundle_of, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
Json = dict[str, Any]


class Webhook:
    """An operator with a namespace of its own, and one whose pods it injects. `restart` changes its flags."""

    def __init__(self, cluster: RealCluster, directory: Path, host: str) -> None:
        self.cluster = cluster
        self.directory = directory
        self.name = f"wh-{uuid.uuid4().hex[:6]}"
        self.pods = RealCluster(
            cluster.kubeconfig,
            image=cluster.image,
            runtime_image=cluster.settings.image,
            pull_policy=cluster.pull_policy,
        )
        self.pods.namespace = f"{self.name}-pods"
        self.home, self.namespace = f"{self.name}-operator", self.pods.namespace
        self.host, self.port = host, free_port()
        self.settings = cluster.settings
        self.operator: OperatorProcess | None = None
        self.names = OperatorNames(namespace=self.home, role=self.name, configuration=self.name)

    def kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [kubectl_path(), "--kubeconfig", self.cluster.kubeconfig, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)

    def done(self, *arguments: str, stdin: str = "") -> str:
        ran = self.kubectl(*arguments, stdin=stdin)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def open(self) -> None:
        self.done("create", "namespace", self.home)
        self.pods.open()
        for each in (self.namespace, self.home):
            self.done("label", "namespace", each, f"{INJECTION_LABEL}={ENABLED}")
        self.done("apply", "-f", "-", stdin=as_json(operator_rbac(self.names)))
        self.configure()
        account = self.directory / "account"
        account.mkdir()
        (account / "token").write_text(self.done("-n", self.home, "create", "token", self.names.service_account))
        (account / "namespace").write_text(self.home)
        root = self.done("-n", self.home, "get", "configmap", "kube-root-ca.crt", "-o", "json")
        (account / "ca.crt").write_text(json.loads(root)["data"]["ca.crt"])

    def configure(self, failure_policy: str = "Ignore", *, opt_in: bool = True) -> None:
        """Only for namespaces of this test: others work on this cluster, too."""
        url = f"https://{self.host}:{self.port}/mutate"
        options = WebhookOptions(
            name=self.name, namespace=self.home, url=url, failure_policy=failure_policy, opt_in=opt_in
        )
        configuration = webhook_configuration(options)
        mine = {"key": NAMESPACE_NAME_LABEL, "operator": "In", "values": [self.home, self.namespace]}
        configuration["webhooks"][0]["namespaceSelector"]["matchExpressions"].append(mine)
        self.done("apply", "-f", "-", stdin=as_json([configuration]))

    def start(self, *flags: str) -> OperatorProcess:
        server = json.loads(self.done("config", "view", "-o", "json"))["clusters"][0]["cluster"]["server"]
        ours = ("--port", str(self.port), "--health-port", "0", "--host-name", self.host, "--check-interval", "500ms")
        names = ("--webhook-configuration", self.name, "--image", self.settings.image, "--drain", "500ms")
        policy = ("--pull-policy", self.settings.pull_policy or "IfNotPresent")
        started = OperatorProcess(self.directory, self.directory / "account", server, *ours, *names, *policy, *flags)
        self.operator = started
        started.until_ready()
        self.create(self.pod("canary"), "--dry-run=server")
        until(lambda: self.injects("canary-2"), "the API server has the configuration")
        return started

    def injects(self, name: str) -> bool:
        made = self.done("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(self.pod(name)))
        return contract.STATUS in json.loads(made)["metadata"]["annotations"]

    def stop(self) -> None:
        if self.operator is not None:
            assert self.operator.stop() == 0, self.operator.log
            self.operator = None

    def close(self) -> None:
        if self.operator is not None:
            self.operator.__exit__(None)
        for kind in ("mutatingwebhookconfiguration", "clusterrole", "clusterrolebinding"):
            self.kubectl("delete", kind, self.name, "--ignore-not-found")
        self.kubectl("delete", "namespace", self.home, "--wait=false")
        self.pods.close()

    def pod(self, name: str, **annotations: str) -> Json:
        """It has what the API server would add to it, so that what inject() makes of it can be compared."""
        ours = annotations or {"on-start": "calls:announce", "on-exit": "calls:done"}
        written = {contract.PREFIX + key.replace("_", "-"): text for key, text in ours.items()}
        main = {
            "name": "main",
            "image": self.cluster.image,
            "imagePullPolicy": self.cluster.pull_policy,
            "command": ["sleep", "1"],
        }
        spec: Json = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [main]}
        spec["terminationGracePeriodSeconds"] = 30  # the API server fills it in before it asks the webhook
        metadata = {"name": name, "namespace": self.namespace, "annotations": written}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    def create(self, obj: Json, *flags: str) -> subprocess.CompletedProcess[str]:
        return self.kubectl("create", "-o", "json", *flags, "-f", "-", stdin=json.dumps(obj))

    def created(self, obj: Json) -> Json:
        ran = self.create(obj)
        assert ran.returncode == 0, ran.stderr
        made: Json = json.loads(ran.stdout)
        return made

    def published(self) -> bytes:
        return bundle_of(json.loads(self.done("get", "mutatingwebhookconfiguration", self.name, "-o", "json")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def webhook(cluster: RealCluster, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Webhook]:
    host = request.config.getoption("--webhook-host")
    if not host:
        pytest.skip("needs --webhook-host ADDRESS: this machine's, as the API server sees it")
    found = Webhook(cluster, tmp_path, host)
    try:
        found.open()
        yield found
    finally:
        found.close()


def ours(pod: Json) -> Json:
    """What inject() decides of a pod. The rest is filled in by the API server: defaults, and what it knows."""
    spec = pod["spec"]

    def bare(container: Json) -> Json:
        filled = ("terminationMessagePath", "imagePullPolicy", "terminationMessagePolicy")
        return {key: value for key, value in container.items() if key not in filled and value != {}}

    def volume(each: Json) -> Json:
        found = copy.deepcopy(each)
        for field in (found.get("downwardAPI", {}), *found.get("downwardAPI", {}).get("items", [])):
            field.pop("defaultMode", None)
            field.get("fieldRef", {}).pop("apiVersion", None)
        return found

    def containers(field: str) -> list[Json]:
        found = [bare(copy.deepcopy(each)) for each in spec.get(field, [])]
        for variable in (each for container in found for each in container.get("env", [])):
            variable.get("valueFrom", {}).get("fieldRef", {}).pop("apiVersion", None)
        return found

    return {
        "annotations": pod["metadata"]["annotations"],
        "initContainers": containers("initContainers"),
        "containers": containers("containers"),
        "volumes": [volume(each) for each in spec.get("volumes", [])],
        "grace": spec.get("terminationGracePeriodSeconds", 30),
    }


def expected(webhook: Webhook, pod: Json) -> Json:
    chosen: InjectSettings = webhook.settings
    return ours(inject(pod, chosen)[0])


def test_pods_come_out_as_inject_makes_them(webhook: Webhook) -> None:
    webhook.start()
    cases = {
        "native": {},
        "classic": {"on_exit": "calls:done", "mode": "classic"},
        "options": {"on_start": "a:b", "on_exit": "a:b, c:d", "on_exit_timeout": "7s", "main_container": "*"},
    }
    for name, given in cases.items():
        pod = webhook.pod(name, **given)
        assert ours(webhook.created(pod)) == expected(webhook, pod)
    assert webhook.operator is not None
    for name, with_token in (("injected-already", False), ("with-its-token", True)):
        pod = webhook.pod(name)
        pod["spec"]["automountServiceAccountToken"] = with_token
        again = inject(pod, webhook.settings)[0]
        made = webhook.created(again)
        assert with_token or ours(made) == ours(again)
        assert f"pod={name} outcome=unchanged" in webhook.operator.log


def test_a_jobs_pod_is_injected_and_what_is_wrong_with_it_is_told_by_an_event(webhook: Webhook) -> None:
    webhook.start()
    for name, key in (("good", "on_exit"), ("wrong", "on_exitt")):
        pod = webhook.pod(name, **{key: "calls:done"})
        template = {"metadata": {"annotations": pod["metadata"]["annotations"]}, "spec": pod["spec"]}
        metadata = {"name": name, "namespace": webhook.namespace}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}
        webhook.created(job)

    def pods(name: str) -> list[Json]:
        listed = webhook.done("-n", webhook.namespace, "get", "pods", "-l", f"job-name={name}", "-o", "json")
        return list(json.loads(listed)["items"])

    (good,) = until(lambda: pods("good"), "the Job's pod")
    assert "on-exit" in [each["name"] for each in good["spec"]["initContainers"]]
    (wrong,) = until(lambda: pods("wrong"), "the other Job's pod")
    assert "initContainers" not in wrong["spec"]

    def events() -> list[Json]:
        return events_of(webhook)

    (event,) = until(events, "an Event")
    assert (event["involvedObject"]["kind"], event["involvedObject"]["name"]) == ("Job", "wrong")
    assert "did you mean podhooks.io/on-exit?" in event["message"]
    described = webhook.done("-n", webhook.namespace, "describe", "job", "wrong")
    assert "PodhooksNotInjected" in described


@pytest.mark.parametrize("mode", MODES)
def test_a_job_runs_through_the_webhook(webhook: Webhook, mode: str) -> None:
    webhook.start()
    where, scenario = webhook.pods, f"{mode}-webhook"
    where.kubectl("create", "-f", "-", stdin=json.dumps(job(where, scenario, "cat $PODHOOKS_SHARED_DIR/hello; exit 3")))
    assert told(where, scenario) == [("Failed", 3)]
    pod = finished(where, scenario)
    [start] = where.words(scenario, "on-start")
    [end] = where.words(scenario)
    assert start["uid"] == end["uid"] == pod["metadata"]["uid"]
    assert "hash" in json.loads(pod["metadata"]["annotations"][contract.STATUS])  # which a policy doesn't write
    assert where.kubectl("logs", pod["metadata"]["name"], "-c", "main") == "from on_start"


def events_of(webhook: Webhook) -> list[Json]:
    chosen = "--field-selector=reason=PodhooksNotInjected"
    listed = webhook.done("-n", webhook.namespace, "get", "events", chosen, "-o", "json")
    return list(json.loads(listed)["items"])


def test_kubectl_shows_warnings_and_a_dry_run_leaves_no_trace(webhook: Webhook) -> None:
    webhook.start()
    pod = webhook.pod("wrong", on_exitt="calls:done")
    tried = webhook.create(pod, "--dry-run=server")
    assert "Warning: podhooks: not injected: podhooks.io/on-exitt" in tried.stderr
    assert events_of(webhook) == []
    made = webhook.create(pod)
    assert "did you mean podhooks.io/on-exit? [unknown-annotation]" in made.stderr
    assert made.returncode == 0
    assert "initContainers" not in json.loads(made.stdout)["spec"]
    (event,) = until(lambda: events_of(webhook), "an Event")
    assert event["involvedObject"]["kind"] == "Namespace"
    doubtful = webhook.create(webhook.pod("doubtful", on_exit="calls:done,calls:done"))
    assert "[duplicate-callback]" in doubtful.stderr
    assert "initContainers" in json.loads(doubtful.stdout)["spec"]


def test_invalid_annotations_are_denied_where_that_is_asked_for(webhook: Webhook) -> None:
    webhook.start("--fail-on-invalid")
    made = webhook.create(webhook.pod("wrong", on_exitt="calls:done"))
    assert made.returncode != 0
    assert "did you mean podhooks.io/on-exit?" in made.stderr
    assert "denied the request" in made.stderr
    assert events_of(webhook) == []


def test_only_annotated_pods_of_other_namespaces_reach_it(webhook: Webhook) -> None:
    operator = webhook.start()
    before = operator.metric("podhooks_webhook_reviews_total")
    plain = webhook.pod("plain")
    plain["metadata"]["annotations"] = {"example.com/on-exit": "x"}
    bare = webhook.pod("bare")
    del bare["metadata"]["annotations"]
    home = webhook.pod("home")
    home["metadata"]["namespace"] = webhook.home
    for each in (plain, bare, home):
        assert "initContainers" not in webhook.created(each)["spec"]
    assert operator.metric("podhooks_webhook_reviews_total") == before


def test_the_namespaces_label_decides(webhook: Webhook) -> None:
    """`enabled` where one opts in, anything but `disabled` elsewhere."""
    operator = webhook.start()

    def asked() -> bool:
        before = operator.metric("podhooks_webhook_reviews_total")
        assert webhook.create(webhook.pod("labelled"), "--dry-run=server").returncode == 0
        return operator.metric("podhooks_webhook_reviews_total") > before

    def label(change: str) -> None:
        webhook.done("label", "namespace", webhook.namespace, f"{INJECTION_LABEL}{change}", "--overwrite")

    assert asked()
    label("-")
    until(lambda: not asked(), "only those who opt in are served")
    webhook.configure(opt_in=False)
    until(asked, "all are served but those who opt out")
    label("=disabled")
    until(lambda: not asked(), "those who opt out aren't")


def test_while_it_is_down_pods_are_admitted_unchanged_or_not_at_all(webhook: Webhook) -> None:
    webhook.start()
    webhook.stop()
    assert "initContainers" not in webhook.created(webhook.pod("ignored"))["spec"]
    bundle = webhook.published()
    webhook.configure("Fail")
    assert webhook.published() == bundle  # kubectl apply leaves what the operator has filled in

    def refused() -> bool:
        return "failed calling webhook" in webhook.create(webhook.pod("refused"), "--dry-run=server").stderr

    until(refused, "the API server has the new policy")
    webhook.start()
    assert webhook.injects("back-again")


def test_certificates_change_while_pods_are_created_and_none_is_lost(webhook: Webhook) -> None:
    """With failurePolicy Fail, so that no failure goes unnoticed."""
    webhook.configure("Fail")
    rhythm = ("--authority-lifetime", "40s", "--certificate-lifetime", "12s", "--publish-delay", "4s")
    operator = webhook.start(*rhythm)
    first = webhook.published()
    loop = Loop(webhook)
    with loop:
        webhook.done("-n", webhook.home, "delete", "secret", "podhooks-webhook-certificates")
        until(lambda: len(webhook.published()) > len(first), "old and new authority together", 60)
        until(lambda: first not in webhook.published(), "the old one is dropped", 60)
        second = webhook.published()
        until(lambda: second not in webhook.published(), "the next rotation is over", 90)
    assert loop.problems == [], operator.log
    assert loop.created >= 20
    assert operator.log.count("serving a new certificate") >= 4


class Loop:
    """Creates pods (dry runs: the API server calls the webhook just the same) one after the other."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.created = 0
        self.problems: list[str] = []

    def _run(self) -> None:
        while not self._end.is_set():
            ran = self._webhook.create(self._webhook.pod(f"loop-{self.created}"), "--dry-run=server")
            if ran.returncode != 0 or contract.STATUS not in ran.stdout:
                self.problems.append(ran.stderr or "not injected")
            self.created += 1

    def __enter__(self) -> Loop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
