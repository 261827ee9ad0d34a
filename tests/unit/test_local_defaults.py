"""What is added to new pods and jobs, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from podhooks.local.defaults import default_job, default_pod, qos_class
from podhooks.local.store import ApiError

Json = dict[str, Any]
TRACES = Path(__file__).parent.parent / "traces"


def pod(**spec: Any) -> Json:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "a"}], **spec}}


def test_a_recorded_pod_gets_the_recorded_defaults() -> None:
    """All but the ones that a local cluster doesn't have (tolerations, priority, OpenShift's CA)."""
    with (TRACES / "native-deleted.jsonl").open() as file:
        recorded = json.loads(file.readline())["event"]["object"]["spec"]
    given = {k: recorded[k] for k in ("restartPolicy", "terminationGracePeriodSeconds", "serviceAccountName")}
    kept = ("name", "image", "command", "restartPolicy", "imagePullPolicy")
    for field in ("initContainers", "containers"):
        given[field] = [{k: c[k] for k in kept if k in c} for c in recorded[field]]
    made = {"metadata": {"name": "p"}, "spec": given}
    default_pod(made)
    ours = made["spec"]
    for spec in (ours, recorded):
        name = spec["volumes"][-1]["name"]
        assert len(name) == len("kube-api-access-xxxxx")
        text = json.dumps(spec).replace(name, "kube-api-access")
        spec.clear()
        spec.update(json.loads(text))
    for field in (
        "containers",
        "dnsPolicy",
        "schedulerName",
        "securityContext",
        "serviceAccount",
        "enableServiceLinks",
    ):
        assert ours[field] == recorded[field], field
    assert ours["volumes"][0]["projected"]["sources"] == recorded["volumes"][0]["projected"]["sources"][:3]
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1"}}, "Burstable"),
    ],
)
def test_quality_of_service(resources: Json, expected: str) -> None:
    assert qos_class({"containers": [{"resources": resources}]}) == expected


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        ({"containers": [{"image": "a"}]}, "spec.containers[0].name"),
        ({"containers": [{"name": "a"}]}, "spec.containers[0].image"),
        ({"initContainers": [{"name": "main", "image": "a"}]}, "spec.containers[0].name"),
        (
            {"containers": [{"name": "a", "image": "a", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            "spec.containers[0].volumeMounts[0].name",
        ),
    ],
)
def test_an_invalid_pod_is_refused_with_its_field(spec: Json, field: str) -> None:
    with pytest.raises(ApiError) as refused:
        default_pod(pod(**spec))
    assert refused.value.status == 422
    assert field in refused.value.message


def test_the_token_is_not_mounted_where_it_is_refused() -> None:
    made = pod(automountServiceAccountToken=False)
    default_pod(made)
    assert "volumes" not in made["spec"]


def test_a_job_labels_its_pods() -> None:
    job: Json = {
        "metadata": {"name": "j", "uid": "u"},
        "spec": {"template": {"spec": {**pod()["spec"], "restartPolicy": "Never"}}},
    }
    default_job(job)
    expected = {"controller-uid": "u", "job-name": "j"}
    expected |= {f"batch.kubernetes.io/{k}": v for k, v in expected.items()}
    assert job["spec"]["template"]["metadata"]["labels"] == expected
    assert (job["spec"]["completions"], job["spec"]["parallelism"], job["spec"]["backoffLimit"]) == (1, 1, 6)
