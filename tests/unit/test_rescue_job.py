"""The rescue Job: what it takes from the pod, and what it mustn't."""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest
from podhooks_operator.rescue.debt import debt_of
from podhooks_operator.rescue.decide import verdict_of
from podhooks_operator.rescue.job import MAX_TASK_BYTES, MESH_OPT_OUTS, rescue_job, seconds_for, trial_pod
from podhooks_operator.rescue.objects import Rescue, new_rescue, read_rescue
from podhooks_operator.rescue.standing import standing

from podhooks import contract
from podhooks.context import Status
from podhooks.inject import Delivery, InjectSettings, inject
from podhooks.runtime.rescue_task import RescueTask, reopened
from tests.pod_security import violations
from tests.rescue_pods import Json, at, ended, outcome, pod, record, stamp

TOKEN = {"name": "kube-api-access-x7k2p", "mountPath": contract.SERVICE_ACCOUNT_DIR, "readOnly": True}
MAIN: Json = {
    "name": "main",
    "image": "app:1",
    "imagePullPolicy": "Never",
    "workingDir": "/srv",
    "args": ["--serve"],
    "ports": [{"containerPort": 80}],
    "env": [
        {"name": "PLAIN", "value": "x"},
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "TEAM", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "containerName": "main"}}},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "volumeMounts": [
        {"name": "data", "mountPath": "/data"},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "code", "mountPath": "/code"},
        TOKEN,
    ],
}
VOLUMES = [
    {"name": "data", "persistentVolumeClaim": {"claimName": "d"}},
    {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
    {"name": "code", "configMap": {"name": "code"}},
    {"name": "unused", "secret": {"secretName": "u"}},
    {"name": "kube-api-access-x7k2p", "projected": {"sources": []}},
]


def recorded(delivery: Delivery = Delivery.IMAGE, **changes: Any) -> Rescue:
    """Of a pod as it stood in the API, injected and finished."""
    source = pod(phase="Failed", main=ended(7), on_exit=None, annotations=changes.pop("annotations", None))
    source["metadata"]["labels"] |= {"app": "web", "team": "etl", "job-name": "etl"}
    source["metadata"]["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "Job", "name": "etl", "uid": "1"}]
    source["spec"] |= {
        "containers": [MAIN],
        "initContainers": [{"name": "fetch", "image": "fetch:1"}],
        "volumes": VOLUMES,
        "serviceAccountName": "etl",
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "securityContext": {"runAsUser": 1000, "runAsNonRoot": True},
        "priorityClassName": "high",
        "priority": 1000,
        "hostname": "web-0",
        "subdomain": "web",
        **changes,
    }
    made, report = inject(source, InjectSettings(delivery=delivery))
    assert report.injectable, report.findings
    verdict = verdict_of(made)
    raw = new_rescue(made, "podhooks", verdict, debt_of(made, verdict), standing(made, at(0), 60))
    raw["metadata"]["creationTimestamp"] = stamp(0)
    return read_rescue(raw)


def job(rescue: Rescue, delivery: Delivery = Delivery.IMAGE) -> Json:
    return rescue_job(rescue, 1, InjectSettings(delivery=delivery), at(0), at(3600))


def container(made: Json) -> Json:
    (found,) = made["spec"]["template"]["spec"]["containers"]
    return dict(found)


def task(made: Json) -> RescueTask:
    return RescueTask.from_json(json.loads(made["spec"]["template"]["metadata"]["annotations"]["podhooks.io/rescue"]))


@pytest.mark.parametrize("delivery", list(Delivery))
def test_it_is_a_valid_job_and_its_pod_too(delivery: Delivery) -> None:
    made = job(recorded(delivery), delivery)
    for each in (made, trial_pod(made)):
        kubernetes_validate.validate(each, "1.36", strict=True)
    assert violations(made["spec"]["template"]["spec"]) == []


def test_mains_image_environment_identity_and_place_are_taken_over() -> None:
    made = job(recorded())
    found, spec = container(made), made["spec"]["template"]["spec"]
    assert (found["image"], found["imagePullPolicy"], found["workingDir"]) == ("app:1", "Never", "/srv")
    assert found["envFrom"] == MAIN["envFrom"]
    assert {"args", "ports", "restartPolicy"} & set(found) == set()
    for field in ("serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations", "priorityClassName"):
        assert spec[field] == recorded().object["spec"][field]
    assert spec["securityContext"] == {"runAsUser": 1000, "runAsNonRoot": True}
    assert {"hostname", "subdomain", "priority", "nodeName", "initContainers"} & set(spec) == set()


def test_variables_that_refer_to_the_pod_keep_its_values() -> None:
    env = {each["name"]: each for each in container(job(recorded()))["env"]}
    assert (env["WHO"]["value"], env["TEAM"]["value"], env["PLAIN"]["value"]) == ("etl", "etl", "x")
    assert env[contract.ENV_POD_NAME]["value"] == "etl"
    assert env[contract.ENV_POD_UID]["value"] == recorded().pod.uid
    assert env["CPU"]["valueFrom"] == {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert env["PASSWORD"] == MAIN["env"][4]
    assert env[contract.ENV_RESCUE]["value"] == "/podhooks/podinfo/rescue"


def test_volumes_are_mounted_again_and_the_context_says_which_come_empty() -> None:
    made = job(recorded())
    volumes = {each["name"] for each in made["spec"]["template"]["spec"]["volumes"]}
    assert volumes == {"data", "scratch", "code", *contract.OUR_VOLUMES}
    assert contract.SERVICE_ACCOUNT_DIR not in [each["mountPath"] for each in container(made)["volumeMounts"]]
    assert task(made).emptied == ("/scratch", contract.SHARED_DIR)


def test_neither_the_owners_selector_nor_a_webhook_nor_a_mesh_takes_it_for_theirs() -> None:
    metadata = job(recorded())["spec"]["template"]["metadata"]
    assert {"app", "team", "job-name", contract.GUARANTEE_LABEL} & set(metadata["labels"]) == set()
    assert metadata["labels"][contract.RESCUE_LABEL] == recorded().pod.uid
    assert not {contract.ON_START, contract.ON_EXIT} & set(metadata["annotations"])
    assert MESH_OPT_OUTS.items() <= metadata["annotations"].items()


def test_it_runs_once_and_not_longer_than_the_rescue_may_stay_open() -> None:
    rescue = recorded(annotations={contract.ON_EXIT_TIMEOUT: "10s", contract.ON_EXIT_RETRIES: "1"})
    spec = job(rescue)["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert spec["activeDeadlineSeconds"] == 2 * (10 * 2 + 30) + 600
    assert seconds_for(rescue, at(3500), at(3600)) == 100
    assert seconds_for(rescue, at(3599), at(3600)) == 60


def test_what_it_is_told() -> None:
    told = task(job(recorded()))
    assert (told.pod.name, told.pod.namespace, told.main_container) == ("etl", "etl", "main")
    assert (told.exit_info.result.value, told.exit_info.exit_code) == ("Failed", 7)
    assert told.pod.labels["job-name"] == "etl"
    assert told.pod_object["spec"]["containers"][0]["name"] == "main"


def test_what_is_too_large_to_be_told_is_left_out_in_order() -> None:
    large = recorded(initContainers=[{"name": "fetch", "image": "fetch:1", "args": ["x" * MAX_TASK_BYTES]}])
    told = task(job(large))
    assert (told.pod_object, told.pod.annotations[contract.ON_EXIT]) == ({}, "a:b, c:d")
    larger = recorded(annotations={"example.com/much": "x" * MAX_TASK_BYTES})
    assert "example.com/much" not in task(job(larger)).pod.annotations


def test_a_record_is_reopened_where_the_pods_time_ran_out() -> None:
    left = record(
        outcome("a:b"),
        outcome("c:d", Status.TIMED_OUT, 1, cut=True),
        outcome("e:f", Status.SKIPPED, 0, cut=True),
        outcome("g:h", Status.SKIPPED, 0),
        complete=True,
    )
    opened = reopened(left)
    assert [(each.name, each.status) for each in opened.outcomes] == [
        ("a:b", Status.SUCCEEDED),
        ("c:d", Status.INTERRUPTED),
        ("g:h", Status.SKIPPED),
    ]
    assert not opened.complete
