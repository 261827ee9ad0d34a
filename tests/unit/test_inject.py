"""The injector: what it adds, what it leaves alone, what it says, and that it can be taken back."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podhooks import contract
from podhooks.annotations.finding import Severity
from podhooks.annotations.plan import ANNOTATIONS, Mode
from podhooks.context import EMPTY
from podhooks.errors import InputError, ManifestError
from podhooks.inject import (
    Delivery,
    InjectSettings,
    Outcome,
    inject,
    inject_object,
    parse_kubernetes_version,
    uninject,
    uninject_object,
)
from podhooks.inject.checks import CODES
from podhooks.inject.container_resources import completed, is_quantity
from podhooks.inject.core import injected as injected_sharing
from podhooks.inject.defaulted import same_but_for_defaults
from podhooks.inject.inject_settings import DEFAULT_RESOURCES
from podhooks.render.prefect_variables import NO_CALLBACKS as NONE_IN_PREFECT
from podhooks.version import __version__
from tests.pod_security import violations

Pod = dict[str, Any]
BOTH = {contract.ON_START: "app:prepare", contract.ON_EXIT: "app:notify"}
CLASSIC = {**BOTH, contract.MODE: "classic"}


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
    """A small pod; `spec` overrides, and None takes a field out."""
    whole: Pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "app:1"}], **spec}
    given_annotations = BOTH if annotations is None else annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "etl", "annotations": dict(given_annotations)},
        "spec": {key: value for key, value in whole.items() if value is not None},
    }


def injected(source: Pod, **settings_: Any) -> Pod:
    result, report = inject(source, InjectSettings(**settings_))
    assert report.injectable, report.findings
    return result


def names(result: Pod, field: str) -> list[str]:
    return [each["name"] for each in result["spec"].get(field, [])]


def container(result: Pod, name: str) -> dict[str, Any]:
    both = [*result["spec"].get("initContainers", []), *result["spec"]["containers"]]
    return next(each for each in both if each["name"] == name)


def codes(source: Pod, **settings_: Any) -> set[str]:
    return {each.code for each in inject(source, InjectSettings(**settings_))[1].findings}


def test_promised_defaults() -> None:
    assert {name: getattr(InjectSettings(), name) for name in InjectSettings._fields} == {
        "image": f"podhooks/podhooks:{__version__}",
        "delivery": Delivery.IMAGE,
        "pull_policy": None,
        "kubernetes": None,
        "resources": DEFAULT_RESOURCES,
        "annotations": EMPTY,
        "rescuer": None,
    }
    assert DEFAULT_RESOURCES == {
        "requests": {"cpu": "10m", "memory": "32Mi"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }


# ---- the guarantee

GUARANTEED = {**BOTH, contract.GUARANTEE: "cluster"}


def test_the_guarantee_is_a_label_and_with_a_rescuer_a_finalizer_too() -> None:
    label = {contract.GUARANTEE_LABEL: contract.GUARANTEE_CLUSTER}
    for rescuer, finalizers in ((None, None), (False, None), (True, [contract.FINALIZER])):
        metadata = injected(pod(GUARANTEED), rescuer=rescuer)["metadata"]
        assert (metadata["labels"], metadata.get("finalizers")) == (label, finalizers)


@pytest.mark.parametrize("annotations", [BOTH, {**BOTH, contract.GUARANTEE: "pod"}, {contract.ON_START: "a:b"}])
def test_a_pod_to_which_nothing_is_promised_gets_neither(annotations: dict[str, str]) -> None:
    more = {contract.GUARANTEE: "cluster"} if contract.ON_EXIT not in annotations else {}
    metadata = injected(pod({**annotations, **more}), rescuer=True)["metadata"]
    assert "finalizers" not in metadata
    assert contract.GUARANTEE_LABEL not in (metadata.get("labels") or {})


def test_only_an_injector_that_knows_says_that_nobody_keeps_the_guarantee() -> None:
    said = {rescuer: codes(pod(GUARANTEED), rescuer=rescuer) for rescuer in (None, False, True)}
    assert said == {None: set(), False: {"guarantee-not-kept"}, True: set()}


OUTSIDE = {**BOTH, contract.MODE: "outside"}


def test_outside_there_is_no_on_exit_container_and_the_grace_period_stays() -> None:
    result = injected(pod(OUTSIDE, terminationGracePeriodSeconds=7), rescuer=True)
    assert names(result, "initContainers") == ["on-start"]
    assert names(result, "containers") == ["main"]
    assert result["spec"]["terminationGracePeriodSeconds"] == 7
    assert result["metadata"]["labels"] == {contract.GUARANTEE_LABEL: "cluster"}
    assert result["metadata"]["finalizers"] == [contract.FINALIZER]


def test_outside_needs_a_rescuer_and_whoever_knows_that_there_is_none_refuses() -> None:
    assert inject(pod(OUTSIDE), InjectSettings(rescuer=False))[1].reasons == ("outside-without-rescuer",)
    assert codes(pod(OUTSIDE)) == {"outside-needs-rescuer"}
    assert codes(pod(OUTSIDE), rescuer=True) == set()
    alone = {contract.ON_START: "a:b", contract.MODE: "outside"}
    assert codes(pod(alone), rescuer=False) == set()


def test_outside_no_token_is_needed_and_no_callback_can_fail_the_pod() -> None:
    assert codes(pod(OUTSIDE, automountServiceAccountToken=False), rescuer=True) == set()
    assert "fail-in-native" in codes(pod({**OUTSIDE, contract.ON_EXIT_POLICY: "fail"}), rescuer=True)


def test_an_injected_pod_has_its_label_in_the_right_place() -> None:
    made, _ = inject_object(wrapped("Job", {"metadata": {"annotations": GUARANTEED}, "spec": pod()["spec"]}))
    again, (report,) = inject_object(made)
    assert (again, report.report.findings) == (made, ())
    alone = wrapped("Job", {"metadata": {"labels": {contract.GUARANTEE_LABEL: "cluster"}}, "spec": pod()["spec"]})
    assert inject_object(alone)[1][0].report.reasons == ("misplaced",)


# ---- where things go


def test_native_puts_on_exit_and_on_start_behind_all_init_containers() -> None:
    """What main's container needs is made there, and ours are made of the same (kubelet facts 25 and 29)."""
    result = injected(pod(initContainers=[{"name": "fetch", "image": "x"}]))
    assert names(result, "initContainers") == ["fetch", "on-exit", "on-start"]
    assert names(result, "containers") == ["main"]
    assert container(result, "on-exit")["restartPolicy"] == "Always"
    assert "restartPolicy" not in container(result, "on-start")


def test_classic_puts_on_exit_last_of_the_containers() -> None:
    result = injected(
        pod(CLASSIC, containers=[{"name": "main", "image": "a"}, {"name": "proxy", "image": "b"}], initContainers=[])
    )
    assert names(result, "initContainers") == ["on-start"]
    assert names(result, "containers") == ["main", "proxy", "on-exit"]
    assert "restartPolicy" not in container(result, "on-exit")


