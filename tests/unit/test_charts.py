"""The charts, rendered by a real Helm: the library makes the injector's pod, and the API accepts every object."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from podhooks_operator.settings import CertificateSource, Settings, read_settings

from podhooks import contract
from podhooks.admission_policy import PolicySettings, binding, policy
from podhooks.annotations.durations import parse_duration
from podhooks.annotations.plan import USER_ANNOTATIONS
from podhooks.annotations.text import read_entries
from podhooks.inject import Delivery, InjectSettings, Outcome, inject
from podhooks.render.pod_rbac import pod_rules
from podhooks.render.rbac import OperatorNames, operator_rbac
from podhooks.render.rescuer import rescuer_objects
from podhooks.render.webhook import WebhookOptions, webhook_configuration
from podhooks.version import __version__
from podhooks.yamltext.stream import parse
from tests.doors.cases import DoorCase, door_cases
from tests.helm import CHARTS, HelmError, Object, helm, rendered, template
from tests.pod_security import violations

DOORS = Path(__file__).parents[1] / "charts" / "doors"
CASES = door_cases()
NAMES = [f"{case.name}-{number}" for number, case in enumerate(CASES)]
PAIRS = list(zip(NAMES, CASES, strict=True))
OURS = ("podhooks", "podhooks-lib", "flow-job")

FLOW: dict[str, Any] = {
    "image": "registry.example.com/etl:2",
    "imagePullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "command": ["python3", "-m", "etl"],
    "args": ["--all"],
    "env": [{"name": "A", "value": "b"}],
    "envFrom": [{"configMapRef": {"name": "etl"}}],
    "workingDir": "/srv",
    "schedule": "0 3 * * *",
    "cron": {
        "timeZone": "Europe/Berlin",
        "concurrencyPolicy": "Replace",
        "suspend": True,
        "startingDeadlineSeconds": 60,
    },
    "job": {
        "backoffLimit": 3,
        "activeDeadlineSeconds": 7200,
        "ttlSecondsAfterFinished": 1000000,
        "parallelism": 2,
        "completions": 4,
        "completionMode": "Indexed",
        "suspend": True,
    },
    "onStart": ["etl.hooks:prepare", {"exec": ["sh", "-c", "echo <&> 'x'"], "timeout": "1h30m", "retries": 3}],
    "onExit": [
        {"call": "etl.hooks:upload", "with": {"bucket": "résultats", "n": 1000000}, "timeout": "1m30s"},
        {"call": "/hooks/report.py:main", "when": ["Failed", "OOMKilled"], "policy": "fail"},
    ],
    "podhooks": {
        "onStartPolicy": "ignore",
        "onExitPolicy": "fail",
        "onStartTimeout": "10m",
        "onExitTimeout": "45s",
        "onStartRetries": 1,
        "onExitRetries": 0,
        "onExitWhen": ["failure", "Succeeded"],
        "onExitPosition": "last",
        "mainContainer": "main",
        "mode": "classic",
        "image": "registry.example.com/hooks:1",
        "python": "/venv/bin/python",
        "guarantee": "cluster",
        "resources": {"requests": {"cpu": 0, "memory": "600Mi"}},
        "runtime": {"image": "registry.example.com/podhooks:1", "delivery": "copy", "pullPolicy": "IfNotPresent"},
    },
    "callbacks": {"path": "/hooks", "files": {"report.py": "def main(context):\n    print('{{ not a template }}')\n"}},
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
    "restartPolicy": "OnFailure",
    "terminationGracePeriodSeconds": 90,
    "serviceAccount": {"create": True, "name": "etl", "annotations": {"iam": "etl"}, "automountToken": True},
    "rbac": {"create": True, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]},
    "podSecurityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    "initContainers": [{"name": "fetch", "image": "curl:8"}],
    "extraContainers": [{"name": "proxy", "image": "proxy:1"}],
    "podLabels": {"team": "etl"},
    "podAnnotations": {"note": "yes"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "etl", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "priorityClassName": "batch",
    "nameOverride": "etl",
}
"""Everything that flow-job has, switched on. Without `reserve`: its default is computed."""


def injected_by_helm(pods: dict[str, Object], major: int = 4) -> dict[str, Object]:
    """What podhooks.inject makes of each; a pod goes as a JSON text, because Helm drops what is null in values."""
    values = {"pods": {name: {"pod": json.dumps(each["pod"]), "values": each["values"]} for name, each in pods.items()}}
    objects = rendered(DOORS, values, major=major)
    return {each["metadata"]["name"]: each["template"] for each in objects}


def refusal(annotations: dict[str, Any], values: dict[str, Any] | None = None, **spec: Any) -> str:
    """What Helm says about a pod that the library refuses."""
    whole = {"containers": [{"name": "main", "image": "a"}], **spec}
    pod = {"metadata": {"annotations": annotations}, "spec": whole}
    with pytest.raises(HelmError) as caught:
        injected_by_helm({"one": {"pod": pod, "values": values or {}}})
    return str(caught.value)


def missing(key: str) -> str:
    """How either Helm says that a value must be there, as a pattern."""
    return f"missing property '{key}'|{key} is required"


def runtime(case: DoorCase) -> dict[str, str]:
    settings = case.settings
    return {
        "image": settings.image,
        "delivery": settings.delivery.value,
        "pullPolicy": settings.pull_policy or "",
    }


def pod_template(obj: Object) -> Object:
    spec = obj["spec"]["jobTemplate"]["spec"] if obj["kind"] == "CronJob" else obj["spec"]
    found: Object = spec["template"]
    return found


def of_kind(objects: list[Object], kind: str) -> Object:
    (found,) = (each for each in objects if each["kind"] == kind)
    return found


# ---- the library


@cache
def from_annotations(major: int) -> dict[str, Object]:
    return injected_by_helm(
        {name: {"pod": case.pod, "values": {"runtime": runtime(case)}} for name, case in PAIRS},
        major,
    )


@pytest.mark.parametrize(("name", "case"), PAIRS, ids=NAMES)
def test_the_library_makes_the_golden_pod(name: str, case: DoorCase) -> None:
    """All of it, the status annotation too: a webhook that sees the pod finds it as it would have made it."""
    assert from_annotations(4)[name] == case.golden


def test_helm_3_makes_the_same() -> None:
    assert from_annotations(3) == from_annotations(4)


def values_of(annotations: dict[str, str]) -> dict[str, Any]:
    """The annotations as one would write them into a chart's values."""
    values: dict[str, Any] = {}
    for name, text in annotations.items():
        first, *rest = name.removeprefix(contract.PREFIX).split("-")
        value: Any = text
        if name in (contract.ON_START, contract.ON_EXIT):
            value = read_entries(text)
        elif name == contract.RESOURCES:
            value = json.loads(text)
        elif name == contract.ON_EXIT_WHEN:
            value = [each.strip() for each in text.split(",")]
        values[first + "".join(word.capitalize() for word in rest)] = value
    return values


