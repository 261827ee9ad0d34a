"""The admission policy on a real API server: the pod that inject() gives, for every case that the doors share.

Pods are created with --dry-run=server, so both sides have the API server's defaults. What may differ is in
docs/admission-policy.md: the status annotation, and where the service account's token stands among volumes and mounts,
because the API server adds it before the policy and after the command line.
"""

from __future__ import annotations

import json
import math
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from podhooks import contract
from podhooks.admission_policy import PolicySettings, binding, policy
from podhooks.annotations.parser import parse
from podhooks.inject import InjectSettings, Outcome, inject, uninject
from tests.doors.cases import DoorCase, Pod, comparable, door_cases
from tests.doors.policy_pods import (
    LISTS,
    MAPPINGS,
    NOT_ASKED,
    PODS,
    REFUSED,
    TIMES,
    grace,
    injected,
    large_pod,
    may_take_longer,
    pod,
    probe,
    prolong,
    settings_for,
)
from tests.e2e.cluster import RealCluster
from tests.e2e.test_promise import job

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
CASES = door_cases()
MISSING: dict[str, dict[str, Any]] = {
    "stateful-set": {"volumes": [{"name": "data", "emptyDir": {}}]},  # else the StatefulSet's controller adds it
    "unconfined-profiles": {"hostUsers": False},  # else the API server refuses its procMount
}
"""What the API server wants of a case before it takes it as a pod."""
TOKEN = "kube-api-access"
SELECTED_BY = "podhooks-e2e"  # a label of our namespaces only: others may use the cluster meanwhile


class Policied:
    """Namespaces with a policy each, made when first asked for."""

    def __init__(self, cluster: RealCluster) -> None:
        self.free = cluster
        self._made: dict[str, RealCluster] = {}
        self._accounts: set[tuple[str, str]] = set()

    def namespace(self, settings: InjectSettings | None = None, failure_policy: str = "Ignore") -> RealCluster:
        settings = (settings or self.free.settings).replace(kubernetes=None)
        key = repr((settings, failure_policy))
        if key not in self._made:
            self._made[key] = self.open(PolicySettings(inject=settings, failure_policy=failure_policy))
        return self._made[key]

    def open(self, settings: PolicySettings) -> RealCluster:
        free = self.free
        made = RealCluster(
            free.kubeconfig, image=free.image, runtime_image=settings.inject.image, pull_policy=free.pull_policy
        )
        made.namespace = f"po-{uuid.uuid4().hex[:8]}"
        made.open()
        made.kubectl("label", "namespace", made.namespace, f"{SELECTED_BY}={made.namespace}")
        if settings.opt_in:
            made.kubectl(
                "label", "namespace", made.namespace, f"{contract.INJECTION_LABEL}={contract.INJECTION_ENABLED}"
            )
        settings = replace(settings, name=made.namespace)
        bound = binding(settings)
        selector = bound["spec"]["matchResources"]["namespaceSelector"]
        selector["matchLabels"] = {SELECTED_BY: made.namespace}
        for each in (policy(settings), bound):
            made.kubectl("create", "-f", "-", stdin=json.dumps(each))
        made.until(lambda: is_injected(self.created(made, probe())), "the policy is in force")
        return made

    def created(self, where: RealCluster, pod: Pod) -> Pod:
        """The pod as the API server would store it."""
        metadata = {key: value for key, value in pod["metadata"].items() if key != "namespace"}
        account = pod["spec"].get("serviceAccountName", "default")
        self._need_account(where, account)
        ran = where.kubectl(
            "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps({**pod, "metadata": metadata})
        )
        made: Pod = json.loads(ran)
        return made

    def _need_account(self, where: RealCluster, account: str) -> None:
        if (where.namespace, account) in self._accounts:
            return
        if account != "default":
            where.kubectl("create", "serviceaccount", account, check=False)
        where.until(lambda: where.kubectl("get", "serviceaccount", account, check=False), f"account {account}")
        self._accounts.add((where.namespace, account))

    def close(self) -> None:
        for each in self._made.values():
            each.kubectl(
                "delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", each.namespace, check=False
            )
            each.close()