@pytest.mark.parametrize(
    ("position", "order"),
    [
        ("last", ["setup", "istio-proxy", "fetch", "on-exit", "on-start"]),
        ("first", ["setup", "istio-proxy", "on-exit", "fetch", "on-start"]),
    ],
)
@pytest.mark.parametrize("delivery", Delivery)
def test_on_exit_starts_behind_native_sidecars_so_that_they_outlive_it(
    position: str, order: list[str], delivery: Delivery
) -> None:
    """The kubelet stops native sidecars in reverse order: a proxy listed before on-exit is there for callbacks."""
    inits = [
        {"name": "setup", "image": "x"},
        {"name": "istio-proxy", "image": "x", "restartPolicy": "Always"},
        {"name": "fetch", "image": "x"},
    ]
    given = pod({**BOTH, contract.ON_EXIT_POSITION: position}, initContainers=inits)
    copying = ["podhooks-runtime"] if delivery is Delivery.COPY else []
    assert names(injected(given, delivery=delivery), "initContainers") == copying + order


def test_the_copying_container_comes_before_everything() -> None:
    inits = [{"name": "proxy", "image": "x", "restartPolicy": "Always"}]
    result = injected(pod(initContainers=inits), delivery=Delivery.COPY)
    assert names(result, "initContainers") == ["podhooks-runtime", "proxy", "on-exit", "on-start"]
    result = injected(pod(), delivery=Delivery.COPY)
    assert names(result, "initContainers") == ["podhooks-runtime", "on-exit", "on-start"]


def test_without_on_exit_callbacks_there_is_no_on_exit_container_and_no_reserve() -> None:
    result, report = inject(pod({contract.ON_START: "app:prepare"}))
    assert names(result, "initContainers") == ["on-start"]
    assert "terminationGracePeriodSeconds" not in result["spec"]
    assert report.grace_seconds is None


@pytest.mark.parametrize(
    "annotations", [{contract.ON_EXIT: "a:b"}, {contract.ON_EXIT: "a:b", contract.MODE: "classic"}]
)
def test_on_start_is_there_with_on_exit_callbacks_alone_because_it_checks_them(annotations: dict[str, str]) -> None:
    assert "on-start" in names(injected(pod(annotations)), "initContainers")


@pytest.mark.parametrize(
    ("delivery", "volume", "command"),
    [
        (Delivery.IMAGE, {"image": {"reference": "r/p:2", "pullPolicy": "Always"}}, ["python3", "-S"]),
        (Delivery.COPY, {"emptyDir": {}}, ["python3", "-S"]),
        (Delivery.INSTALLED, None, ["python3", "-m"]),
    ],
)
def test_the_runtime_is_delivered(delivery: Delivery, volume: Pod | None, command: list[str]) -> None:
    result = injected(pod(), delivery=delivery, image="r/p:2", pull_policy="Always")
    volumes = {each["name"]: each for each in result["spec"]["volumes"]}
    mounts = {each["name"]: each for each in container(result, "on-exit")["volumeMounts"]}
    assert container(result, "on-exit")["command"][:2] == command
    if volume is None:
        assert "podhooks-runtime" not in {*volumes, *mounts}
        assert container(result, "on-start")["command"] == ["python3", "-m", "podhooks_initcontainer"]
    else:
        assert volumes["podhooks-runtime"] == {"name": "podhooks-runtime", **volume}
        assert mounts["podhooks-runtime"] == {
            "name": "podhooks-runtime",
            "mountPath": "/podhooks/runtime",
            "readOnly": True,
        }
        assert container(result, "on-start")["command"][2] == "/podhooks/runtime/opt/podhooks/on_start.py"


def test_the_copying_container_uses_our_image_and_writes_the_volume() -> None:
    copying = container(injected(pod(), delivery=Delivery.COPY, image="r/p:2", pull_policy="Never"), "podhooks-runtime")
    assert (copying["image"], copying["imagePullPolicy"]) == ("r/p:2", "Never")
    assert copying["command"] == [
        "python3",
        "-I",
        "/opt/podhooks/podhooks/runtime/install.py",
        "/podhooks/runtime/opt/podhooks",
    ]
    assert copying["volumeMounts"] == [{"name": "podhooks-runtime", "mountPath": "/podhooks/runtime"}]


# ---- what ours inherit