@cache
def from_values() -> dict[str, Object]:
    pods = {}
    for name, case in PAIRS:
        ours = {key: text for key, text in case.annotations.items() if key.startswith(contract.PREFIX)}
        theirs = {key: text for key, text in case.annotations.items() if key not in ours}
        metadata = {**case.pod["metadata"], "annotations": theirs}
        pod = {**case.pod, "metadata": metadata}
        pods[name] = {"pod": pod, "values": {**values_of(ours), "runtime": runtime(case)}}
    return injected_by_helm(pods)


@pytest.mark.parametrize(("name", "case"), PAIRS, ids=NAMES)
def test_values_make_the_pod_that_the_injector_makes_of_the_same_annotations(name: str, case: DoorCase) -> None:
    made = from_values()[name]
    annotations = {**made["metadata"]["annotations"]}
    del annotations[contract.STATUS]
    assert {key: values_of({key: text}) for key, text in annotations.items() if key.startswith(contract.PREFIX)} == {
        key: values_of({key: text}) for key, text in case.annotations.items() if key.startswith(contract.PREFIX)
    }
    metadata = {**case.pod["metadata"], "annotations": annotations}
    assert inject({**case.pod, "metadata": metadata}, case.settings)[0] == made


DURATIONS = ["30s", "5m", "1h30m", "1.5s", "500ms", "1h1m1s1ms", "0.5h", "168h", " 2m ", "1ms"]


def test_durations_are_what_the_injector_reads() -> None:
    pods = {}
    for number, text in enumerate(DURATIONS):
        annotations = {contract.ON_EXIT: "a:b", contract.RESERVE: text}
        pod = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "main"}]}}
        pods[f"p{number:02}"] = {"pod": pod, "values": {}}
    made = injected_by_helm(pods)
    for number, text in enumerate(DURATIONS):
        name = f"p{number:02}"
        assert made[name] == inject(pods[name]["pod"])[0], text
        assert made[name]["spec"]["terminationGracePeriodSeconds"] >= 30 + parse_duration(text)


FINE_POINTS: list[dict[str, Any]] = [
    {"on-exit": "a:b", "resources": '{"limits": {"cpu": "5m"}}'},
    {"on-exit": "a:b", "resources": '{"requests": {"memory": "1.5Gi", "ephemeral-storage": 2e9}}'},
    {"on-exit": "a:b", "resources": "requests: {cpu: 2}\nlimits: {nvidia.com/gpu: 1}"},
    {"on-exit": "a:b", "main-container": "*"},
    {"on-exit": "a:b", "main-container": " *\n"},
    {"on-exit": "# first\na:b, c:d  # with: a comment\n\n/x/y.py:z", "on-exit-timeout": "7s"},
    {"on-exit": "- a:b # one\n- {call: c:d, timeout: 2m, when: [failure]}"},
    {"on-exit": "exec: [sh, -c, 'echo hello']\ntimeout: 1m1s"},
    {"on-exit": '[{"exec": ["a"], "timeout": "5m"}, {"call": "b:c"}]', "reserve": "2h"},
    {"on-exit": "module:é", "on-start": "a:b", "on-start-timeout": "1h"},
]


