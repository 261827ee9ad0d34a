"""review(): whatever comes in, a valid AdmissionReview goes out, and its patch gives the pod that inject() gives."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podhooks_operator.webhook.admissionwarnings import MAX_ALL_CHARACTERS, MAX_CHARACTERS, limited, sentence
from podhooks_operator.webhook.events import MAX_MESSAGE, counted_up, event, message
from podhooks_operator.webhook.jsondiff import diff
from podhooks_operator.webhook.review import Refusal, ReviewSettings, review

from podhooks import contract
from podhooks.annotations.finding import Finding, Severity
from podhooks.inject import InjectSettings, inject, pod_templates
from podhooks.inject.templates import look_up
from podhooks.yamltext.stream import load

GOLDEN = Path(__file__).parents[1] / "golden"
DEFAULTS = ReviewSettings()
STRICT = ReviewSettings(fail_on_invalid=True)
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "etl", "annotations": {contract.ON_START: "app:prepare", contract.ON_EXIT: "app:notify"}},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "app:1"}]},
}


def pods() -> list[Any]:
    """Every pod template of the golden manifests."""
    found: list[Any] = []
    for path in sorted(GOLDEN.glob("*/input.yaml")):
        for document in load(path.read_text("utf-8"), path.parent.name):
            for obj, _, below in pod_templates(document or {}):
                pod = json.loads(json.dumps(look_up(obj, below)))  # anchors make shared objects, JSON has none
                found.append(pytest.param(pod, id=f"{path.parent.name}-{len(found)}"))
    return found


def request(pod: Any, **more: Any) -> dict[str, Any]:
    body = {
        "uid": "705ab4f5",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": "team",
        "object": pod,
        **more,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": body}


def annotated(**annotations: str) -> dict[str, Any]:
    pod = copy.deepcopy(POD)
    pod["metadata"]["annotations"] = {
        contract.PREFIX + key.replace("_", "-"): text for key, text in annotations.items()
    }
    return pod


def response(request: Any, settings: ReviewSettings = DEFAULTS) -> dict[str, Any]:
    """The response of a review that the API server accepts. The API server compares uid, and takes nothing but JSON."""
    answer = json.loads(json.dumps(review(request, settings).answer))
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert list(answer) == ["apiVersion", "kind", "response"]
    found: dict[str, Any] = answer["response"]
    assert isinstance(found["uid"], str)
    assert isinstance(found["allowed"], bool)
    assert ("patch" in found) == ("patchType" in found)
    assert all(len(each) <= MAX_CHARACTERS for each in found.get("warnings", []))
    return found


def patched(pod: Any, answer: dict[str, Any]) -> Any:
    """The pod as the API server makes it, by an independent implementation of RFC 6902."""
    operations = json.loads(base64.b64decode(answer.get("patch", base64.b64encode(b"[]"))))
    return jsonpatch.apply_patch(pod, operations)


@pytest.mark.parametrize("pod", pods())
def test_the_patch_gives_the_pod_that_inject_gives(pod: Any) -> None:
    before = copy.deepcopy(pod)
    expected, report = inject(pod)
    answer = response(request(pod))
    assert patched(pod, answer) == expected
    assert pod == before
    assert answer["auditAnnotations"]["outcome"] == report.outcome.value
    if expected != pod:
        assert patched(expected, response(request(expected))) == expected
        assert "patch" not in response(request(expected))


def with_defaults(pod: dict[str, Any]) -> dict[str, Any]:
    """As an API server hands a pod that was injected before to the webhook."""
    found = copy.deepcopy(pod)
    for each in (*found["spec"]["initContainers"], *found["spec"]["containers"]):
        each |= {"terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"}
        for variable in each["env"]:
            variable.get("valueFrom", {}).get("fieldRef", {}).setdefault("apiVersion", "v1")
    for volume in found["spec"]["volumes"]:
        if "downwardAPI" in volume:
            volume["downwardAPI"]["defaultMode"] = 420
            for item in volume["downwardAPI"]["items"]:
                item["fieldRef"]["apiVersion"] = "v1"
        if "image" in volume:
            volume["image"]["pullPolicy"] = "IfNotPresent"
    found["spec"]["volumes"].append({"name": "kube-api-access-x", "projected": {"sources": []}})
    for each in (*found["spec"]["initContainers"], *found["spec"]["containers"]):
        token = {"name": "kube-api-access-x", "mountPath": contract.SERVICE_ACCOUNT_DIR, "readOnly": True}
        each["volumeMounts"].append(token)
    return found


def test_a_pod_that_was_injected_before_it_was_created_gets_no_patch() -> None:
    pod = with_defaults(inject(POD)[0])
    found = review(request(pod), DEFAULTS)
    assert found.outcome == "unchanged"
    assert "patch" not in response(request(pod))
    pod["metadata"]["annotations"][contract.ON_EXIT] = "app:other"
    assert review(request(pod), DEFAULTS).outcome == "updated"
    other = with_defaults(inject(POD, InjectSettings(pull_policy="Never"))[0])
    other["spec"]["volumes"][-2]["image"]["pullPolicy"] = "Never"
    assert review(request(other), DEFAULTS).outcome == "updated"


def test_mounts_that_differ_are_not_taken_for_the_token_of_the_service_account() -> None:
    for field, value in (("mountPath", "/elsewhere"), ("name", "other")):
        pod = with_defaults(inject(POD)[0])
        pod["spec"]["initContainers"][0]["volumeMounts"][0][field] = value
        assert review(request(pod), DEFAULTS).outcome == "updated"
    pod = inject(POD)[0]
    own = {"name": "own-token", "mountPath": contract.SERVICE_ACCOUNT_DIR}
    pod["spec"]["containers"][0]["volumeMounts"].append(own)  # what main mounts, callbacks have to have
    assert review(request(pod), DEFAULTS).outcome == "updated"


def test_only_what_is_different_is_in_the_patch() -> None:
    operations = json.loads(base64.b64decode(response(request(POD))["patch"]))
    assert {each["op"] for each in operations} == {"add"}
    assert [each["path"] for each in operations] == [
        "/metadata/annotations/podhooks.io~1status",
        "/spec/containers/0/volumeMounts",
        "/spec/containers/0/env",
        "/spec/volumes",
        "/spec/initContainers",
        "/spec/terminationGracePeriodSeconds",
    ]


def test_settings_are_the_injectors() -> None:
    chosen = InjectSettings(image="mirror/podhooks:9", annotations={contract.ON_EXIT_TIMEOUT: "9s"})
    answer = response(request(POD), ReviewSettings(chosen))
    assert patched(POD, answer) == inject(POD, chosen)[0]


@pytest.mark.parametrize(
    "nonsense",
    [
        *(None, [], "x", 7, True, {}),
        {"request": {"uid": "u"}},
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"},
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": []},
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": 7}},
        {**request(POD), "apiVersion": "admission.k8s.io/v1beta1"},
        {**request(POD), "kind": "Pod"},
    ],
)
def test_what_is_no_review_is_admitted_with_a_warning(nonsense: Any) -> None:
    answer = response(nonsense)
    assert answer["allowed"] is True
    assert "patch" not in answer
    assert "AdmissionReview" in answer["warnings"][0]
    assert review(nonsense, STRICT).denied is False


@pytest.mark.parametrize(
    "more",
    [
        {"operation": "UPDATE"},
        {"operation": "DELETE", "object": None},
        {"subResource": "status"},
        {"kind": {"group": "batch", "version": "v1", "kind": "Job"}},
        {"kind": None},
        {"object": "x"},
    ],
)
def test_what_creates_no_pod_is_left_alone(more: dict[str, Any]) -> None:
    assert response(request(POD, **more), STRICT) == {"uid": "705ab4f5", "allowed": True}


def test_annotations_that_no_pod_can_have_are_not_read() -> None:
    """The API server refuses them, but only after the webhooks."""
    for length, outcome in ((200_000, "injected"), (300_000, "ignored")):
        pod = annotated(on_exit=",".join(["app:notify"] * (length // 11)))
        found = review(request(pod), STRICT)
        assert (found.outcome, found.denied, found.answer["response"]["allowed"]) == (outcome, False, True)


class CountedName(str):
    """Counts how often one is compared with another."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        CountedName.compared += 1
        return str.__eq__(self, str(other))

    __hash__ = str.__hash__