MAIN: dict[str, Any] = {
    "name": "main",
    "image": "app:1",
    "imagePullPolicy": "Never",
    "command": ["run"],
    "args": ["--all"],
    "workingDir": "/srv",
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}],
    "envFrom": [{"configMapRef": {"name": "conf"}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
    "volumeDevices": [{"name": "disk", "devicePath": "/dev/xvda"}],
    "ports": [{"containerPort": 80}],
    "livenessProbe": {"tcpSocket": {"port": 80}},
    "readinessProbe": {"tcpSocket": {"port": 80}},
    "startupProbe": {"tcpSocket": {"port": 80}},
    "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
    "resources": {"limits": {"memory": "4Gi"}},
    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
    "restartPolicy": "Never",
    "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}],
    "stdin": True,
    "stdinOnce": True,
    "tty": True,
    "terminationMessagePath": "/tmp/end",
    "terminationMessagePolicy": "FallbackToLogsOnError",
}


@pytest.mark.parametrize("name", ["on-start", "on-exit"])
def test_ours_take_after_main_but_not_what_belongs_to_its_process(name: str) -> None:
    ours = container(injected(pod(containers=[MAIN])), name)
    for field in ("image", "imagePullPolicy", "workingDir", "envFrom", "volumeDevices"):
        assert ours[field] == MAIN[field]
    assert ours["env"][:2] == MAIN["env"]
    assert ours["volumeMounts"][0] == MAIN["volumeMounts"][0]
    assert ours["terminationMessagePolicy"] == "File"
    allowed = {"name", "command", "env", "volumeMounts", "resources", "securityContext", "terminationMessagePolicy"}
    allowed |= {"image", "imagePullPolicy", "workingDir", "envFrom", "volumeDevices"}
    assert set(ours) - allowed == ({"restartPolicy"} if name == "on-exit" else set())


def test_our_variables_come_behind_mains() -> None:
    env = container(injected(pod(containers=[MAIN], terminationGracePeriodSeconds=10)), "on-exit")["env"]
    assert env[3:6] == [
        {"name": "PODHOOKS_MAIN_CONTAINER", "value": "main"},
        {"name": "PODHOOKS_MODE", "value": "native"},
        {"name": "PODHOOKS_GRACE_SECONDS", "value": "40"},
    ]
    assert {each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"] for each in env if "valueFrom" in each} == {
        "PODHOOKS_POD_NAME": "metadata.name",
        "PODHOOKS_POD_NAMESPACE": "metadata.namespace",
        "PODHOOKS_POD_UID": "metadata.uid",
        "PODHOOKS_NODE_NAME": "spec.nodeName",
    }
    assert env[-2:] == [
        {"name": "PODHOOKS_PODINFO_DIR", "value": "/podhooks/podinfo"},
        {"name": "PODHOOKS_SHARED_DIR", "value": "/podhooks/shared"},
    ]


def test_main_gets_the_shared_directory_behind_its_own() -> None:
    main = container(injected(pod(containers=[MAIN])), "main")
    assert main["volumeMounts"] == [
        *MAIN["volumeMounts"],
        {"name": "podhooks-shared", "mountPath": "/podhooks/shared"},
    ]
    assert main["env"] == [*MAIN["env"], {"name": "PODHOOKS_SHARED_DIR", "value": "/podhooks/shared"}]
    kept = {key: value for key, value in main.items() if key not in ("env", "volumeMounts")}
    assert kept == {key: value for key, value in MAIN.items() if key not in ("env", "volumeMounts")}


def test_the_podinfo_volume_has_annotations_and_labels() -> None:
    volumes = {each["name"]: each for each in injected(pod())["spec"]["volumes"]}
    assert volumes["podhooks-podinfo"]["downwardAPI"]["items"] == [
        {"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
    ]
    assert volumes["podhooks-shared"] == {"name": "podhooks-shared", "emptyDir": {}}


def test_own_image_and_interpreter() -> None:
    result = injected(pod({**BOTH, contract.IMAGE: "hooks:3", contract.PYTHON: "/venv/bin/python"}))
    assert container(result, "on-exit")["image"] == "hooks:3"
    assert container(result, "on-exit")["command"][0] == "/venv/bin/python"
    assert container(result, "main")["image"] == "app:1"


def test_bidirectional_mounts_are_for_privileged_containers_only() -> None:
    mount = {"name": "d", "mountPath": "/d", "mountPropagation": "Bidirectional"}
    main = {"name": "main", "image": "x", "volumeMounts": [mount], "securityContext": {"privileged": True}}
    result = injected(pod(containers=[main]))
    assert container(result, "on-exit")["volumeMounts"][0]["mountPropagation"] == "HostToContainer"
    assert container(result, "main")["volumeMounts"][0]["mountPropagation"] == "Bidirectional"


# ---- who main is

TWO = [{"name": "log", "image": "l"}, {"name": "work", "image": "w"}]


@pytest.mark.parametrize(
    ("annotations", "main", "image", "mounted"),
    [
        ({}, "log", "l", ["log"]),
        ({contract.MAIN_CONTAINER: "work"}, "work", "w", ["work"]),
        ({contract.DEFAULT_CONTAINER_ANNOTATION: "work"}, "work", "w", ["work"]),
        ({contract.MAIN_CONTAINER: "log", contract.DEFAULT_CONTAINER_ANNOTATION: "work"}, "log", "l", ["log"]),
        ({contract.MAIN_CONTAINER: "*"}, "*", "l", ["log", "work"]),
    ],
)
def test_main(annotations: dict[str, str], main: str, image: str, mounted: list[str]) -> None:
    result, report = inject(pod({**BOTH, **annotations}, containers=TWO))
    ours = container(result, "on-exit")
    assert {"name": "PODHOOKS_MAIN_CONTAINER", "value": main} in ours["env"]
    assert ours["image"] == image
    assert [each["name"] for each in result["spec"]["containers"] if each.get("volumeMounts")] == mounted
    assert report.main == tuple(mounted)


# ---- time


@pytest.mark.parametrize(
    ("grace", "annotations", "expected"),
    [
        (None, {}, 60),
        (0, {}, 30),
        (600, {}, 630),
        (None, {contract.ON_EXIT_TIMEOUT: "90s"}, 120),
        (None, {contract.RESERVE: "1500ms"}, 32),  # rounded up
        (None, {contract.ON_EXIT: "a:b, c:d, e:f"}, 120),
    ],
)
def test_main_keeps_its_grace_period_and_the_reserve_comes_behind_it(
    grace: int | None, annotations: dict[str, str], expected: int
) -> None:
    result, report = inject(pod({**BOTH, **annotations}, terminationGracePeriodSeconds=grace))
    assert result["spec"]["terminationGracePeriodSeconds"] == expected
    assert report.grace_seconds == (grace, expected)
    assert {"name": "PODHOOKS_GRACE_SECONDS", "value": str(expected)} in container(result, "on-start")["env"]


# ---- security


def test_ours_pass_restricted_when_only_main_itself_was_made_to() -> None:
    context = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"},
        "readOnlyRootFilesystem": True,
    }
    source = pod(containers=[{"name": "main", "image": "x", "securityContext": context}])
    assert violations(source["spec"]) == []
    for delivery in Delivery:
        result = injected(source, delivery=delivery)
        assert violations(result["spec"]) == []
        assert container(result, "on-exit")["securityContext"] == {**context, "capabilities": {"drop": ["ALL"]}}


def test_ours_pass_restricted_when_the_pod_itself_was_made_to() -> None:
    tight = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    source = pod(
        securityContext={"runAsNonRoot": True, "fsGroup": 7, "seccompProfile": {"type": "RuntimeDefault"}},
        containers=[{"name": "main", "image": "x", "securityContext": tight}],
    )
    assert violations(source["spec"]) == []
    for delivery in Delivery:
        assert violations(injected(source, delivery=delivery)["spec"]) == []


def test_ours_never_get_mains_might() -> None:
    mighty = {
        "privileged": True,
        "allowPrivilegeEscalation": True,
        "procMount": "Unmasked",
        "capabilities": {"add": ["SYS_ADMIN"]},
        "seccompProfile": {"type": "Unconfined"},
        "appArmorProfile": {"type": "Unconfined"},
        "runAsUser": 0,
    }
    result = injected(pod(containers=[{"name": "main", "image": "x", "securityContext": mighty}]))
    assert container(result, "on-exit")["securityContext"] == {
        "runAsUser": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container(result, "main")["securityContext"] == mighty


def test_no_user_is_made_up() -> None:
    context = container(injected(pod()), "on-start")["securityContext"]
    assert not {"runAsUser", "runAsGroup", "runAsNonRoot"} & set(context)


@pytest.mark.parametrize(
    ("given_resources", "expected"),
    [
        ({}, {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}),
        (
            {"limits": {"memory": "2Gi"}},
            {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        ),
        (  # a default may not contradict what is given
            {"requests": {"cpu": 2}, "limits": {"memory": "16Mi"}},
            {"requests": {"cpu": 2, "memory": "16Mi"}, "limits": {"cpu": 2, "memory": "16Mi"}},
        ),
        (
            {"requests": {"ephemeral-storage": "1Gi"}},
            {
                "requests": {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "1Gi"},
                "limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"},
            },
        ),
    ],
)
def test_requests_and_limits_are_always_both(given_resources: Pod, expected: Pod) -> None:
    assert completed(given_resources, DEFAULT_RESOURCES) == expected


def test_resources_of_the_annotation_reach_every_container_of_ours() -> None:
    annotations = {**BOTH, contract.RESOURCES: '{"limits": {"memory": "1Gi"}}'}
    result = injected(pod(annotations), delivery=Delivery.COPY)
    for name in ("podhooks-runtime", "on-start", "on-exit"):
        assert container(result, name)["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}


def test_what_is_no_quantity_is_known() -> None:
    assert all(map(is_quantity, ("100m", "1.5Gi", "2e3", 3)))
    assert not any(map(is_quantity, ("n", "1 Gi", True, None, "", "1KiB")))


# ---- annotations of the cluster


def test_default_annotations_are_written_where_the_runtime_reads_them_and_taken_out_again() -> None:
    defaults = {contract.MODE: "classic", contract.ON_EXIT_TIMEOUT: "5s"}
    source = pod({**BOTH, contract.ON_EXIT_TIMEOUT: "7s"})
    result = injected(source, annotations=defaults)
    assert result["metadata"]["annotations"][contract.MODE] == "classic"
    assert result["metadata"]["annotations"][contract.ON_EXIT_TIMEOUT] == "7s"
    assert names(result, "containers") == ["main", "on-exit"]
    assert uninject(result) == (source, True)


def test_default_annotations_make_no_pod_ours() -> None:
    source = pod({"other": "x"})
    result, report = inject(source, InjectSettings(annotations={contract.ON_EXIT: "a:b"}))
    assert (result, report.outcome, report.reasons) == (source, Outcome.SKIPPED, ("not-annotated",))


# ---- again, and back


def test_injecting_twice_is_injecting_once() -> None:
    once, first = inject(pod())
    twice, second = inject(once)
    assert twice == once
    assert (first.outcome, second.outcome) == (Outcome.INJECTED, Outcome.UNCHANGED)
    assert second.previous == __version__


@pytest.mark.parametrize("mount", [{}, None, "x", {"name": None}, {"mountPath": ["x"]}])
def test_an_injected_pod_with_a_mount_that_is_none_is_mended(mount: Any) -> None:
    once = injected(pod())
    spoiled = copy.deepcopy(once)
    spoiled["spec"]["initContainers"][0]["volumeMounts"].append(mount)
    again, report = inject(spoiled)
    assert (again, report.outcome) == (once, Outcome.UPDATED)


def test_changed_annotations_settings_and_versions_are_an_update() -> None:
    once = injected(pod())
    once["metadata"]["annotations"][contract.MODE] = "classic"
    again, report = inject(once)
    assert report.outcome is Outcome.UPDATED
    assert again == injected(pod({**BOTH, contract.MODE: "classic"}))
    other, report = inject(once, InjectSettings(delivery=Delivery.COPY))
    assert report.outcome is Outcome.UPDATED
    assert other == injected(pod(CLASSIC), delivery=Delivery.COPY)
    old = injected(pod())
    status = old["metadata"]["annotations"]
    status[contract.STATUS] = status[contract.STATUS].replace(__version__, "0.0.1")
    new, report = inject(old)
    assert (report.outcome, report.previous) == (Outcome.UPDATED, "0.0.1")
    assert new == injected(pod())


def test_annotations_taken_out_take_the_containers_out() -> None:
    once = injected(pod())
    del once["metadata"]["annotations"][contract.ON_START], once["metadata"]["annotations"][contract.ON_EXIT]
    result, report = inject(once)
    assert (result, report.outcome) == (pod({}), Outcome.REMOVED)


def test_what_others_added_meanwhile_stays() -> None:
    once = injected(pod())
    proxy = {"name": "istio-proxy", "image": "p", "restartPolicy": "Always"}
    token = {"name": "kube-api-access", "mountPath": contract.SERVICE_ACCOUNT_DIR}
    once["spec"]["initContainers"].insert(0, proxy)
    for each in [*once["spec"]["initContainers"], *once["spec"]["containers"]]:
        each.setdefault("volumeMounts", []).append(token)
    again = injected(once)
    assert names(again, "initContainers") == ["istio-proxy", "on-exit", "on-start"]
    assert token in container(again, "on-exit")["volumeMounts"]
    bare, changed = uninject(again)
    assert changed
    assert names(bare, "initContainers") == ["istio-proxy"]
    assert bare["spec"]["containers"][0]["volumeMounts"] == [token]


def test_uninject_of_a_pod_that_was_never_injected() -> None:
    assert uninject(pod()) == (pod(), False)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"version": 1}', "{}", '{"version":"1","was":{"volumes":[1]}}'])
def test_a_status_that_is_not_ours_is_refused(text: str) -> None:
    source = pod({**BOTH, contract.STATUS: text})
    result, report = inject(source)
    assert (result, report.reasons) == (source, ("bad-status",))
    with pytest.raises(ManifestError, match="isn't one that Podhooks wrote"):
        uninject(source)


def test_the_shared_volume_may_be_mounted_by_the_user_anywhere() -> None:
    mounts = [
        {"name": "podhooks-shared", "mountPath": "/x"},
        {"name": "podhooks-shared", "mountPath": contract.SHARED_DIR},
    ]
    env = [{"name": contract.ENV_SHARED_DIR, "value": contract.SHARED_DIR}]
    source = pod(containers=[{"name": "main", "image": "a", "volumeMounts": mounts, "env": env}])
    result = injected(source)
    assert container(result, "main")["volumeMounts"] == mounts
    for field, key in (("volumeMounts", "mountPath"), ("env", "name")):  # the API refuses what is there twice
        found = [each[key] for each in container(result, "on-exit")[field]]
        assert len(found) == len(set(found))
    assert uninject(result) == (source, True)


EMPTIES: tuple[Callable[[Pod, str], None], ...] = (
    lambda holder, key: holder.__setitem__(key, []),
    lambda holder, key: holder.__setitem__(key, None),
    lambda holder, key: holder.pop(key, None),
    lambda holder, key: None,
)


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    """Pods that can be injected, with lists that are there, empty, null or missing."""
    word = st.sampled_from(["a", "b", "c", "d", "e"])
    mains = [
        {"name": name, "image": draw(word), "env": [{"name": "X", "value": "1"}], "volumeMounts": [], "extra": {"k": 1}}
        for name in draw(st.lists(word, min_size=1, max_size=3, unique=True))
    ]
    for main in mains:
        main["volumeMounts"] = [{"name": "data", "mountPath": f"/{draw(word)}"}]
        for field in ("env", "volumeMounts"):
            draw(st.sampled_from(EMPTIES))(main, field)
    init = st.lists(st.sampled_from(["i", "j", "k"]), max_size=3, unique=True)
    always = st.sampled_from([{}, {"restartPolicy": "Always"}])
    spec: Pod = {
        "containers": mains,
        "initContainers": [{"name": name, "image": "x", **draw(always)} for name in draw(init)],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "terminationGracePeriodSeconds": draw(st.sampled_from([0, 1, 30, 3600])),
        "unknownField": [1, {"x": None}],
    }
    for field in ("initContainers", "volumes"):
        draw(st.sampled_from(EMPTIES))(spec, field)
    draw(st.sampled_from(EMPTIES[1:]))(spec, "terminationGracePeriodSeconds")
    annotations = {
        **draw(st.sampled_from([BOTH, {contract.ON_EXIT: "a:b"}, {contract.ON_START: "a:b"}])),
        contract.MODE: draw(st.sampled_from([each.value for each in Mode])),
        **draw(st.sampled_from([{}, {contract.MAIN_CONTAINER: "*"}])),
        **draw(st.sampled_from([{}, {contract.GUARANTEE: "cluster"}])),
    }
    metadata: Pod = {"annotations": annotations}
    labels = [None, {}, {"app": "etl"}, {contract.GUARANTEE_LABEL: "cluster"}, "missing"]
    finalizers = [None, [], ["example.com/mine"], [contract.FINALIZER, "example.com/mine"], "missing"]
    for field, choices in (("labels", labels), ("finalizers", finalizers)):
        if (value := draw(st.sampled_from(choices))) != "missing":
            metadata[field] = value
    return {"metadata": metadata, "spec": spec}


@given(pods(), st.sampled_from(list(Delivery)), st.sampled_from([None, True]))
@settings(max_examples=300)
def test_uninject_gives_back_the_original(source: Pod, delivery: Delivery, rescuer: bool | None) -> None:
    before = copy.deepcopy(source)
    options = InjectSettings(delivery=delivery, rescuer=rescuer)
    result, report = inject(source, options)
    assert report.injectable, report.findings
    assert source == before, "the input was changed"
    assert inject(result, options)[0] == result
    injected_before = copy.deepcopy(result)
    assert uninject(result) == (source, True)
    assert result == injected_before, "the input was changed"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["main", "on-exit", "Always"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "env", "image", "volumeMounts", "securityContext", "x"]), inner)
    ),
    max_leaves=8,
)
FIELDS = ["containers", "initContainers", "volumes", "securityContext", "restartPolicy", "os", "nodeSelector"]
FIELDS += ["terminationGracePeriodSeconds", "activeDeadlineSeconds", "automountServiceAccountToken"]