def test_fine_points_are_read_as_the_injector_reads_them() -> None:
    pods = {}
    for number, each in enumerate(FINE_POINTS):
        annotations = {contract.PREFIX + name: text for name, text in each.items()}
        pod = {"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "main", "image": "a"}]}}
        pods[f"p{number}"] = {"pod": pod, "values": {}}
    made = injected_by_helm(pods)
    for name, each in pods.items():
        expected, report = inject(each["pod"])
        assert not report.errors
        assert made[name] == expected, each


@pytest.mark.parametrize("text", ["5 minutes", "90", "1m1h", "s", "-5s", "0s", "200h", "1.s"])
def test_what_is_no_duration_is_refused_in_one_sentence(text: str) -> None:
    said = refusal({contract.ON_EXIT: "a:b", contract.RESERVE: text})
    assert re.search(r"podhooks\.io/reserve: \".*\" (isn't a duration: write one like 30s|must be above zero)", said)


@pytest.mark.parametrize(
    ("annotations", "spec", "said"),
    [
        ({"on-exit": '[{"call": "a:b", "timeout": 5}]'}, {}, "podhooks.io/on-exit[0].timeout: 5 is a number without"),
        ({"on-exit": "[{"}, {}, "podhooks.io/on-exit: can't be read: "),
        ({"on-exot": "a:b"}, {}, "podhooks.io/on-exot: isn't an annotation; the names are podhooks.io/on-start, "),
        ({"on-exit": "a:b", "mode": "sidecar"}, {}, '"sidecar" isn\'t known: write native or classic'),
        ({"on-exit": "a:b", "on-exit-policy": "fail"}, {}, "podhooks.io/on-exit-policy: fail can't fail the pod in"),
        ({"on-exit": "a:b", "main-container": "mian"}, {}, '"mian", which is no container of this pod: write one of'),
        ({"on-exit": "a:b", "resources": "{cpu: 1}"}, {}, "podhooks.io/resources: isn't a mapping of requests and"),
        ({"on-exit": "a:b", "resources": "{limits: {cpu: 1GB}}"}, {}, '"1GB" isn\'t a quantity: write one like 100m'),
        ({"on-exit": "a:b"}, {"volumes": [{"name": "podhooks-shared"}]}, "spec.volumes[0].name: "),
        ({"on-exit": "a:b"}, {"containers": []}, "the pod has no containers, so there is no main"),
        ({"on-exit": " "}, {}, "podhooks.io/on-exit: is empty: write a value, or remove the annotation"),
        (
            {"on-exit": "a:b"},
            {"containers": [{"name": "main", "env": [{"name": contract.ENV_MODE, "value": "x"}]}]},
            "PODHOOKS_MODE is a variable of main that Podhooks sets itself: take it out",
        ),
        (
            {"on-exit": "a:b"},
            {"containers": [{"name": "main", "volumeMounts": [{"name": "x", "mountPath": "/podhooks"}]}]},
            "/podhooks of main is below /podhooks, where Podhooks mounts its own volumes",
        ),
        (
            {"on-exit": "a:b"},
            {"containers": [{"name": "main", "volumeMounts": [{"name": "podhooks-shared", "mountPath": "/podhooks"}]}]},
            "/podhooks of main is below /podhooks, where Podhooks mounts its own volumes",
        ),
        ({"on-exit": "a:b", "python": "python3 -u"}, {}, 'podhooks.io/python: "python3 -u" has a blank in it'),
        ({"on-exit": "a:b"}, {"os": {"name": "windows"}}, "spec.os.name: Podhooks runs in Linux pods only"),
        (
            {"on-exit": "a:b", "mode": "classic"},
            {"automountServiceAccountToken": False},
            "spec.automountServiceAccountToken: classic mode needs the API to learn how main ended: mount the token",
        ),
        (
            {"on-exit": "a:b"},
            {"containers": [{"name": "main", "env": {"A": "b"}}]},
            "spec.containers[0].env: must be a list, not a map",
        ),
        (
            {"on-exit": "a:b"},
            {"containers": [{"name": "main", "volumeMounts": ["/data"]}]},
            'spec.containers[0].volumeMounts[0]: must be a map, not "/data"',
        ),
        ({"on-exit": "a:b"}, {"initContainers": {"name": "a"}}, "spec.initContainers: must be a list, not a map"),
        ({"on-exit": "a:b"}, {"volumes": [None]}, "spec.volumes[0]: must be a map, not null"),
        ({"on-exit": "a:b"}, {"terminationGracePeriodSeconds": "60"}, 'must be a number of seconds, not "60"'),
        ({"on-exit": "a:b"}, {"terminationGracePeriodSeconds": 1.5}, "must be a number of seconds, not 1.5"),
        ({"on-exit": "a:b"}, {"terminationGracePeriodSeconds": -1}, "must be a number of seconds, not -1"),
        ({"on-exit": 5}, {}, "podhooks.io/on-exit: is 5, but annotations hold text: put it in quotes"),
        ({"on-exit": "a:b", "status": "{}"}, {}, "this pod is injected already"),
    ],
)
def test_mistakes_are_told_in_one_sentence(annotations: dict[str, Any], spec: dict[str, Any], said: str) -> None:
    ours = {contract.PREFIX + name: text for name, text in annotations.items()}
    assert said in refusal(ours, **spec)


def test_a_pod_without_callbacks_is_left_alone() -> None:
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main"}], "volumes": []}}
    made = injected_by_helm({"one": {"pod": pod, "values": {"onExit": [], "mode": "", "onExitRetries": None}}})
    assert made["one"] == pod


# ---- flow-job


@pytest.mark.parametrize("values", [{}, FLOW], ids=["defaults", "everything"])
def test_flow_job_is_what_the_api_accepts_and_renders_alike_twice(values: dict[str, Any]) -> None:
    text = template("flow-job", values)
    assert text == template("flow-job", values)
    for each in parse(text, "helm").documents:
        kubernetes_validate.validate(each.value, "1.36", strict=True)


def test_flow_job_has_the_injectors_pod() -> None:
    pod = pod_template(of_kind(rendered("flow-job", FLOW), "CronJob"))
    annotations = pod["metadata"]["annotations"]
    assert json.loads(annotations[contract.ON_START]) == FLOW["onStart"]
    assert json.loads(annotations[contract.ON_EXIT]) == FLOW["onExit"]
    assert annotations[contract.ON_EXIT_RETRIES] == "0"
    assert annotations[contract.ON_EXIT_WHEN] == "failure, Succeeded"
    assert json.loads(annotations[contract.RESOURCES]) == FLOW["podhooks"]["resources"]
    assert pod["spec"]["terminationGracePeriodSeconds"] == 90 + 90 + 45
    settings = CASES[0].settings.replace(
        image="registry.example.com/podhooks:1",
        delivery=next(each.settings.delivery for each in CASES if each.name == "delivery-copy"),
        pull_policy="IfNotPresent",
    )
    again, report = inject(pod, settings)
    assert (report.outcome, report.errors) == (Outcome.UNCHANGED, ())
    assert again == pod


def test_a_grace_period_of_zero_is_one() -> None:
    def grace(**values: Any) -> Any:
        return pod_template(of_kind(rendered("flow-job", values), "Job"))["spec"].get("terminationGracePeriodSeconds")

    assert (grace(), grace(terminationGracePeriodSeconds=0)) == (None, 0)
    assert grace(terminationGracePeriodSeconds=0, onExit=["a:b"]) == 30


def test_flow_job_passes_pod_security_restricted_with_an_image_that_is_not_roots() -> None:
    values = {"onStart": ["a:b"], "onExit": ["c:d"], "podSecurityContext": {"runAsNonRoot": True}}
    assert violations(pod_template(of_kind(rendered("flow-job", values), "Job"))["spec"]) == []


def test_flow_job_runs_once_for_each_revision_and_a_schedule_makes_it_a_cron_job() -> None:
    objects = rendered("flow-job", {"onExit": ["a:b"]}, name="nightly")
    assert of_kind(objects, "Job")["metadata"]["name"] == "nightly-flow-job-1"
    assert "ttlSecondsAfterFinished" not in of_kind(objects, "Job")["spec"]
    cron = of_kind(rendered("flow-job", {"schedule": "@daily"}, name="nightly"), "CronJob")
    assert (cron["metadata"]["name"], cron["spec"]["schedule"]) == ("nightly-flow-job", "@daily")
    assert "suspend" not in cron["spec"]


def test_files_of_callbacks_keep_their_names() -> None:
    """YAML 1.1, which Kubernetes reads, takes some words for switches, as keys too."""
    assert '\n  "on": ' in template("flow-job", {"callbacks": {"files": {"on": "#!/bin/sh"}}})


def test_a_suspended_schedule_is_none_of_suspended_jobs() -> None:
    spec = of_kind(rendered("flow-job", {"schedule": "@daily", "cron": {"suspend": True}}), "CronJob")["spec"]
    assert (spec["suspend"], "suspend" in spec["jobTemplate"]["spec"]) == (True, False)
    spec = of_kind(rendered("flow-job", {"schedule": "@daily", "job": {"suspend": True}}), "CronJob")["spec"]
    assert ("suspend" in spec, spec["jobTemplate"]["spec"]["suspend"]) == (False, True)


def test_callbacks_follow_the_default_container_that_is_given() -> None:
    given = {"kubectl.kubernetes.io/default-container": "proxy"}
    values = {"podAnnotations": given, "extraContainers": [{"name": "proxy", "image": "p:1"}], "onExit": ["a:b"]}
    pod = pod_template(of_kind(rendered("flow-job", values), "Job"))
    assert pod["metadata"]["annotations"].items() >= given.items()
    assert {each["image"] for each in pod["spec"]["initContainers"]} == {"p:1"}


def test_flow_job_gives_the_service_account_what_the_sidecar_needs() -> None:
    objects = rendered("flow-job", FLOW)
    rules = of_kind(objects, "Role")["rules"]
    assert {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch"]} in rules
    assert rules[-1] == FLOW["rbac"]["rules"][0]
    assert of_kind(objects, "RoleBinding")["subjects"][0]["name"] == "etl"
    assert pod_template(of_kind(objects, "CronJob"))["spec"]["serviceAccountName"] == "etl"


def test_flow_jobs_test_pod_asks_for_no_injection_and_is_built_of_on_start() -> None:
    objects = rendered("flow-job", {"onStart": ["a:b"], "onExit": ["c:d"]})
    pod, job = of_kind(objects, "Pod"), pod_template(of_kind(objects, "Job"))
    assert not [name for name in pod["metadata"]["annotations"] if name.startswith(contract.PREFIX)]
    (check,) = pod["spec"]["containers"]
    on_start = next(each for each in job["spec"]["initContainers"] if each["name"] == "on-start")
    assert {**check, "name": "", "command": ""} == {**on_start, "name": "", "command": ""}
    assert json.loads(check["command"][-1]) == {contract.ON_START: "a:b", contract.ON_EXIT: "c:d"}


def test_flow_jobs_test_pod_finds_what_does_not_resolve(tmp_path: Path) -> None:
    """Its script, as the pod runs it: against the runtime and the callbacks of here."""
    (tmp_path / "hooks.py").write_text("def known(): pass\n")
    script = (CHARTS / "flow-job/files/check.py").read_text()
    root = str(CHARTS.parent)
    outcomes = []
    for function in ("known", "unknown"):
        plan = json.dumps({contract.ON_START: f"{tmp_path}/hooks.py:{function}"})
        ran = subprocess.run([sys.executable, "-c", script, root, plan], capture_output=True, text=True, timeout=50)
        outcomes.append((ran.returncode, ran.stdout.splitlines()[-1]))
    assert outcomes == [
        (0, "1 on_start and 0 on_exit callbacks: 0 problems"),
        (1, "1 on_start and 0 on_exit callbacks: 1 problems"),
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"imagee": "a:1"}, "imagee"),
        ({"image": ""}, "image"),
        ({"restartPolicy": "Always"}, "restartPolicy"),
        ({"image": None}, missing("image")),
        ({"image": "a b"}, "image"),
        ({"job": None}, missing("job")),
        ({"serviceAccount": {"create": None}}, missing("create")),
        ({"schedule": "@daily", "cron": {"concurrencyPolicy": None}}, missing("concurrencyPolicy")),
        ({"env": [{"name": "A", "value": 5}]}, "env.*0.*value"),
        ({"env": [{"A": "b"}]}, "env.*0.*missing propert.*name"),
        ({"nameOverride": "My_Job"}, "nameOverride"),
        ({"onExit": [{"call": "a:b", "exec": ["x"]}]}, "onExit"),
        ({"onStart": [{"call": "a:b", "when": "failure"}]}, "when"),
        ({"onExit": [{"call": "a:b", "timeout": "5 minutes"}]}, "timeout"),
        ({"podhooks": {"onExitTimeout": "90"}}, "onExitTimeout"),
        ({"podhooks": {"onExot": ["a:b"]}}, "onExot"),
        ({"podhooks": {"runtime": {"delivery": "pigeon"}}}, "delivery"),
        ({"onExit": ["a:b"], "podhooks": {"onExit": ["c:d"]}}, "onExit is there twice"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(HelmError, match=said):
        template("flow-job", values)


# ---- the operator


OPERATOR: dict[str, Any] = {
    "image": {"repository": "registry.example.com/podhooks", "tag": "1", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "runtime": {"image": "registry.example.com/runtime:1", "delivery": "copy", "pullPolicy": "IfNotPresent"},
    "optIn": True,
    "kubernetes": "1.33",
    "annotations": {contract.ON_EXIT_TIMEOUT: "1m", contract.PYTHON: "/venv/bin/python"},
    "webhook": {
        "failurePolicy": "Fail",
        "timeoutSeconds": 9,
        "failOnInvalid": True,
        "certificates": {"source": "cert-manager", "checkInterval": "5s"},
    },
    "policy": {"failurePolicy": "Fail"},
    "replicas": 3,
    "serviceAccount": {"create": True, "name": "injector", "annotations": {"a": "b"}},
    "podDisruptionBudget": {"enabled": True, "minAvailable": None, "maxUnavailable": "50%"},
    "networkPolicy": {
        "enabled": True,
        "webhookFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}],
    },
    "serviceMonitor": {"enabled": True, "interval": "10s", "labels": {"release": "prometheus"}},
    "alerts": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboard": {"enabled": True, "labels": {"grafana_dashboard": "1"}},
    "priorityClassName": "system-cluster-critical",
    "podLabels": {"team": "platform"},
    "podAnnotations": {"note": "yes"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "extraArgs": ["--drain", "2s"],
    "fullnameOverride": "hooks",
}
SELF_MADE = {
    **OPERATOR,
    "webhook": {
        "certificates": {
            "source": "self-made",
            "authorityLifetime": "100d",
            "certificateLifetime": "10d",
            "publishDelay": "2m",
        }
    },
}
NOT_KUBERNETES = ("cert-manager.io/v1", "monitoring.coreos.com/v1")  # resource definitions of others


def operator(values: dict[str, Any], namespace: str = "system") -> list[Object]:
    return rendered("podhooks", values, "--namespace", namespace, name="podhooks")


@pytest.mark.parametrize("injector", ["webhook", "policy", "none"])
@pytest.mark.parametrize("values", [{}, OPERATOR, SELF_MADE], ids=["defaults", "everything", "self-made"])
def test_the_operators_chart_is_what_the_api_accepts(values: dict[str, Any], injector: str) -> None:
    objects = operator({**values, "injector": injector})
    for each in objects:
        if each["apiVersion"] not in NOT_KUBERNETES:
            kubernetes_validate.validate(each, "1.36", strict=True)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names))
    assert bool(objects) is (injector != "none")
    assert not [each for each in objects if each["kind"] == "Secret" and each.get("data")]


def flags(objects: list[Object]) -> Settings:
    (container,) = of_kind(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return read_settings(container["args"], {})


def test_the_operator_takes_every_flag_that_the_chart_gives_it() -> None:
    release: dict[str, Any] = {"service": "hooks", "webhook_configuration": "hooks"}
    runtime: dict[str, Any] = {
        "image": "registry.example.com/runtime:1",
        "delivery": Delivery.COPY,
        "pull_policy": "IfNotPresent",
        "kubernetes": "1.33",
        "annotation": OPERATOR["annotations"],
        "drain": 2.0,
    }
    files: dict[str, Any] = {"certificates": CertificateSource.FILES, "check_interval": 5.0, "fail_on_invalid": True}
    assert flags(operator(OPERATOR)) == Settings(**release, **runtime, **files)
    lives: dict[str, Any] = {
        "authority_lifetime": 100 * 86400.0,
        "certificate_lifetime": 10 * 86400.0,
        "publish_delay": 120.0,
    }
    names: dict[str, Any] = {"secret": "hooks-webhook-certificates"}
    assert flags(operator(SELF_MADE)) == Settings(**release, **runtime, **lives, **names)
    assert flags(operator({})) == Settings(service="podhooks", webhook_configuration="podhooks")


def test_the_operators_deployment_holds_what_its_flags_name() -> None:
    objects = operator({})
    assert of_kind(objects, "Secret")["metadata"]["name"] == flags(objects).secret
    assert of_kind(objects, "Service")["metadata"]["name"] == flags(objects).service
    pod = of_kind(objects, "Deployment")["spec"]["template"]["spec"]
    ports = {each["name"]: each["containerPort"] for each in pod["containers"][0]["ports"]}
    assert ports == {"webhook": Settings.port, "health": Settings.health_port}
    assert pod["terminationGracePeriodSeconds"] > Settings.drain + Settings.shutdown_timeout
    assert violations(pod) == []
    assert violations(of_kind(objects, "Pod")["spec"]) == []


@pytest.mark.parametrize(("values", "self_made"), [(SELF_MADE, True), (OPERATOR, False)])
def test_the_operators_rights_and_webhook_are_those_of_the_renderers(values: dict[str, Any], self_made: bool) -> None:
    objects = operator(values)
    names = OperatorNames(
        namespace="system",
        service_account="injector",
        role="hooks",
        configuration="hooks",
        secret="hooks-webhook-certificates",
    )
    for each in operator_rbac(names, self_made=self_made):
        made = of_kind(objects, each["kind"])
        assert without_labels(made).get("rules") == each.get("rules")
        assert made.get("subjects") == each.get("subjects")
        assert made["metadata"]["name"] == each["metadata"]["name"]
    assert ("Role" in {each["kind"] for each in objects}) is self_made
    options = WebhookOptions(
        name="hooks",
        namespace="system",
        service="hooks",
        certificate="" if self_made else "system/hooks-webhook",
        failure_policy="Ignore" if self_made else "Fail",
        timeout_seconds=5 if self_made else 9,
        opt_in=True,
    )
    assert without_labels(of_kind(objects, "MutatingWebhookConfiguration")) == webhook_configuration(options)


RESCUER: dict[str, Any] = {
    "enabled": True,
    "namespaces": ["etl", "web"],
    "hold": "90s",
    "deadline": "30m",
    "keep": "12h",
    "atOnce": 5,
}


def named(objects: list[Object]) -> dict[tuple[str, str, str], Object]:
    """By kind, namespace and name."""
    return {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): without_labels(each)
        for each in objects
    }


@pytest.mark.parametrize("injector", ["webhook", "policy", "none"])
@pytest.mark.parametrize("namespaces", [[], ["etl", "web"]])
def test_the_rescuers_kind_rights_and_confinement_are_those_of_the_renderer(
    injector: str, namespaces: list[str]
) -> None:
    values = {**SELF_MADE, "injector": injector, "rescuer": {**RESCUER, "namespaces": namespaces}}
    objects = named(operator(values))
    names = OperatorNames(namespace="system", service_account="injector", role="hooks", lease="hooks-rescuer")
    expected = named(rescuer_objects(names, namespaces))
    assert {key: each for key, each in objects.items() if key in expected} == expected
    assert ("Lease", "system", "hooks-rescuer") in objects
    assert ("ServiceAccount", "system", "injector") in objects
    for each in expected.values():
        kubernetes_validate.validate(each, "1.36", strict=True)


def test_the_rescuers_values_are_the_operators_flags() -> None:
    objects = operator({"rescuer": RESCUER})
    found = flags(objects)
    assert (found.rescuer, found.rescue_namespace, found.lease) == (True, ("etl", "web"), "podhooks-rescuer")
    assert (found.hold, found.rescue_deadline, found.keep_rescues, found.rescues_at_once) == (90, 1800, 43200, 5)
    alone = operator({"injector": "policy", "rescuer": {"enabled": True}})
    assert (flags(alone).webhook, flags(alone).rescuer) == (False, True)
    (container,) = of_kind(alone, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert [each["name"] for each in container["ports"]] == ["health"]


def test_uninstalling_releases_all_pods_before_and_after() -> None:
    objects = operator({"rescuer": {"enabled": True}, "tolerations": [{"operator": "Exists"}]})
    hooks = [each for each in objects if "delete" in each["metadata"].get("annotations", {}).get("helm.sh/hook", "")]
    assert {each["kind"] for each in hooks} == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Job"}
    assert {each["metadata"]["annotations"]["helm.sh/hook"] for each in hooks} == {"pre-delete,post-delete"}
    (job,) = (each for each in hooks if each["kind"] == "Job")
    spec = job["spec"]["template"]["spec"]
    assert spec["containers"][0]["command"] == ["python3", "-m", "podhooks.cli", "release", "-A"]
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert violations(spec) == []
    for each in hooks:
        kubernetes_validate.validate(each, "1.36", strict=True)


def test_without_the_rescuer_there_is_nothing_of_it() -> None:
    assert not [each for each in operator({}) if "rescue" in json.dumps(each).replace("rescuer.enabled", "")]


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("pull_policy", ["", "Never"])
def test_the_policy_is_that_of_the_renderer(delivery: Delivery, pull_policy: str) -> None:
    runtime: dict[str, Any] = {
        "image": "registry.example.com/runtime:1",
        "delivery": delivery.value,
        "pullPolicy": pull_policy,
    }
    objects = operator({**OPERATOR, "injector": "policy", "runtime": runtime})
    inject = InjectSettings(image=runtime["image"], delivery=delivery, pull_policy=pull_policy or None)
    settings = PolicySettings(inject, name="hooks", namespace="system", opt_in=True, failure_policy="Fail")
    assert [without_blanks(without_labels(each)) for each in objects] == [
        without_blanks(each) for each in (policy(settings), binding(settings))
    ]


def without_blanks(obj: Object) -> str:
    """Lines of CEL are broken where they get long, which a name's placeholder isn't."""
    return re.sub(r"\\n|\s", "", json.dumps(obj, sort_keys=True))


def without_labels(obj: Object) -> Object:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "labels"}}


def test_cert_managers_authority_keeps_its_key() -> None:
    """Its CA injector puts the new authority in the old one's place, before replicas can have certificates of it."""
    made = {each["metadata"]["name"]: each["spec"] for each in operator(OPERATOR) if each["kind"] == "Certificate"}
    assert made["hooks-webhook-ca"]["privateKey"]["rotationPolicy"] == "Never"
    assert made["hooks-webhook"]["privateKey"]["rotationPolicy"] == "Always"
    issuer = {"name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io"}
    theirs = operator({"webhook": {"certificates": {"source": "cert-manager", "issuerRef": issuer}}})
    (certificate,) = [each for each in theirs if each["apiVersion"] == "cert-manager.io/v1"]
    assert certificate["spec"]["issuerRef"] == issuer


def test_what_is_taken_out_has_kubernetes_own_default() -> None:
    """Helm takes out what is null; a section or a switch can't be."""
    made = operator({"runtime": {"pullPolicy": None}, "extraArgs": None, "resources": None})
    assert flags(made) == flags(operator({}))
    spec = pod_template(of_kind(rendered("flow-job", {"resources": None, "podhooks": {"runtime": None}}), "Job"))[
        "spec"
    ]
    assert "resources" not in spec["containers"][0]
    lists = {"volumes": None, "volumeMounts": None, "callbacks": {"files": {"hooks.py": ""}}}
    spec = pod_template(of_kind(rendered("flow-job", lists), "Job"))["spec"]
    assert ([each["name"] for each in spec["volumes"]], "resources" in spec["containers"][0]) == (["callbacks"], True)


def test_the_disruption_budget_is_the_one_given_also_if_it_is_zero() -> None:
    def budget(**given: Any) -> dict[str, Any]:
        made = of_kind(operator({"podDisruptionBudget": given}), "PodDisruptionBudget")["spec"]
        return {key: value for key, value in made.items() if key != "selector"}

    assert budget() == {"minAvailable": 1}
    assert budget(maxUnavailable=0) == {"maxUnavailable": 0}
    assert budget(minAvailable="50%") == {"minAvailable": "50%"}
    assert "PodDisruptionBudget" not in [each["kind"] for each in operator({"replicas": 1})]


def test_an_image_may_be_pinned_by_its_digest() -> None:
    image = {"repository": "registry:5000/podhooks", "tag": f"1@sha256:{'0' * 64}"}
    (container,) = of_kind(operator({"image": image}), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry:5000/podhooks:1@sha256:{'0' * 64}"


def test_the_service_monitor_and_the_network_policy_use_ports_that_are_there() -> None:
    objects = operator(OPERATOR)
    ports = {each["name"] for each in of_kind(objects, "Service")["spec"]["ports"]}
    assert {each["port"] for each in of_kind(objects, "ServiceMonitor")["spec"]["endpoints"]} <= ports
    allowed = [each["port"] for rule in of_kind(objects, "NetworkPolicy")["spec"]["ingress"] for each in rule["ports"]]
    assert set(allowed) == {"webhook", "health"}


def test_namespaces_that_opt_in_let_their_pods_look_at_themselves() -> None:
    objects = operator({"podRights": {"namespaces": ["etl", "reports"]}})
    roles = [each for each in objects if each["kind"] == "Role" and each["metadata"]["name"].endswith("-pods")]
    bindings = [
        each for each in objects if each["kind"] == "RoleBinding" and each["metadata"]["name"].endswith("-pods")
    ]
    assert [each["metadata"]["namespace"] for each in roles] == ["etl", "reports"]
    assert all(each["rules"] == pod_rules() for each in roles)
    assert [each["subjects"][0]["name"] for each in bindings] == [
        "system:serviceaccounts:etl",
        "system:serviceaccounts:reports",
    ]
    assert not [each for each in operator({}) if each["metadata"]["name"].endswith("-pods")]


def test_without_an_interval_prometheus_takes_its_own() -> None:
    monitor = of_kind(operator({"serviceMonitor": {"enabled": True, "interval": ""}}), "ServiceMonitor")
    assert monitor["spec"]["endpoints"] == [{"port": "health", "path": "/metrics"}]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"injector": "webhok"}, "injector"),
        ({"podRights": {"namespaces": ["No Namespace"]}}, "namespaces"),
        ({"webhook": {"certificates": {"source": "magic"}}}, "source"),
        ({"webhook": {"timeoutSeconds": 60}}, "timeoutSeconds"),
        ({"injector": None}, missing("injector")),
        ({"networkPolicy": None}, missing("networkPolicy")),
        ({"annotations": {"on-exit": "a:b"}}, "on-exit"),
        ({"annotations": {"podhooks.io/on-exot-timeout": "1m"}}, "podhooks.io/on-exot-timeout"),
        ({"image": {"repository": "podhooks:1"}}, "image.repository"),
        ({"image": {"tag": "sha256:0"}}, "image.tag"),
        ({"image": "podhooks:1"}, "image"),
        ({"runtime": {"image": 'a"b'}}, "image"),
        ({"replicas": 0}, "replicas"),
        ({"serviceMonitor": {"interval": "30"}}, "interval"),
    ],
)
def test_wrong_values_of_the_operators_chart_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(HelmError, match=said):
        template("podhooks", values)


