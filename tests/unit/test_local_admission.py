"""Which manifests the embedded API server refuses, and with what words."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from podhooks.kinds.resources import RESOURCES, Json
from podhooks.local.admission import check_fields, check_update, without_unknown
from podhooks.local.fieldtable import fields
from podhooks.local.problems import ApiError

POD = RESOURCES["pods"]


def pod(**spec: object) -> Json:
    container = {"name": "main", "image": "x", "resources": {"limits": {"cpu": 1}}, "ports": [{"containerPort": 80}]}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": "p",
            "labels": {"a": "b"},
        },
        "spec": {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}], **spec},
        "status": {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]},
    }


def test_a_good_pod_passes() -> None:
    assert check_fields(POD, pod(), "Strict") == []
    assert without_unknown(POD, pod()) == pod()
    assert without_unknown(POD, pod(hostname=None, securityContext={"runAsUser": None})) == pod(securityContext={})


@pytest.mark.parametrize(
    ("spec", "unknown"),
    [
        ({"restartpolicy": "Never"}, "spec.restartpolicy"),
        ({"containers": [{"name": "a"}, {"name": "b", "imagee": "x"}]}, "spec.containers[1].imagee"),
        ({"volumes": [{"name": "v", "emptydir": {}}]}, "spec.volumes[0].emptydir"),
        ({"securityContext": {"runAsUsr": 5}}, "spec.securityContext.runAsUsr"),
    ],
)
def test_unknown_fields(spec: Json, unknown: str) -> None:
    with pytest.raises(ApiError, match="strict decoding error") as error:
        check_fields(POD, pod(**spec), "Strict")
    assert (error.value.status, f'"{unknown}"' in error.value.message) == (400, True)
    for warn in ("", "Warn"):
        assert check_fields(POD, pod(**spec), warn) == [f'unknown field "{unknown}"']
    assert check_fields(POD, pod(**spec), "Ignore") == []
    assert check_fields(POD, without_unknown(POD, pod(**spec)), "Strict") == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"containers": {"name": "a"}}, "spec.containers: a list is expected, got an object"),
        ({"containers": [5]}, "spec.containers[0]: an object is expected, got a number"),
        ({"containers": [None]}, "spec.containers[0]: an object is expected, got null"),
        ({"hostNetwork": "yes"}, "spec.hostNetwork: a boolean is expected, got a string"),
        ({"activeDeadlineSeconds": "5"}, "spec.activeDeadlineSeconds: an integer is expected, got a string"),
        ({"activeDeadlineSeconds": True}, "spec.activeDeadlineSeconds: an integer is expected, got a boolean"),
        ({"nodeSelector": {"a": True}}, "spec.nodeSelector.a: a string is expected, got a boolean: put it in quotes"),
        ({"nodeSelector": []}, "spec.nodeSelector: an object is expected, got a list"),
        ({"overhead": {"cpu": []}}, "spec.overhead.cpu: a quantity is expected, got a list"),
    ],
)
def test_wrong_types_are_refused_whatever_is_asked(spec: Json, message: str) -> None:
    for validation in ("Strict", "Warn", "Ignore", ""):
        with pytest.raises(ApiError) as error:
            check_fields(POD, pod(**spec), validation)
        assert error.value.message == f'Pod in version "v1" cannot be handled as a Pod: {message}'


def test_kinds_without_a_table_need_good_metadata_only() -> None:
    assert check_fields(RESOURCES["roles"], {"rules": 5, "metadata": {}}, "Strict") == []
    assert without_unknown(RESOURCES["roles"], {"rules": 5}) == {"rules": 5}
    with pytest.raises(ApiError, match=r"metadata\.labels: an object is expected"):
        check_fields(RESOURCES["roles"], {"metadata": {"labels": 5}}, "Strict")


def test_an_unknown_validation_is_refused() -> None:
    with pytest.raises(ApiError, match="fieldValidation"):
        check_fields(POD, pod(), "Maybe")


def test_what_an_update_may_change() -> None:
    old = pod()
    new = pod(activeDeadlineSeconds=5, tolerations=[{"key": "x"}])
    new["spec"]["containers"][0]["image"] = "y"
    new["metadata"]["labels"] = {}
    check_update(POD, old, new)
    changes: list[Json] = [{"hostname": "h"}, {"containers": []}, {"volumes": []}]
    for spec in changes:
        with pytest.raises(ApiError, match="may not change fields"):
            check_update(POD, old, pod(**spec))


def _published(kind: str, definitions: dict[str, Any]) -> set[str]:
    names = [f"io.k8s.{group}.{kind}" for group in ("api.core.v1", "api.batch.v1", "apimachinery.pkg.apis.meta.v1")]
    return set(next(definitions[name] for name in names if name in definitions)["properties"])


def test_the_table_of_fields_is_that_of_the_published_api() -> None:
    schemas = files("kubernetes_validate") / "kubernetes-json-schema" / "v1.36.0-local" / "_definitions.json"
    definitions = json.loads(schemas.read_text())["$defs"]
    for kind, members in fields().items():
        assert set(members) == _published(kind, definitions), kind