@given(
    st.dictionaries(st.sampled_from(list(ANNOTATIONS)), st.text(max_size=9) | st.just("a:b") | ANYTHING)
    | st.just(BOTH)
    | ANYTHING,
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING) | ANYTHING,
    st.sampled_from(["Pod", "Job", "CronJob", "List", "DaskCluster", "DaskJob", "Foo"]),
)
@pytest.mark.timeout(300)
@settings(max_examples=500)
def test_whatever_it_is_given_it_answers(annotations: Any, spec: Any, kind: str) -> None:
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    before = copy.deepcopy(template)
    result, report = inject(template)
    assert template == before
    assert report.injectable or result == template or report.outcome is Outcome.REMOVED
    for body in ({"template": template}, {"job": template, "worker": template}, template, spec, {"items": [template]}):
        inject_object({"kind": kind, "metadata": {"annotations": annotations}, "spec": body, "items": [body]})


# ---- what it says


def broken(**changes: Any) -> Pod:
    return {"name": "main", "image": "a", **changes}


def labelled(labels: Any) -> Pod:
    source = pod({**BOTH, contract.GUARANTEE: "cluster"})
    source["metadata"]["labels"] = labels
    return source


def asking(memory: str, of_the_pod: str) -> dict[str, Any]:
    """Main's request of memory, and the whole pod's."""
    main = broken(resources={"requests": {"memory": memory}})
    return {"containers": [main], "resources": {"requests": {"memory": of_the_pod}}}


