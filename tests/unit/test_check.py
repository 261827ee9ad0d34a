"""podhooks check: each outcome from plain objects, and the page that has a section for each."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest
import trustme

from podhooks import contract
from podhooks.check.api import check_version
from podhooks.check.doors import check_bundle, check_doors
from podhooks.check.finding import Check, Mark, worst
from podhooks.check.pods import Seen, check_pods, look
from podhooks.check.reader import Reader, Unreadable
from podhooks.check.rescuer import RESCUES, check_rescuer
from podhooks.check.rights import check_installer, check_rights
from podhooks.render.webhook import WebhookOptions, webhook_configuration
from podhooks.version import __version__

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
Json = dict[str, Any]


class FakeReader:
    """Objects by path. A path in `forbidden` may not be read."""

    server = "https://there"

    def __init__(self, objects: Mapping[str, Any], *, forbidden: str = "", allowed: bool = True) -> None:
        self.objects = objects
        self.forbidden = forbidden
        self.allowed = allowed

    def get(self, path: str) -> Json | None:
        if self.forbidden and self.forbidden in path:
            raise Unreadable("no")
        return cast(Json | None, self.objects.get(path))

    def items(self, path: str, labels: str = "") -> Iterator[Json]:
        yield from self.get(path) or []  # type: ignore[misc]

    def may(self, verb: str, resource: str, group: str = "", namespace: str = "") -> bool:
        return self.allowed

    def account_may(self, account: str, namespace: str, verb: str, resource: str) -> bool:
        if self.forbidden == "reviews":
            raise Unreadable("no")
        return self.allowed


def reader(objects: Mapping[str, Any] | None = None, *, forbidden: str = "", allowed: bool = True) -> Reader:
    return cast(Reader, FakeReader(objects or {}, forbidden=forbidden, allowed=allowed))


def marks(checks: Iterator[Check]) -> dict[str, str]:
    return {each.code: each.mark.value for each in checks}


@pytest.mark.parametrize(
    ("version", "mark", "fix"),
    [
        ("v1.36.2", Mark.OK, ""),
        ("v1.35.0-gke.1", Mark.OK, ""),
        ("v1.34.1", Mark.WARNING, "--delivery copy"),
        ("v1.28.15+k3s1", Mark.ERROR, "mode: classic"),
        ("dev", Mark.SKIPPED, "1.29"),
    ],
)
def test_what_a_version_can_do(version: str, mark: Mark, fix: str) -> None:
    found = check_version(version)
    assert found.mark is mark
    assert fix in found.fix


def bundle(days: float) -> str:
    authority = trustme.CA()
    pem = authority.cert_pem.bytes()
    return base64.b64encode(pem).decode() if days else ""


def test_the_webhooks_authority_by_its_end() -> None:
    good = bundle(1)
    assert check_bundle(good, NOW).mark is Mark.OK
    end = datetime.strptime(check_bundle(good, NOW).said[-10:], "%Y-%m-%d").replace(tzinfo=timezone.utc)
    assert check_bundle(good, end - timedelta(days=1)).mark is Mark.WARNING
    assert check_bundle(good, end + timedelta(days=2)).mark is Mark.ERROR


@pytest.mark.parametrize("given", ["", "no base64!", base64.b64encode(b"no PEM").decode()])
def test_an_authority_that_is_none(given: str) -> None:
    found = check_bundle(given, NOW)
    assert found.mark is Mark.ERROR
    assert "cert-manager" in check_bundle("", NOW, managed=True).said


CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
POLICIES = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
DEPLOYMENT = "/apis/apps/v1/namespaces/podhooks/deployments/podhooks"


def webhook() -> Json:
    found = webhook_configuration(WebhookOptions())
    found["webhooks"][0]["clientConfig"]["caBundle"] = bundle(1)
    return found


def deployment(ready: int, tag: str = __version__) -> Json:
    template = {"spec": {"containers": [{"image": f"registry.example.com:5000/podhooks:{tag}"}]}}
    return {"spec": {"replicas": 2, "template": template}, "status": {"readyReplicas": ready}}


def test_a_webhook_with_a_ready_operator() -> None:
    there = reader({CONFIGURATIONS: [webhook(), {"webhooks": [{"name": "another.io"}]}], DEPLOYMENT: deployment(2)})
    assert marks(check_doors(there, NOW)) == dict.fromkeys(
        ("door-exists", "certificate", "operator-ready", "same-version"), "ok"
    )


@pytest.mark.parametrize(
    ("objects", "code", "mark"),
    [
        ({}, "door-exists", "warning"),
        ({CONFIGURATIONS: [webhook()]}, "operator-ready", "error"),
        ({CONFIGURATIONS: [webhook()], DEPLOYMENT: deployment(0)}, "operator-ready", "error"),
        ({CONFIGURATIONS: [webhook()], DEPLOYMENT: deployment(2, "0.0.1")}, "same-version", "warning"),
        (
            {CONFIGURATIONS: [webhook()], POLICIES: [{"spec": "podhooks.io/"}], DEPLOYMENT: deployment(2)},
            "one-door",
            "warning",
        ),
        ({POLICIES: [{"spec": "podhooks.io/"}]}, "door-exists", "ok"),
    ],
)
def test_doors_that_are_not_as_they_should_be(objects: Mapping[str, Any], code: str, mark: str) -> None:
    assert marks(check_doors(reader(objects), NOW))[code] == mark


def pod(name: str = "p", *, ours: bool = False, phase: str = "Running", **metadata: Any) -> Json:
    annotations = {contract.ON_EXIT: "a:b", **metadata.pop("annotations", {})}
    init = [{"name": contract.ON_EXIT_CONTAINER}] if ours else []
    meta = {"name": name, "namespace": "etl", "annotations": annotations, **metadata}
    return {
        "metadata": meta,
        "spec": {"initContainers": init, "containers": [{"name": "main"}]},
        "status": {"phase": phase},
    }


def test_a_walk_through_the_pods() -> None:
    waiting = {"name": contract.ON_EXIT_CONTAINER, "state": {"waiting": {"reason": "ErrImagePull"}}}
    imageless = pod("imageless", ours=True, phase="Pending")
    imageless["status"]["initContainerStatuses"] = [waiting]
    long_ago: Json = {"deletionTimestamp": "2026-11-28T11:00:00Z", "finalizers": [contract.FINALIZER]}
    just_now: Json = {**long_ago, "deletionTimestamp": "2026-11-28T11:58:00Z"}
    seen = look(
        [
            pod("fine", ours=True),
            pod("missed"),
            pod("over", phase="Succeeded"),
            {"metadata": {"name": "foreign"}, "spec": {}, "status": {}},
            imageless,
            pod("held", ours=True, labels={contract.GUARANTEE_LABEL: "cluster"}, **long_ago),
            pod("going", ours=True, **just_now),
        ],
        NOW,
    )
    assert (seen.injected, seen.missed, seen.held, seen.guaranteed) == (4, ["etl/missed"], ["etl/held"], 1)
    assert seen.imageless == ["etl/imageless"]
    assert seen.accounts == {("etl", "default")}
    found = {each.code: each for each in check_pods(seen, doors=True)}
    assert {code: each.mark.value for code, each in found.items()} == {
        "pods-injected": "ok",
        "pods-missed": "error",
        "image-reachable": "error",
        "pods-held": "error",
    }
    assert "podhooks release -n etl held" in found["pods-held"].fix
    assert "podhooks inject" in next(each for each in check_pods(seen, doors=False) if each.code == "pods-missed").fix


def test_many_names_are_cut() -> None:
    found = list(check_pods(Seen(missed=[f"n/p{index}" for index in range(8)]), doors=True))
    assert found[1].said.endswith("n/p4 and 3 more")


def test_service_accounts_that_may_not_look() -> None:
    accounts = {("etl", "runner"), ("etl", "default")}
    refused = list(check_rights(reader(allowed=False), accounts))
    assert [each.mark for each in refused] == [Mark.ERROR, Mark.ERROR, Mark.OK]
    assert "-n etl --service-account runner" in refused[1].fix
    assert marks(check_rights(reader(), accounts)) == {"pods-may-look": "ok"}
    assert marks(check_rights(reader(forbidden="reviews"), accounts)) == {"pods-may-look": "skipped"}
    assert marks(check_rights(reader(), set())) == {}


def test_whoever_installs() -> None:
    assert marks(check_installer(reader(), "podhooks")) == {"may-install": "ok", "not-installed": "ok"}
    there = reader({"/api/v1/namespaces/podhooks/services/podhooks": {"kind": "Service"}}, allowed=False)
    assert marks(check_installer(there, "podhooks")) == {"may-install": "error", "not-installed": "warning"}


DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rescues.podhooks.io"
LEASES = "/apis/coordination.k8s.io/v1/leases"


def rescue(state: str, minutes: float = 1, **status: Any) -> Json:
    created = (NOW - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ref = {"name": "p", "namespace": "etl", "uid": "u"}
    return {"metadata": {"creationTimestamp": created}, "spec": {"pod": ref}, "status": {"state": state, **status}}


def lease(seconds_ago: float) -> Json:
    renewed = (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    spec = {"holderIdentity": "podhooks-1", "renewTime": renewed, "leaseDurationSeconds": 15}
    return {"metadata": {"name": "podhooks-rescuer"}, "spec": spec}


@pytest.mark.parametrize(
    ("objects", "guaranteed", "code", "mark"),
    [
        ({}, 0, "rescuer-installed", "ok"),
        ({}, 2, "rescuer-installed", "error"),
        ({DEFINITION: {"kind": "x"}}, 0, "rescuer-leads", "error"),
        ({DEFINITION: {"kind": "x"}, LEASES: [lease(60)]}, 0, "rescuer-leads", "error"),
        ({DEFINITION: {"kind": "x"}, LEASES: [lease(5)]}, 0, "rescuer-leads", "ok"),
        ({DEFINITION: {"kind": "x"}, RESCUES: [rescue("Running")]}, 0, "rescues-succeed", "ok"),
        ({DEFINITION: {"kind": "x"}, RESCUES: [rescue("Running", 20)]}, 0, "rescues-move", "error"),
        ({DEFINITION: {"kind": "x"}, RESCUES: [rescue("Refused", 20)]}, 0, "rescues-succeed", "warning"),
        ({DEFINITION: {"kind": "x"}, RESCUES: [rescue("Done", twice=["0"])]}, 0, "rescues-once", "warning"),
    ],
)
def test_the_rescuer(objects: Mapping[str, Any], guaranteed: int, code: str, mark: str) -> None:
    assert marks(check_rescuer(reader(objects), NOW, guaranteed=guaranteed))[code] == mark


@pytest.mark.parametrize("forbidden", ["customresourcedefinitions", "mutatingwebhook"])
def test_what_may_not_be_read_can_not_be_told(forbidden: str) -> None:
    there = reader(forbidden=forbidden)
    found = [*check_doors(there, NOW), *check_rescuer(there, NOW, guaranteed=1)]
    skipped = [each for each in found if each.mark is Mark.SKIPPED]
    assert len(skipped) == 1
    assert "ask for the right to" in skipped[0].fix


def test_the_worst_decides_and_what_can_not_be_told_does_not() -> None:
    made = [Check("c", "x", mark, "") for mark in Mark]
    assert worst(made) is Mark.ERROR
    assert worst(made[:2]) is Mark.WARNING
    assert worst([made[0], made[3]]) is Mark.OK


def test_the_page_has_a_section_for_every_code() -> None:
    sources = " ".join(each.read_text() for each in (ROOT / "podhooks" / "check").glob("*.py"))
    codes = set(re.findall(r'\.(?:ok|warning|error|skipped)\(\s*"([a-z-]+)"', sources))
    sections = set(re.findall(r"^## ([a-z-]+)$", (ROOT / "docs" / "check.md").read_text(), re.MULTILINE))
    assert len(codes) > 15
    assert codes == sections