@pytest.mark.parametrize("injector", ["webhook", "policy", "none"])
def test_notes_tell_the_next_step_by_its_right_name(injector: str) -> None:
    said = notes("podhooks", {"injector": injector, "fullnameOverride": "hooks"})
    assert {"webhook": "deployment/hooks", "policy": "The policy hooks", "none": "podhooks inject -f"}[injector] in said


def test_notes_of_flow_job_name_its_job() -> None:
    assert "logs -f job/demo-flow-job-1 --all-containers" in notes("flow-job", {"onExit": ["a:b"]})
    assert "--from=cronjob/demo-flow-job\n" in notes("flow-job", {"schedule": "@daily", "onExit": ["a:b"]})
    assert "Job demo-flow-job-1 is suspended" in notes("flow-job", {"job": {"suspend": True}})
    assert "is suspended" in notes("flow-job", {"schedule": "@daily", "cron": {"suspend": True}})
    assert "There are none yet" in notes("flow-job", {})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"onStart": "a:b, c:d", "onExit": ["e:f"]}, "2 at the start, 1 at the end"),
        ({"podhooks": {"onExit": ["a:b", {"call": "c:d"}]}}, "0 at the start, 2 at the end"),
        ({"podAnnotations": {contract.ON_EXIT: "a:b"}}, "0 at the start, 1 at the end"),
    ],
)
def test_notes_of_flow_job_count_callbacks_however_they_are_given(values: dict[str, Any], said: str) -> None:
    text = notes("flow-job", values)
    assert f"Callbacks: {said}." in text
    assert "There are none yet" not in text
    assert "helm test" in text