PROXY = {"name": "p", "image": "p", "restartPolicy": "Always", "resources": {"limits": {"memory": "256Mi"}}}


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (pod(containers=[]), "no-containers"),
        (pod(containers=None), "no-containers"),
        (pod(containers={"name": "main"}), "malformed-pod"),
        (pod(containers=["main"]), "malformed-pod"),
        (pod(containers=[{"image": "x"}]), "malformed-pod"),
        (pod(containers=[broken(), broken()]), "malformed-pod"),
        (pod(containers=[broken(env={"A": "1"})]), "malformed-pod"),
        (pod(containers=[broken(volumeMounts=["/x"])]), "malformed-pod"),
        (pod(initContainers={}), "malformed-pod"),
        (pod(terminationGracePeriodSeconds="30"), "malformed-pod"),
        (pod(terminationGracePeriodSeconds=-1), "malformed-pod"),
        (pod(os={"name": "windows"}), "windows"),
        (pod(nodeSelector={"kubernetes.io/os": "windows"}), "windows"),
        (pod({**BOTH, "kubernetes.io/config.mirror": "abc"}), "mirror-pod"),
        (pod({**BOTH, contract.MAIN_CONTAINER: "mian"}), "unknown-main"),
        (pod({**BOTH, contract.MAIN_CONTAINER: "i"}, initContainers=[{"name": "i"}]), "unknown-main"),
        (pod(containers=[broken(), {"name": "on-exit", "image": "x"}]), "container-taken"),
        (pod(initContainers=[{"name": "podhooks-runtime", "image": "x"}]), "container-taken"),
        (pod(containers=[{"name": "on-exit", "image": "x"}]), "container-taken"),
        (pod(CLASSIC, containers=[{"name": "on-exit", "image": "x"}, {"name": "on-start"}]), "container-taken"),
        (pod(volumes=[{"name": "podhooks-shared", "emptyDir": {}}]), "volume-taken"),
        (pod(containers=[broken(volumeMounts=[{"name": "d", "mountPath": "/podhooks"}])]), "mount-taken"),
        (pod(containers=[broken(volumeMounts=[{"name": "d", "mountPath": "/podhooks/shared/"}])]), "mount-taken"),
        (pod(containers=[broken(env=[{"name": contract.ENV_SHARED_DIR, "value": "/x"}])]), "env-taken"),
        (pod(containers=[broken(env=[{"name": contract.ENV_MODE, "value": "native"}])]), "env-taken"),
        (labelled({contract.GUARANTEE_LABEL: "yes"}), "label-taken"),
        (labelled(["a"]), "malformed-pod"),
        (pod({**CLASSIC}, automountServiceAccountToken=False), "no-api-access"),
        (pod(resources={"requests": {"memory": "63Mi"}}), "pod-resources-too-small"),
        (pod(resources={"limits": {"cpu": "19m"}}), "pod-resources-too-small"),
        (pod(BOTH, **asking("1Gi", of_the_pod="1Gi")), "pod-resources-too-small"),
        (pod(BOTH, **asking("1Gi", of_the_pod="1300Mi"), initContainers=[PROXY]), "pod-resources-too-small"),
        (pod(CLASSIC, resources={"limits": {"memory": "511Mi"}}), "pod-resources-too-small"),
    ],
)
def test_an_error_leaves_the_pod_alone(source: Pod, code: str) -> None:
    before = copy.deepcopy(source)
    result, report = inject(source)
    assert code in report.reasons
    assert result == before
    assert (report.outcome, report.injectable, report.added) == (Outcome.REFUSED, False, ())
    assert {each.code for each in report.errors} == set(report.reasons)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (pod({**BOTH, contract.DEFAULT_CONTAINER_ANNOTATION: "gone"}), "unknown-default-container"),
        (pod(automountServiceAccountToken=False), "blind-on-exit"),
        (pod(restartPolicy=None), "main-restarts"),
        (pod(restartPolicy="Always"), "main-restarts"),
        (pod(activeDeadlineSeconds=300), "short-deadline"),
        (
            pod(containers=[broken(resources={"limits": {"cpu": "1", "memory": "1Gi"}})]),
            "loses-guaranteed-qos",
        ),
        (pod(resources={"limits": {"memory": "1Gi"}}), "pod-requests-become-ours"),
        (pod(hostUsers=False), "user-namespace-image-volume"),
        (pod(containers=[broken(image="docker.io/library/nginx:1.27-alpine")]), "image-without-python"),
        (pod(containers=[broken(image="gcr.io/distroless/static-debian12")]), "image-without-python"),
        (pod({**BOTH, contract.IMAGE: "alpine"}), "image-without-python"),
    ],
)
def test_a_warning_is_only_a_warning(source: Pod, code: str) -> None:
    result, report = inject(source)
    assert [each.code for each in report.warnings] == [code]
    assert report.injectable
    assert "on-start" in names(result, "initContainers")