def test_a_pod_that_is_made_to_be_long_costs_no_more_than_its_length() -> None:
    """While it is worked out all other pods wait."""

    def comparisons(containers: int) -> int:
        CountedName.compared = 0
        pod = annotated(on_exit="app:notify", main_container="*")
        pod["spec"]["containers"] = [{"name": CountedName(f"c{number}"), "image": "a"} for number in range(containers)]
        assert review(request(pod), DEFAULTS).outcome == "injected"
        return CountedName.compared

    assert comparisons(4_000) < 5 * comparisons(1_000)  # the square of four would be sixteen


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab~/", max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("abn~/", max_size=2) | st.just("name"), inner),
    max_leaves=15,
)


@settings(max_examples=150)
@given(JSON_VALUES, JSON_VALUES, st.booleans())
def test_any_pod_gets_an_answer(metadata: Any, spec: Any, strict: bool) -> None:
    metadata = {"annotations": {contract.ON_EXIT: "a:b"}, **metadata} if isinstance(metadata, dict) else metadata
    pod = {"metadata": metadata, "spec": spec}
    found = review(request(pod), STRICT if strict else DEFAULTS)
    assert found.failure is None
    assert response(request(pod))["uid"] == "705ab4f5"


@settings(max_examples=300)
@given(JSON_VALUES, JSON_VALUES)
def test_the_diff_of_any_two_values_leads_from_one_to_the_other(before: Any, after: Any) -> None:
    operations = diff(before, after)
    assert jsonpatch.apply_patch(copy.deepcopy(before), operations) == after
    assert diff(before, copy.deepcopy(before)) == []