@pytest.fixture(scope="module")
def policied(cluster: RealCluster) -> Iterator[Policied]:
    served = json.loads(cluster.kubectl("get", "--raw", "/apis/admissionregistration.k8s.io/v1"))["resources"]
    if "mutatingadmissionpolicies" not in [each["name"] for each in served]:
        pytest.skip("needs MutatingAdmissionPolicy v1: Kubernetes 1.36")
    made = Policied(cluster)
    yield made
    made.close()


def is_injected(made: Pod) -> bool:
    return contract.STATUS in made["metadata"]["annotations"]


def stored(made: Pod) -> Pod:
    """What makes the pod, without what differs from one creation to the next, tokens at the end."""
    kept = comparable(made) if "annotations" in made["metadata"] else made
    spec = json.loads(json.dumps(kept["spec"]))
    for volume in spec.get("volumes", []):
        volume["name"] = plain_name(volume["name"])
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        for mount in container.get("volumeMounts", []):
            mount["name"] = plain_name(mount["name"])
        container.get("volumeMounts", []).sort(key=lambda each: each["name"] == TOKEN)
    spec.get("volumes", []).sort(key=lambda each: each["name"] == TOKEN)
    metadata = kept["metadata"]
    return {"annotations": metadata.get("annotations"), "labels": metadata.get("labels"), "spec": spec}


def plain_name(name: str) -> str:
    return TOKEN if name.startswith(TOKEN + "-") else name


def assert_same_as_inject(policied: Policied, given: Pod, settings: InjectSettings) -> None:
    made = policied.created(policied.namespace(settings), given)
    wanted = injected(given, settings)
    longer = grace(made) - grace(wanted)
    if longer:
        assert longer > 0
        assert may_take_longer(given["metadata"]["annotations"])
        prolong(wanted["spec"], longer)
    assert stored(made) == stored(policied.created(policied.free, wanted))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{'.'.join(map(str, case.path))}")
def test_a_shared_case_becomes_the_pod_that_inject_gives(policied: Policied, case: DoorCase) -> None:
    given = case.as_pod()
    given["spec"].update(MISSING.get(case.name, {}))
    assert_same_as_inject(policied, given, case.settings)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("names", LISTS)
def test_the_grace_period_is_the_same_for_lists_of_names(policied: Policied, names: str, times: str) -> None:
    given = pod({"on-exit": LISTS[names], **TIMES[times]}, terminationGracePeriodSeconds=7)
    made = policied.created(policied.namespace(), given)
    wanted, _ = inject(given, policied.free.settings)
    assert made["spec"]["terminationGracePeriodSeconds"] == wanted["spec"]["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", MAPPINGS)
def test_the_grace_period_is_never_shorter_for_lists_with_mappings(policied: Policied, name: str) -> None:
    text, longer = MAPPINGS[name]
    given = pod({"on-exit": text})
    made = policied.created(policied.namespace(), given)
    wanted = math.ceil(30 + parse({contract.ON_EXIT: text})[0].reserve_seconds)
    assert (made["spec"]["terminationGracePeriodSeconds"] - wanted, longer >= 0) == (longer, True)
    given["metadata"]["annotations"][contract.RESERVE] = "2m"
    made = policied.created(policied.namespace(), given)
    assert made["spec"]["terminationGracePeriodSeconds"] == 150


@pytest.mark.parametrize("name", PODS)
def test_a_pod_of_its_own_becomes_the_pod_that_inject_gives(policied: Policied, name: str) -> None:
    assert_same_as_inject(policied, PODS[name], policied.free.settings)


def test_another_image_gets_the_pull_policy_that_kubernetes_has_for_it(policied: Policied) -> None:
    """The API server writes its default for main's image into main before the policy sees it."""
    given = pod({"on-start": "a:b", "image": "tools"}, {"imagePullPolicy": "IfNotPresent"})
    made = policied.created(policied.namespace(), given)
    wanted = policied.created(policied.free, injected(given, policied.free.settings))
    ours = [each["spec"]["initContainers"][-1]["imagePullPolicy"] for each in (made, wanted)]
    assert ours == ["Always", "Always"]


def test_a_pod_of_20_containers_with_64_variables_is_within_the_cost_limits(policied: Policied) -> None:
    assert_same_as_inject(policied, large_pod(), policied.free.settings)