EQUAL: dict[str, Any] = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
ASKING: dict[str, Any] = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "100m"}}}


@pytest.mark.parametrize("other", [{}, {"requests": {"cpu": "1"}}])
def test_limits_of_the_pod_that_were_its_requests_too_are_guaranteed_no_longer(other: dict[str, Any]) -> None:
    limits = {"limits": EQUAL["limits"]}
    warnings = inject(pod(resources={**limits, **other}))[1].warnings
    assert [each.code for each in warnings] == ["loses-guaranteed-qos"] * (1 if other else 2)
    assert warnings[-1].where == "spec.resources.limits.memory"
    assert "write requests.memory: 1Gi" in warnings[-1].message


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (pod(restartPolicy="OnFailure"), "main-restarts"),
        (pod({contract.ON_START: "a:b"}, restartPolicy="Always"), "main-restarts"),
        (pod(activeDeadlineSeconds=301), "short-deadline"),
        (pod(resources=EQUAL, containers=[broken(resources=EQUAL)]), "loses-guaranteed-qos"),
        (pod(resources=EQUAL), "loses-guaranteed-qos"),
        (pod(resources=EQUAL), "pod-requests-become-ours"),
        (pod(resources={"limits": {"cpu": "1"}}, containers=[ASKING]), "pod-requests-become-ours"),
        (pod(hostUsers=True), "user-namespace-image-volume"),
        (pod({**BOTH, contract.PYTHON: "bundled"}, containers=[broken(image="nginx:1")]), "image-without-python"),
        (pod(containers=[broken(image="example.com/nginx:1")]), "image-without-python"),
        (pod(containers=[broken(image="gcr.io/distroless/python3-debian12:debug")]), "image-without-python"),
        (pod({contract.ON_EXIT: "a:b"}, activeDeadlineSeconds=3), "short-deadline"),
        (pod(hostNetwork=True, hostPID=True), "malformed-pod"),
        (
            pod(
                {
                    **BOTH,
                    contract.RESOURCES: '{"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"1","memory":"1Gi"}}',
                },
                containers=[broken(resources={"limits": {"cpu": "1", "memory": "1Gi"}})],
            ),
            "loses-guaranteed-qos",
        ),
        (
            pod(
                CLASSIC,
                automountServiceAccountToken=False,
                containers=[broken(volumeMounts=[{"name": "token", "mountPath": contract.SERVICE_ACCOUNT_DIR}])],
            ),
            "no-api-access",
        ),
        (pod(resources={"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}}), "pod-resources-too-small"),
        (pod({contract.ON_START: "a:b"}, **asking("1Gi", of_the_pod="1Gi")), "pod-resources-too-small"),
        (pod(BOTH, **asking("1Gi", of_the_pod="1312Mi"), initContainers=[PROXY]), "pod-resources-too-small"),
        (pod(CLASSIC, resources={"limits": {"memory": "512Mi"}}), "pod-resources-too-small"),
    ],
)
def test_no_false_alarm(source: Pod, code: str) -> None:
    assert code not in codes(source)


@pytest.mark.parametrize(
    ("version", "annotations", "delivery", "expected"),
    [
        ((1, 28), BOTH, Delivery.COPY, {"native-too-new"}),
        ((1, 28), CLASSIC, Delivery.COPY, set()),
        ((1, 28), {contract.ON_START: "a:b"}, Delivery.COPY, set()),
        ((1, 29), BOTH, Delivery.COPY, set()),
        ((1, 30), BOTH, Delivery.IMAGE, {"image-volume-too-new"}),
        ((1, 33), BOTH, Delivery.IMAGE, {"image-volume-off"}),
        ((1, 35), BOTH, Delivery.IMAGE, set()),
        ((1, 36), BOTH, Delivery.IMAGE, set()),
        (None, BOTH, Delivery.IMAGE, set()),
    ],
)
def test_what_a_version_of_kubernetes_can_not_do(
    version: tuple[int, int] | None, annotations: dict[str, str], delivery: Delivery, expected: set[str]
) -> None:
    assert codes(pod(annotations), kubernetes=version, delivery=delivery) == expected


def test_unknown_main_says_what_was_meant() -> None:
    (found,) = inject(pod({**BOTH, contract.MAIN_CONTAINER: "mian"}))[1].findings
    assert (found.where, found.code) == (contract.MAIN_CONTAINER, "unknown-main")
    assert "did you mean main?" in found.message


def test_every_code_has_a_severity_and_a_line_in_the_docs() -> None:
    documented = Path(__file__).parents[2].joinpath("docs", "inject.md").read_text(encoding="utf-8")
    for code, severity in CODES.items():
        assert f"| `{code}` | {severity.value} |" in documented
    assert Severity.ERROR in CODES.values()


def test_docs_have_the_settings_table() -> None:
    documented = Path(__file__).parents[2].joinpath("docs", "inject.md").read_text(encoding="utf-8")
    for name in InjectSettings._fields:
        assert f"| `{name}` |" in documented


@pytest.mark.parametrize(
    ("text", "version"), [("1.36", (1, 36)), ("v1.29.3", (1, 29)), ("1.33+", (1, 33)), ("1.31.0-gke.1", (1, 31))]
)
def test_kubernetes_versions(text: str, version: tuple[int, int]) -> None:
    assert parse_kubernetes_version(text) == version


@pytest.mark.parametrize("text", ["", "1", "latest", "1.x", "2"])
def test_what_is_no_kubernetes_version(text: str) -> None:
    with pytest.raises(InputError, match="write it like"):
        parse_kubernetes_version(text)


# ---- objects around pods

TEMPLATE: Pod = {"metadata": {"annotations": BOTH}, "spec": pod()["spec"]}
BARE: Pod = {"metadata": {}, "spec": pod()["spec"]}
CLASSIC_TEMPLATE: Pod = {"metadata": {"annotations": CLASSIC}, "spec": pod()["spec"]}


def wrapped(kind: str, template: Pod) -> Pod:
    bodies: dict[str, Pod] = {
        "PodTemplate": {"template": template},
        "CronJob": {"spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": template}}}},
        "DaskCluster": {"spec": {"worker": {"replicas": 2, **template}, "scheduler": {"service": {}, **BARE}}},
        "DaskWorkerGroup": {"spec": {"cluster": "c", "worker": template}},
        "DaskJob": {"spec": {"job": template, "cluster": {"spec": {"worker": BARE, "scheduler": BARE}}}},
    }
    return {"kind": kind, "metadata": {"name": "x"}, **bodies.get(kind, {"spec": {"template": template}})}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Job", "spec.template"),
        ("CronJob", "spec.jobTemplate.spec.template"),
        ("Deployment", "spec.template"),
        ("StatefulSet", "spec.template"),
        ("DaemonSet", "spec.template"),
        ("ReplicaSet", "spec.template"),
        ("PodTemplate", "template"),
        ("SomebodysOwn", "spec.template"),
        ("DaskCluster", "spec.worker"),
        ("DaskWorkerGroup", "spec.worker"),
        ("DaskJob", "spec.job"),
    ],
)
def test_every_kind_with_a_pod_template(kind: str, path: str) -> None:
    source = wrapped(kind, CLASSIC_TEMPLATE)
    before = copy.deepcopy(source)
    options = InjectSettings(delivery=Delivery.COPY)
    result, reports = inject_object(source, options)
    assert source == before
    (done,) = [each for each in reports if each.report.injectable]
    assert ".".join(map(str, done.path)) == path
    expected = inject(CLASSIC_TEMPLATE, options)[0]
    found = result
    for part in path.split("."):
        found = found[part]
    assert {"metadata": found["metadata"], "spec": found["spec"]} == expected
    assert uninject_object(result) == (source, (f"{kind}/x",))


