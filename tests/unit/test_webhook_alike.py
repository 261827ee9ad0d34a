"""Pods of one controller get the same patch, worked out once, and nobody gets another's."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podhooks_operator.webhook.alike import TOKEN_VOLUME, Injector, injected
from podhooks_operator.webhook.review import ReviewSettings, review

from podhooks import contract
from podhooks.inject import InjectSettings

Pod = dict[str, Any]
SETTINGS = InjectSettings()


def pod(
    number: int = 0, *, token: str = "abcde", value: str = "x", annotations: Mapping[str, str] | None = None
) -> Pod:
    """As the API server hands it on: the service account's volume has a name of its own in every pod."""
    name = f"{TOKEN_VOLUME}{token}"
    mount = {"name": name, "mountPath": contract.SERVICE_ACCOUNT_DIR, "readOnly": True}
    hooks = {contract.ON_EXIT: "a:b", **{contract.PREFIX + key: text for key, text in (annotations or {}).items()}}
    main = {"name": "main", "image": "app:1", "env": [{"name": "A", "value": value}], "volumeMounts": [mount]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"etl-{number}", "uid": f"u{number}", "annotations": hooks, "labels": {"job": "etl"}},
        "spec": {"restartPolicy": "Never", "containers": [main], "volumes": [{"name": name, "projected": {}}]},
    }


def test_pods_of_one_template_are_worked_out_once_and_each_has_its_own_volume_in_the_patch() -> None:
    injector = Injector(SETTINGS)
    for number, token in enumerate(("abcde", "fghij", "klmno")):
        one = pod(number, token=token)
        assert injector(copy.deepcopy(one)) == injected(one, SETTINGS)
    assert injector.hits == 2


@pytest.mark.parametrize(
    "other",
    [
        pod(value="y"),
        pod(annotations={"on-exit-timeout": "9s"}),
        {**pod(), "spec": {**pod()["spec"], "restartPolicy": "OnFailure"}},
        {**pod(), "metadata": {**pod()["metadata"], "labels": {"job": "other"}}},
        pod(value=f"{TOKEN_VOLUME}abcde"),
        pod(value="\0"),
        pod(value=TOKEN_VOLUME),
    ],
    ids=["env", "annotation", "spec", "label", "the volume's name in a value", "a zero byte", "its prefix"],
)
def test_whatever_else_differs_is_another_template(other: Pod) -> None:
    injector = Injector(SETTINGS)
    injector(pod())
    assert injector(copy.deepcopy(other)) == injected(other, SETTINGS)
    assert injector.hits == 0
    assert injector(pod()) == injected(pod(), SETTINGS)


def test_a_refused_pod_is_remembered_too() -> None:
    injector = Injector(SETTINGS)
    for number in range(2):
        found = injector(pod(number, annotations={"on-exti": "a:b"}))
        assert found.patch == b""
        assert [each.code for each in found.report.errors] == ["unknown-annotation"]
    assert injector.hits == 1


def test_no_more_is_remembered_than_there_is_room_for_and_the_latest_stay() -> None:
    injector = Injector(SETTINGS, size=2)
    for value in ("a", "b", "a", "c", "a", "b"):
        injector(pod(value=value))
    assert injector.hits == 2


def test_pods_that_are_made_to_be_large_do_not_stay_in_memory() -> None:
    """Whoever may create pods may create these: a few hundred of them would be the end of us, and of all injections."""
    injector = Injector(SETTINGS)
    injector(pod())
    tracemalloc.start()
    for number in range(10):
        injector(pod(value=f"{number}" + "x" * 1_000_000))
        callbacks = ",".join(f"a{number}_{index}:b" for index in range(2000))
        injector(pod(annotations={"on-start": callbacks}))
        injector(pod(annotations={"on-start": callbacks.replace(":b", "")}))  # as many findings
    assert tracemalloc.get_traced_memory()[0] < 1_000_000
    tracemalloc.stop()


values = st.text(max_size=6) | st.sampled_from([TOKEN_VOLUME, f"{TOKEN_VOLUME}abcde", "kube-api-access-zz", "\0"])


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["abcde", "zz", "a"]), values), min_size=1, max_size=8))
def test_with_and_without_memory_the_answers_are_the_same(asked: list[tuple[str, str]]) -> None:
    injector = Injector(SETTINGS, size=3)
    for number, (token, value) in enumerate(asked):
        request = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": str(number),
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "operation": "CREATE",
                "object": pod(number, token=token, value=value),
            },
        }
        assert review(request, ReviewSettings(), injector) == review(request, ReviewSettings())