NAMED = st.lists(st.builds(lambda name, value: {"name": name, "v": value}, st.sampled_from("abcde"), st.integers(0, 2)))


@settings(max_examples=200)
@given(NAMED, NAMED)
def test_lists_of_named_entries_too(before: Any, after: Any) -> None:
    assert jsonpatch.apply_patch(copy.deepcopy(before), diff(before, after)) == after


def test_an_entry_put_between_others_is_one_operation() -> None:
    before = [{"name": "a", "v": 1}, {"name": "c", "v": 3}]
    after = [{"name": "a", "v": 1}, {"name": "b", "v": 2}, {"name": "c", "v": 4}]
    assert diff(before, after) == [
        {"op": "add", "path": "/1", "value": {"name": "b", "v": 2}},
        {"op": "replace", "path": "/2/v", "value": 4},
    ]


WRONG = annotated(on_exitt="app:notify", on_exit_timeout="5 parsecs")


def test_errors_admit_the_pod_as_it_is_and_say_so() -> None:
    found = review(request(WRONG), DEFAULTS)
    answer = response(request(WRONG))
    assert answer["allowed"] is True
    assert "patch" not in answer
    assert len(answer["warnings"]) >= 2
    assert all(each.startswith("podhooks: not injected: podhooks.io/") for each in answer["warnings"][:2])
    assert "did you mean podhooks.io/on-exit?" in answer["warnings"][0]
    assert found.outcome == "refused"
    assert found.reasons == ("unknown-annotation", "bad-duration")
    assert found.refusal is not None
    assert found.refusal.namespace == "team"


def test_errors_of_a_pod_that_another_door_has_injected_are_not_told_as_if_it_had_no_callbacks() -> None:
    pod = inject(annotated(on_exit="app:notify"), InjectSettings())[0]
    pod["metadata"]["annotations"][contract.PREFIX + "on-exitt"] = "app:notify"
    found = review(request(pod), DEFAULTS)
    answer = response(request(pod))
    assert "patch" not in answer
    assert answer["warnings"][0].startswith("podhooks: left as it was injected before: podhooks.io/on-exitt: ")
    assert found.refusal is not None
    assert message(found.refusal).startswith("pod etl was admitted with the callbacks' containers it came with: ")


def test_errors_deny_the_pod_where_that_is_asked_for() -> None:
    answer = response(request(WRONG), STRICT)
    assert answer["allowed"] is False
    assert answer["status"]["code"] == 422
    assert "did you mean podhooks.io/on-exit?" in answer["status"]["message"]
    found = review(request(WRONG), STRICT)
    assert found.denied is True
    assert found.refusal is None


def test_warnings_go_with_the_injected_pod_even_where_errors_deny() -> None:
    pod = annotated(on_exit="app:notify,app:notify")
    answer = response(request(pod), STRICT)
    assert answer["allowed"] is True
    assert any(each.endswith("[duplicate-callback]") for each in answer["warnings"])
    assert "patch" in answer