def test_a_list_and_the_list_that_kubectl_makes() -> None:
    job, service = wrapped("Job", TEMPLATE), {"kind": "Service", "metadata": {"name": "s"}}
    typed = {key: value for key, value in job.items() if key != "kind"}
    for document in (
        {"kind": "List", "items": [service, job, service]},
        {"kind": "JobList", "items": [typed]},
        {"kind": "List", "items": [{"kind": "List", "items": [job]}]},
    ):
        result, reports = inject_object(document)
        assert [(each.kind, each.report.outcome) for each in reports] == [("Job", Outcome.INJECTED)]
        assert uninject_object(result)[0] == document


def test_objects_without_pods_are_left_alone() -> None:
    for document in (
        {"kind": "ConfigMap", "data": {"a": "b"}},
        {"kind": "Widget", "spec": {"template": "text"}},
        {"kind": "Widget", "spec": {"template": {"spec": {"x": 1}}}},
        {"kind": "List", "items": None},
        {"kind": "Job"},
    ):
        assert inject_object(document) == (document, ())


@pytest.mark.parametrize("kind", ["Job", "CronJob", "Deployment"])
def test_annotations_on_the_object_instead_of_its_pods_are_an_error_that_says_where_they_belong(kind: str) -> None:
    source = wrapped(kind, BARE)
    source["metadata"]["annotations"] = {contract.ON_EXIT: "a:b"}
    result, (report,) = inject_object(source)
    path = "spec.jobTemplate.spec.template" if kind == "CronJob" else "spec.template"
    (found,) = report.report.findings
    assert (found.code, found.where) == ("misplaced", f"metadata.annotations[{contract.ON_EXIT}]")
    assert f"move it to {path}.metadata.annotations" in found.message
    assert (result, report.report.reasons) == (source, ("misplaced",))


def test_a_cron_jobs_job_template_is_a_wrong_place_too() -> None:
    source = wrapped("CronJob", BARE)
    source["spec"]["jobTemplate"]["metadata"] = {"annotations": {contract.ON_EXIT: "a:b"}}
    (found,) = inject_object(source)[1][0].report.findings
    assert (found.code, found.where) == ("misplaced", f"spec.jobTemplate.metadata.annotations[{contract.ON_EXIT}]")


def test_annotations_in_both_places_are_a_warning() -> None:
    source = wrapped("Job", TEMPLATE)
    source["metadata"]["annotations"] = {contract.ON_EXIT: "a:b"}
    _, (report,) = inject_object(source)
    assert [each.code for each in report.report.findings] == ["misplaced-too"]
    assert report.report.injectable


def test_annotations_on_an_object_without_pods_and_among_the_labels_are_errors() -> None:
    service = {"kind": "Service", "metadata": {"name": "s", "annotations": {contract.ON_EXIT: "a:b"}}}
    assert inject_object(service)[1][0].report.reasons == ("misplaced",)
    labelled = wrapped("Job", {"metadata": {"labels": {contract.ON_EXIT: "a"}}, "spec": pod()["spec"]})
    (report,) = inject_object(labelled)[1]
    assert "annotations: move it to spec.template.metadata.annotations" in report.report.findings[0].message


def custom(spec: Any, **more: Any) -> Pod:
    return {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec, **more}


def test_a_template_is_found_at_any_depth_in_any_kind_and_in_any_list() -> None:
    source = custom({"groups": [{"x": 1, "pod": TEMPLATE}], "leader": {"deep": [[TEMPLATE]]}})
    for document, at in ((source, ()), ({"kind": "ResourceList", "items": [source]}, ("items", 0))):
        result, reports = inject_object(document)
        assert [each.path for each in reports] == [
            (*at, "spec", "groups", 0, "pod"),
            (*at, "spec", "leader", "deep", 0, 0),
        ]
        assert str(result).count("'on-exit', 'image'") == 2
        assert uninject_object(result)[0] == document


def test_a_custom_resource_that_may_lose_new_fields_is_said_once_with_what_needs_none() -> None:
    source = custom({"a": TEMPLATE, "b": TEMPLATE})
    _, reports = inject_object(source)
    (found,) = [each for one in reports for each in one.report.findings if each.code == "may-be-pruned"]
    assert (found.severity, found.where) == (Severity.WARNING, "spec.a")
    assert "--delivery copy" in found.message
    assert "podhooks.io/mode: classic" in found.message
    _, (report,) = inject_object(custom({"a": CLASSIC_TEMPLATE}), InjectSettings(delivery=Delivery.COPY))
    assert "may-be-pruned" not in {each.code for each in report.report.findings}
    _, (report,) = inject_object(wrapped("Job", TEMPLATE))
    assert "may-be-pruned" not in {each.code for each in report.report.findings}


def test_the_advice_for_a_misplaced_annotation_of_a_custom_resource_works_when_it_is_followed() -> None:
    source = custom({"deep": [{"pod": BARE}]})
    source["metadata"]["annotations"] = {contract.ON_EXIT: "a:b"}
    result, (report,) = inject_object(source)
    assert (result, report.report.reasons) == (source, ("misplaced",))
    assert "move it to spec.deep[0].pod.metadata.annotations" in report.report.findings[0].message
    moved = custom({"deep": [{"pod": {**BARE, "metadata": {"annotations": {contract.ON_EXIT: "a:b"}}}}]})
    assert inject_object(moved)[1][0].report.injectable


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"driver": {"annotations": {contract.ON_EXIT: "a:b"}}}, f"spec.driver.annotations[{contract.ON_EXIT}]"),
        ({"podAnnotations": {"podhooks.io/on-exti": "a:b"}}, "spec.podAnnotations[podhooks.io/on-exti]"),
        ({"podMetadata": {contract.ON_EXIT: "a:b"}}, f"spec.podMetadata[{contract.ON_EXIT}]"),
        ({"annotations": [{"name": contract.ON_EXIT, "value": "a:b"}]}, "spec.annotations"),
        ({"annotations": f"{contract.ON_EXIT}: a:b"}, "spec.annotations"),
    ],
)
def test_an_annotation_that_nothing_comes_of_is_a_warning_that_names_who_sees_the_pods(spec: Any, where: str) -> None:
    source = custom(spec)
    result, (report,) = inject_object(source)
    (found,) = report.report.findings
    assert (found.code, found.severity, found.where) == ("no-template", Severity.WARNING, where)
    assert "the webhook or the admission policy injects those" in found.message
    assert (result, report.report.outcome, report.report.reasons) == (source, Outcome.SKIPPED, ("no-template",))