@pytest.mark.parametrize("name", ["our mount and variable already", "our variable in another container"])
def test_what_the_policy_put_in_is_taken_out_and_put_in_anew(policied: Policied, name: str) -> None:
    given = PODS[name]
    made = policied.created(policied.namespace(), given)
    bare, was_injected = uninject(made)
    assert was_injected
    assert stored(bare) == stored(policied.created(policied.free, given))
    again, report = inject(made, policied.free.settings)
    assert report.outcome is Outcome.UPDATED
    assert stored(policied.created(policied.free, again)) == stored(made)


@pytest.mark.parametrize("name", NOT_ASKED)
def test_a_pod_that_asks_for_nothing_stays_as_it_is(policied: Policied, name: str) -> None:
    given = NOT_ASKED[name](policied.free.settings)
    made = policied.created(policied.namespace(failure_policy="Fail"), given)
    assert stored(made) == stored(policied.created(policied.free, given))
    assert made["metadata"].get("annotations") == given["metadata"].get("annotations")


@pytest.mark.parametrize(("reason", "given"), [(reason, given) for reason, pods in REFUSED.items() for given in pods])
def test_a_pod_that_cannot_be_given_its_callbacks(policied: Policied, reason: str, given: Pod) -> None:
    """Admitted as it is with failurePolicy Ignore, refused with the reason with Fail, and refused by inject()."""
    settings = settings_for(reason, policied.free.settings)
    made = policied.created(policied.namespace(settings), given)
    assert stored(made) == stored(policied.created(policied.free, given))
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        policied.created(policied.namespace(settings, failure_policy="Fail"), given)
    assert reason in refusal.value.stderr
    assert len(refusal.value.stderr) < 500  # Events hold 1024
    if "resources" not in reason:
        assert inject(given, settings)[1].outcome is Outcome.REFUSED


@pytest.mark.parametrize("opt_in", [False, True])
def test_the_namespace_label_keeps_the_policy_out(policied: Policied, opt_in: bool) -> None:
    where = policied.open(PolicySettings(inject=policied.free.settings, opt_in=opt_in))
    try:
        label = (
            f"{contract.INJECTION_LABEL}-" if opt_in else f"{contract.INJECTION_LABEL}={contract.INJECTION_DISABLED}"
        )
        where.kubectl("label", "namespace", where.namespace, label)
        where.until(lambda: not is_injected(policied.created(where, probe())), "the namespace is left alone")
    finally:
        where.kubectl("delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", where.namespace)
        where.close()


@pytest.mark.parametrize("mode", ["native", "classic"])
def test_a_job_runs_through_the_policy(policied: Policied, mode: str) -> None:
    where = policied.namespace()
    scenario = f"{mode}-policy"
    where.kubectl("create", "-f", "-", stdin=json.dumps(job(where, scenario, "cat $PODHOOKS_SHARED_DIR/hello; exit 3")))

    def ended() -> bool:
        return len(where.words(scenario)) == 1

    where.until(ended, "on_exit left word")
    (start,) = where.words(scenario, "on-start")
    (end,) = where.words(scenario)
    assert (end["exit"]["result"], end["exit"]["exit_code"], end["shared"]) == ("Failed", 3, True)
    assert start["uid"] == end["uid"]
    (made,) = where.pods(scenario)
    assert json.loads(made["metadata"]["annotations"][contract.STATUS])["door"] == "policy"
    assert where.kubectl("logs", made["metadata"]["name"], "-c", "main") == "from on_start"


def test_what_the_policy_passes_through_is_found_by_on_start(policied: Policied) -> None:
    """CEL reads no names of callbacks: main doesn't start, and the pod says why."""
    where = policied.namespace()
    scenario = "native-typo"
    where.kubectl(
        "create", "-f", "-", stdin=json.dumps(job(where, scenario, "true", annotations={"on-exit": "notify.slack"}))
    )

    def message() -> str:
        for each in where.pods(scenario):
            for status in each["status"].get("initContainerStatuses", []):
                ended = status["state"].get("terminated", {})
                if status["name"] == contract.ON_START_CONTAINER and ended:
                    return str(ended.get("message", ""))
        return ""

    assert "notify:slack" in where.until(message, "on-start says what is wrong")
