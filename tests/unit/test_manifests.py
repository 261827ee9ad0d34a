"""manifests/: fresh, accepted by the API, injected as the injector would, and the same as what Helm makes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from podhooks_operator.settings import read_settings

from podhooks.annotations.parser import parse as parse_plan
from podhooks.errors import InputError
from podhooks.inject import InjectSettings, Outcome, inject_object
from podhooks.render.operator import OperatorOptions, operator_objects
from podhooks.runtime.resolve import check
from podhooks.yamltext.stream import parse
from tests.helm import rendered
from tests.pod_security import violations

MANIFESTS = Path(__file__).parents[2] / "manifests"
FILES = sorted(MANIFESTS.glob("*.yaml"))
JOBS = ("flow-job", "job", "cronjob")


def objects(name: str) -> list[dict[str, Any]]:
    path = MANIFESTS / f"{name}.yaml"
    return [each.value for each in parse(path.read_text(), path.name).documents]


def pod_template(name: str) -> dict[str, Any]:
    spec = objects(name)[-1]["spec"]
    found: dict[str, Any] = spec.get("jobTemplate", {"spec": spec})["spec"]["template"]
    return found


def test_they_are_what_the_code_makes() -> None:
    ran = subprocess.run(
        [sys.executable, MANIFESTS / "generate.py", "--check"], capture_output=True, text=True, timeout=50
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_api_accepts_them(path: Path) -> None:
    for each in objects(path.stem):
        kubernetes_validate.validate(each, "1.36", strict=True)


@pytest.mark.parametrize("name", JOBS)
def test_jobs_are_injected_and_there_is_nothing_to_say_about_them(name: str) -> None:
    made, (report,) = inject_object(objects(name)[-1])
    assert (report.report.outcome, report.report.findings) == (Outcome.UNCHANGED, ())
    assert made == objects(name)[-1]
    assert violations(pod_template(name)["spec"]) == []


def test_the_flow_job_brings_all_that_it_names(tmp_path: Path) -> None:
    by_kind = {each["kind"]: each for each in objects("flow-job")}
    pod = pod_template("flow-job")
    assert pod["spec"]["serviceAccountName"] == by_kind["ServiceAccount"]["metadata"]["name"]
    assert by_kind["RoleBinding"]["subjects"][0]["name"] == by_kind["ServiceAccount"]["metadata"]["name"]
    volume = next(each for each in pod["spec"]["volumes"] if each["name"] == "callbacks")
    assert volume["configMap"]["name"] == by_kind["ConfigMap"]["metadata"]["name"]
    mount = next(each for each in pod["spec"]["containers"][0]["volumeMounts"] if each["name"] == "callbacks")
    for name, content in by_kind["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(content)
    moved = {
        key: text.replace(mount["mountPath"] + "/", f"{tmp_path}/")
        for key, text in pod["metadata"]["annotations"].items()
    }
    plan, _ = parse_plan(moved)
    assert (len(plan.on_start), len(plan.on_exit)) == (1, 1)
    assert check((*plan.on_start, *plan.on_exit)) == []


def test_the_operator_is_the_one_that_helm_makes() -> None:
    """Labels and the object that only Helm needs aside: the Secret, which the operator makes itself."""
    ours = {each["kind"]: each for each in objects("operator")}
    helms = {each["kind"]: each for each in rendered("podhooks", {}, "--namespace", "podhooks", name="podhooks")}
    assert set(helms) - set(ours) == {"Secret", "Pod"}
    assert set(ours) - set(helms) == {"Namespace"}
    for kind in set(ours) & set(helms):
        assert without_labels(ours[kind]) == without_labels(helms[kind]), kind


def without_labels(obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "labels"}}


def test_the_operators_options_reach_their_objects() -> None:
    options = OperatorOptions(image="x:1", name="hooks", namespace="system", replicas=3, delivery="copy")
    made = {each["kind"]: each for each in operator_objects(options)}
    assert made["Namespace"]["metadata"]["name"] == "system"
    assert {each["metadata"]["name"] for kind, each in made.items() if kind != "Namespace"} == {"hooks"}
    assert made["Deployment"]["spec"]["replicas"] == 3
    (container,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "x:1"
    settings = read_settings(container["args"], {})
    assert (settings.image, settings.delivery.value, settings.rescuer) == ("x:1", "copy", False)
    (webhook,) = made["MutatingWebhookConfiguration"]["webhooks"]
    assert webhook["clientConfig"]["service"]["name"] == "hooks"
    assert {"system", "kube-system"} <= set(webhook["namespaceSelector"]["matchExpressions"][0]["values"])


def test_a_rescuer_comes_with_its_kind_its_rights_and_its_confinement() -> None:
    options = OperatorOptions(image="x:1", name="hooks", namespace="system", rescuer=True, rescue_namespaces=("etl",))
    objects = operator_objects(options)
    made = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]) for each in objects}
    assert {
        ("CustomResourceDefinition", "", "rescues.podhooks.io"),
        ("ValidatingAdmissionPolicy", "", "hooks-rescuer"),
        ("ValidatingAdmissionPolicyBinding", "", "hooks-rescuer"),
        ("RoleBinding", "etl", "hooks-rescuer"),
        ("RoleBinding", "system", "hooks-rescuer"),
    } <= made
    assert ("ClusterRoleBinding", "", "hooks-rescuer") not in made
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    settings = read_settings(deployment["spec"]["template"]["spec"]["containers"][0]["args"], {})
    assert (settings.rescuer, settings.rescue_namespace, settings.lease) == (True, ("etl",), "hooks-rescuer")
    assert f"system:serviceaccount:system:{options.names.service_account}" in json.dumps(objects)


def test_a_single_replica_does_not_keep_its_node_from_being_drained() -> None:
    assert "PodDisruptionBudget" in [each["kind"] for each in operator_objects(OperatorOptions(image="x:1"))]
    one = operator_objects(OperatorOptions(image="x:1", replicas=1))
    assert "PodDisruptionBudget" not in [each["kind"] for each in one]


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"name": "A_b"}, {"namespace": "a.b"}, {"name": "a" * 64}])
def test_what_would_be_applied_by_half_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        operator_objects(OperatorOptions(image="x:1", **wrong))


def test_images_are_those_of_this_version() -> None:
    for name in (*JOBS, "operator"):
        assert InjectSettings().image in (MANIFESTS / f"{name}.yaml").read_text()


RULE = {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [42]}}
NAMED = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}
DISRUPTED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


@pytest.mark.parametrize(
    ("policy", "spec", "expected"),
    [
        ("Never", {"podFailurePolicy": {"rules": [DISRUPTED, RULE]}}, ["failure-policy-counts-ours"]),
        ("Never", {"podFailurePolicy": {"rules": [DISRUPTED, NAMED]}}, []),
        ("OnFailure", {"backoffLimit": 0}, ["restarts-count"]),
        ("OnFailure", {"backoffLimit": 2}, ["restarts-count"]),
        ("OnFailure", {"backoffLimit": 3}, []),
        ("OnFailure", {}, []),
        ("Never", {"backoffLimit": 0}, []),
    ],
)
@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_what_a_job_makes_of_our_containers_is_said(
    kind: str, policy: str, spec: dict[str, Any], expected: list[str]
) -> None:
    metadata = {"annotations": {"podhooks.io/on-exit": "a:b"}}
    pod = {"restartPolicy": policy, "containers": [{"name": "main", "image": "a:1"}]}
    job: dict[str, Any] = {"spec": {**spec, "template": {"metadata": metadata, "spec": pod}}}
    at = "spec" if kind == "Job" else "spec.jobTemplate.spec"
    manifest = {"kind": kind, "metadata": {"name": "a"}, **(job if kind == "Job" else {"spec": {"jobTemplate": job}})}
    (report,) = inject_object(manifest)[1]
    assert [each.code for each in report.report.warnings] == expected
    assert report.report.injectable
    fields = {"failure-policy-counts-ours": "podFailurePolicy.rules[1].onExitCodes", "restarts-count": "backoffLimit"}
    assert [each.where for each in report.report.warnings] == [f"{at}.{fields[code]}" for code in expected]