@pytest.mark.parametrize(
    "annotations", [[{contract.ON_EXIT: "a:b"}], [f"{contract.ON_EXIT}=a:b"], f"{contract.ON_EXIT}: x"]
)
def test_annotations_that_are_no_mapping_are_an_error(annotations: Any) -> None:
    for source in (
        {**pod(), "metadata": {"annotations": annotations}},
        wrapped("Job", {"metadata": {"annotations": annotations}, "spec": pod()["spec"]}),
        custom({"x": {"metadata": {"annotations": annotations}, "spec": pod()["spec"]}}),
    ):
        result, (report,) = inject_object(source)
        assert (result, report.report.reasons) == (source, ("annotations-not-mapping",))


def test_labels_selectors_and_records_of_what_was_are_no_annotations() -> None:
    for document in (
        custom({"selector": {"matchLabels": {contract.ON_EXIT: "x"}}, "labels": {contract.ON_EXIT: "x"}}),
        {"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": {"spec": {"template": TEMPLATE}}},
        {"kind": "Namespace", "metadata": {"name": "n", "labels": {contract.INJECTION_LABEL: "enabled"}}},
        custom({"x": {"metadata": {"annotations": ["a", {"b": "c"}]}}}),
    ):
        assert inject_object(document) == (document, ())


def test_a_jobs_own_deadline_is_looked_at() -> None:
    source = wrapped("Job", TEMPLATE)
    source["spec"]["activeDeadlineSeconds"] = 60
    (found,) = inject_object(source)[1][0].report.findings
    assert (found.code, found.where) == ("short-deadline", "spec.activeDeadlineSeconds")


def test_fields_of_the_pod_are_named_as_seen_from_the_object() -> None:
    source = wrapped(
        "CronJob", {"metadata": {"annotations": BOTH}, "spec": {**pod()["spec"], "restartPolicy": "Always"}}
    )
    (found,) = inject_object(source)[1][0].report.findings
    assert found.where == "spec.jobTemplate.spec.template.spec.restartPolicy"


@pytest.mark.parametrize("kind", ["DaskCluster", "DaskWorkerGroup", "DaskJob"])
def test_dask_resources_do_not_know_native_sidecars_nor_image_volumes(kind: str) -> None:
    """Their definition spells out a pod of Kubernetes 1.21; the API server drops what isn't in it."""
    native = inject_object(wrapped(kind, TEMPLATE))
    assert native[0] == wrapped(kind, TEMPLATE)
    assert "native-not-in-crd" in {code for each in native[1] for code in each.report.reasons}
    classic, _ = inject_object(wrapped(kind, CLASSIC_TEMPLATE), InjectSettings(delivery=Delivery.IMAGE))
    assert "podhooks-runtime" in str(classic)
    assert "'image': {'reference'" not in str(classic)


# ---- the API's own opinion


@pytest.mark.parametrize("delivery", list(Delivery))
@pytest.mark.parametrize("annotations", [BOTH, CLASSIC])
def test_an_injected_pod_is_valid_and_restricted_if_it_was(delivery: Delivery, annotations: dict[str, str]) -> None:
    tight = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    main = {**MAIN, "securityContext": tight}
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "disk", "persistentVolumeClaim": {"claimName": "c"}}]
    source = pod(
        annotations,
        containers=[main],
        volumes=volumes,
        securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    )
    for each in (source, injected(source, delivery=delivery)):
        kubernetes_validate.validate(each, "1.36", strict=True)
        assert violations(each["spec"]) == []


@given(pods(), st.sampled_from(list(Delivery)))
@settings(max_examples=25)
def test_generated_pods_are_valid_when_injected(source: Pod, delivery: Delivery) -> None:
    spec = {key: value for key, value in source["spec"].items() if key != "unknownField"}
    spec["containers"] = [{key: value for key, value in each.items() if key != "extra"} for each in spec["containers"]]
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {**source["metadata"], "name": "x"}, "spec": spec}
    kubernetes_validate.validate(injected(whole, delivery=delivery), "1.36", strict=True)


def test_the_result_shares_nothing_with_the_input_nor_with_the_next_result() -> None:
    """Somebody may change it: a list of main's that ours inherit, a constant of ours."""

    def holders(value: Any) -> set[int]:
        below = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
        return set() if below is None else {id(value)}.union(*map(holders, below))

    source = pod({contract.ON_EXIT: "a:b", contract.ON_START: "a:b"})
    source["spec"]["containers"][0]["env"] = [{"name": "A", "value": "b"}]
    before = copy.deepcopy(source)
    first, second = inject(source)[0], inject(source)[0]
    assert source == before
    assert first == second
    assert holders(source) & holders(first) == holders(first) & holders(second) == set()
    parts = [holders(each) for each in (*first["spec"]["initContainers"], *first["spec"]["containers"])]
    assert sum(map(len, parts)) == len(set().union(*parts)), "no alias in a YAML file"


def test_a_pod_that_is_only_looked_at_is_not_changed_either() -> None:
    """The webhook's way, which copies nothing that stays as it is."""
    source = pod({contract.ON_EXIT: "a:b", contract.ON_START: "a:b", contract.GUARANTEE: "cluster"})
    source["spec"]["containers"][0] |= {"env": [{"name": "A", "value": "b"}], "volumeMounts": []}
    for each in (source, inject(source)[0], {**inject(source)[0], "spec": source["spec"]}):
        before = copy.deepcopy(each)
        expected = inject(each)
        assert injected_sharing(each, InjectSettings()) == expected
        assert each == before


TOKEN = {"name": "kube-api-access-x7z2k", "mountPath": contract.SERVICE_ACCOUNT_DIR, "readOnly": True}
OTHER = {"name": "data", "mountPath": "/data"}


@pytest.mark.parametrize(
    ("made", "found", "same"),
    [
        ([OTHER], [OTHER, TOKEN], True),
        ([OTHER, TOKEN], [TOKEN, OTHER], True),
        ([OTHER, TOKEN], [OTHER], False),
        ([OTHER, TOKEN], [OTHER, {**TOKEN, "readOnly": False}], False),
        ([OTHER], [OTHER, {**TOKEN, "mountPath": "/var/run/secrets"}], False),
    ],
    ids=["filled in", "main's own, inherited", "main's own, taken out", "main's own, changed", "another mount"],
)
def test_the_tokens_mount_is_a_default_where_the_injector_made_none(made: Any, found: Any, same: bool) -> None:
    assert same_but_for_defaults({"volumeMounts": made}, {"volumeMounts": found}) is same


def test_a_pod_that_names_no_callback_is_told_from_one_without_annotations() -> None:
    none_in_prefect = {contract.ON_START: NONE_IN_PREFECT, contract.ON_EXIT: NONE_IN_PREFECT}
    for annotations in ({contract.MODE: "native"}, none_in_prefect):
        given = pod(annotations)
        result, report = inject(given)
        assert (result, report.outcome, report.reasons) == (given, Outcome.SKIPPED, ("no-callbacks",))
        assert not report.errors
    assert inject(pod({"example.com/mode": "native"}))[1].reasons == ("not-annotated",)


@pytest.mark.parametrize("value", [None, 1, ["a"], {"a": "b"}, True])
def test_annotations_of_others_may_hold_anything(value: Any) -> None:
    given = pod({contract.ON_EXIT: "a:b"})
    given["metadata"]["annotations"]["example.com/odd"] = value
    result, report = inject(given)
    assert report.outcome is Outcome.INJECTED
    assert uninject(result)[0] == given