def notes(chart: str, values: dict[str, Any]) -> str:
    """What Helm would tell after an installation, without one."""
    said = helm("install", "demo", CHARTS / chart, "-f", "-", "--dry-run=client", stdin=json.dumps(values))
    return said.partition("NOTES:\n")[2]


# ---- all of them


def test_what_comes_from_code_is_as_fresh_as_the_code() -> None:
    ran = subprocess.run(
        [sys.executable, str(CHARTS / "generate.py"), "--check"], capture_output=True, text=True, timeout=50
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("chart", ["flow-job", "podhooks"])
@pytest.mark.parametrize("release", ["etl.v2", "v2.flow-job.podhooks"])
def test_a_release_may_have_dots_in_its_name(chart: str, release: str) -> None:
    """As Helm allows; Services and the hosts' names of indexed Jobs may not."""
    objects = rendered(chart, {}, name=release)
    assert not [each["metadata"]["name"] for each in objects if "." in each["metadata"]["name"]]


def present() -> list[str]:
    return [name for name in OURS if (CHARTS / name / "Chart.yaml").exists()]


def test_charts_pass_lint() -> None:
    helm("lint", "--strict", *(CHARTS / name for name in present()))


def values_file(chart: str) -> dict[str, Any]:
    text = (CHARTS / chart / "values.yaml").read_text()
    return parse(f"kind: Values\n{text}", chart).documents[0].value


@pytest.mark.parametrize("chart", present())
def test_values_schema_and_comments_agree(chart: str) -> None:
    """Whatever has a default is in the schema and the other way about, and above its first key stands a comment."""
    values = {key: value for key, value in values_file(chart).items() if key != "kind"}
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    assert schema["additionalProperties"] is False
    assert set(values) == set(schema["properties"]) - {"global"}
    for key, value in values.items():
        properties = schema["properties"][key].get("properties")
        if isinstance(value, dict) and properties and value:
            assert set(value) <= set(properties), key


def lessened(values: dict[str, Any], defaults: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each value that is none of the defaults by its path, and what is given without it."""
    for key, value in values.items():
        rest = {other: each for other, each in values.items() if other != key}
        if isinstance(value, dict) and value:
            below = lessened(value, defaults.get(key) or {})
            yield from ((f"{key}.{path}", {**rest, key: less}) for path, less in below)
        elif key not in defaults or value != defaults[key]:
            yield key, rest


@pytest.mark.parametrize(
    ("chart", "values", "idle"),
    [
        ("flow-job", FLOW, set()),
        ("podhooks", OPERATOR, {"policy.failurePolicy", "podDisruptionBudget.minAvailable"}),
        ("podhooks", {"webhook": SELF_MADE["webhook"]}, set()),
    ],
)
def test_no_value_is_passed_over(chart: str, values: dict[str, Any], idle: set[str]) -> None:
    """Whichever is taken away from all that can be given, something else is rendered, or it is refused."""

    def made(given: dict[str, Any]) -> str:
        try:
            return template(chart, given)
        except HelmError as error:
            return str(error)

    whole = made(values)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda each: (each[0], made(each[1]) == whole), lessened(values, values_file(chart)))
    assert {path for path, is_same in found if is_same} == idle


@pytest.mark.parametrize(("chart", "values"), [("flow-job", FLOW), ("podhooks", OPERATOR), ("podhooks", SELF_MADE)])
def test_helm_3_makes_the_same_of_every_chart(chart: str, values: dict[str, Any]) -> None:
    def by_name(major: int) -> dict[tuple[str, str], Object]:  # each has an order of kinds of its own
        return {(each["kind"], each["metadata"]["name"]): each for each in rendered(chart, values, major=major)}

    assert by_name(3) == by_name(4)


def test_a_packaged_chart_brings_the_library_along(tmp_path: Path) -> None:
    """In the repository it is a link, which isn't there any more in what is published."""
    helm("package", CHARTS / "flow-job", "--destination", tmp_path)
    (package,) = tmp_path.iterdir()
    assert rendered(package, {"onExit": ["a:b"]}) == rendered("flow-job", {"onExit": ["a:b"]})


def test_every_annotation_has_a_value_with_its_name() -> None:
    """The library's keys are the annotations' names and nothing else, but the injector's own settings."""
    written = values_of(dict.fromkeys(USER_ANNOTATIONS, "[]"))
    assert set(values_file("podhooks-lib")) - {"kind", "runtime"} == set(written)


@pytest.mark.parametrize("chart", present())
def test_charts_have_the_projects_version_and_make_nothing_up(chart: str) -> None:
    """No certificate, no random name, no time, no look at the cluster: what is rendered is the same every time."""
    about = (CHARTS / chart / "Chart.yaml").read_text()
    assert f'appVersion: "{__version__}"' in about
    for path in (each for each in (CHARTS / chart / "templates").rglob("*") if each.suffix in (".tpl", ".yaml")):
        made_up = re.search(
            r"\b(gen(CA|SignedCert|SelfSignedCert|PrivateKey)\w*|rand[A-Z]\w*|uuidv4|now|lookup)\b", path.read_text()
        )
        assert made_up is None, f"{path}: {made_up}"