def test_pods_of_controllers_have_no_name_yet() -> None:
    pod = copy.deepcopy(POD)
    pod["metadata"] = {**pod["metadata"], "generateName": "etl-"}
    del pod["metadata"]["name"]
    found = review(request(pod), DEFAULTS)
    assert (found.name, found.namespace) == ("etl-*", "team")


def test_the_namespace_is_the_requests_and_not_the_pods() -> None:
    pod = copy.deepcopy(WRONG)
    pod["metadata"]["namespace"] = "elsewhere"
    found = review(request(pod), DEFAULTS)
    assert found.refusal is not None
    assert (found.namespace, found.refusal.namespace) == ("team", "team")


def test_a_dry_run_is_marked() -> None:
    assert review(request(WRONG, dryRun=True), DEFAULTS).dry_run is True
    assert review(request(WRONG), DEFAULTS).dry_run is False


def test_a_bug_of_the_injector_stops_no_pod() -> None:
    broken = ReviewSettings(InjectSettings(resources=None), fail_on_invalid=True)  # type: ignore[arg-type]
    found = review(request(POD), broken)
    assert found.failure is not None
    assert found.reasons == ("internal-error",)
    assert response(request(POD), broken)["allowed"] is True


@settings(max_examples=100)
@given(st.lists(st.text(max_size=400), max_size=60))
def test_warnings_keep_to_what_the_api_server_shows(texts: list[str]) -> None:
    found = limited(texts)
    assert all(len(each) <= MAX_CHARACTERS and (each.isprintable() or not each) for each in found)
    assert sum(map(len, found)) <= MAX_ALL_CHARACTERS


def test_what_does_not_fit_is_counted() -> None:
    found = limited(f"{number} {'x' * 250}" for number in range(50))
    assert found[-1].startswith(f"podhooks: and {50 - len(found) + 1} more")
    assert sum(map(len, found)) > MAX_ALL_CHARACTERS - 300


def test_a_long_warning_keeps_its_code() -> None:
    found = Finding("bad-list", Severity.ERROR, "podhooks.io/on-exit", "word " * 100)
    (line,) = limited([sentence(found, "podhooks")])
    assert len(line) == MAX_CHARACTERS
    assert line.endswith("... [bad-list]")


OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly", "uid": "0815", "controller": True}
FINDINGS = (Finding("bad-list", Severity.ERROR, "podhooks.io/on-exit", "is broken"),)


def refusal(name: str = "nightly-*", owner: dict[str, Any] | None = None, findings: Any = FINDINGS) -> Refusal:
    return Refusal("team", name, OWNER if owner is None else owner, findings)


def an_event(found: Refusal) -> dict[str, Any]:
    from datetime import datetime, timezone

    return event(found, datetime(2026, 11, 23, tzinfo=timezone.utc))


def test_the_owner_hears_of_it_and_the_namespace_where_there_is_none() -> None:
    about = an_event(refusal())["involvedObject"]
    assert (about["kind"], about["name"], about["uid"], about["namespace"]) == ("Job", "nightly", "0815", "team")
    about = an_event(refusal(owner={}))["involvedObject"]
    assert (about["kind"], about["name"], about["namespace"]) == ("Namespace", "team", "team")


def test_one_event_for_each_owner_and_problem() -> None:
    first = an_event(refusal("nightly-abc"))["metadata"]["name"]
    assert an_event(refusal("nightly-xyz"))["metadata"]["name"] == first
    other = (Finding("bad-when", Severity.ERROR, "podhooks.io/on-exit", "is broken"),)
    assert an_event(refusal(findings=other))["metadata"]["name"] != first
    assert an_event(refusal(owner={**OWNER, "uid": "0816"}))["metadata"]["name"] != first
    again = counted_up(an_event(refusal()), an_event(refusal()), 3)
    assert again["count"] == 4


def test_an_events_message_fits() -> None:
    long = tuple(Finding("bad-list", Severity.ERROR, "podhooks.io/on-exit", "word " * 90) for _ in range(9))
    assert len(an_event(refusal(findings=long))["message"]) == MAX_MESSAGE


def test_the_controller_is_the_owner_among_several() -> None:
    pod = copy.deepcopy(WRONG)
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}
    pod["metadata"]["ownerReferences"] = [other, OWNER]
    found = review(request(pod), DEFAULTS).refusal
    assert found is not None
    assert found.owner == OWNER
