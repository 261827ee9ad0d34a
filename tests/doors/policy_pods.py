"""Pods that the admission policy is tried on beside the shared cases: here, and on a real API server in tests/e2e."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podhooks import contract
from podhooks.inject import InjectSettings, Outcome, containers, inject
from podhooks.inject.checks import MIRROR_ANNOTATION
from tests.doors.cases import Pod, comparable


def pod(annotations: Mapping[str, str], main: Mapping[str, Any] | None = None, **spec: Any) -> Pod:
    """Annotations without our prefix; `main` and `spec` over the smallest pod there is."""
    named = {key if "/" in key else contract.PREFIX + key: value for key, value in annotations.items()}
    container = {"name": "main", "image": "etl:1", **(main or {})}
    whole = {"restartPolicy": "Never", "containers": [container], **spec}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "policy-", "annotations": named},
        "spec": whole,
    }


def probe() -> Pod:
    return pod({"on-exit": "notify:slack"})


def injected(given: Pod, settings: InjectSettings) -> Pod:
    made, report = inject(given, settings)
    assert report.outcome is Outcome.INJECTED, report.findings
    return made


def grace(made: Pod) -> int:
    return int(made["spec"].get("terminationGracePeriodSeconds", contract.DEFAULT_GRACE_SECONDS))


def may_take_longer(annotations: Mapping[str, str]) -> bool:
    """Where a timeout can't be told from an argument, a comment or a command's word."""
    text = annotations.get(contract.ON_EXIT, "")
    beside = any(word in text for word in ("exec", "with", "#"))
    return "timeout" in text and beside and contract.RESERVE not in annotations


def prolong(spec: dict[str, Any], seconds: int) -> None:
    """The grace period, in the pod and as our containers are told it."""
    spec["terminationGracePeriodSeconds"] += seconds
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        for each in container.get("env", []):
            if each["name"] == contract.ENV_GRACE_SECONDS:
                each["value"] = str(spec["terminationGracePeriodSeconds"])


LISTS = {
    "one name": "notify:slack",
    "commas": "notify:slack, cleanup:scratch,/opt/tell.py:boss",
    "lines with comments": "# who is told\nnotify:slack # at night\n\ncleanup:scratch\r\n notify:mail,\n",
    "YAML list": "- notify:slack\n- cleanup:scratch  # both\n- a.b.c:D.e\n",
    "JSON list": '["notify:slack", "cleanup:scratch"]',
    "flow list": "[notify:slack, cleanup:scratch]",
    "names with exec in them": '["jobs.exec:run", "jobs:exec", "executor:main"]',
    "more than the bound": ",".join(f"notify:at_{number}" for number in range(40)),
}
TIMES: dict[str, dict[str, str]] = {
    "default": {},
    "minutes": {"on-exit-timeout": "1m30s"},
    "milliseconds": {"on-exit-timeout": "1s250ms"},
    "fraction": {"on-exit-timeout": " 0.5s "},
    "reserve": {"reserve": "45s"},
    "reserve above the bound": {"reserve": "1h0.5s", "on-exit-timeout": "2s"},
}


MAPPINGS = {
    "no timeouts": ("- call: notify:slack\n  with: {channel: ops}\n- exec: [sh, -c, 'rm *']\n- cleanup:scratch\n", 0),
    "quoted names": ("- 'notify:slack'\n- \"cleanup:scratch\"\n", 0),
    "timeouts": ("- call: notify:slack\n  timeout: 1m30s\n- cleanup:scratch\n- call: a:b\n  'timeout': '2s'\n", 0),
    "JSON": ('[{"call":"notify:slack","timeout":"1s"},{"call":"cleanup:scratch","with":{"a":1}}]', 30),
    "one mapping": ("call: notify:slack\ntimeout: 5s", 0),
    "one command": ("exec: [sh, -c, 'true']", 0),
    "commands": ('[{"exec":["a"]}, {"exec" : ["b", "exec"]}, {"call": "jobs:exec"}]', 0),
    "commands in lines": ("- exec:\n  - sh\n- {'exec': [b]}\n- exec: # why\n    [c]\n", 0),
    "timeout beside exec": ("exec: [sh, -c, 'true']\ntimeout: 5s", 30),
    "timeout among arguments": ("- call: notify:slack\n  with: {timeout: 5s}\n", 5),
    "timeout in a comment": ("- call: notify:slack  # timeout: 5s\n", 5),
    "addresses": ("- call: notify:slack\n  with: {url: https://example.com:80, at: '12:30'}\n", 0),
    "a name among arguments": ("- call: notify:slack\n  with: {template: ops:short}\n", 30),
    "timeout as part of a name": ("- call: notify:timeout\n", 270),
    "escapes": ('["notify\\u003aslack", {"call": "cleanup:scratch", "time\\u006fut": "2m"}]', 150),
    "longer than the bound": ("- call: notify:slack\n  timeout: 1h\n", 0),
}


SIDECAR = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
RESOURCES = (
    '{"requests": {"cpu": "2"}}',
    '{"limits": {"memory": "16Mi", "cpu": 0.5}}',
    '{ "limits" : {"ephemeral-storage": "1Gi"} , "requests":{"memory":"1G"} }',
    '{"requests": {}, "limits": {"nvidia.com/gpu": 1}}',
)
PODS: dict[str, Pod] = {
    **{f"resources {text}": pod({"on-exit": "a:b", "resources": text}) for text in RESOURCES},
    "on-start only": pod({"on-start": "a:b", "on-exit-timeout": "1h"}),
    "own image, latest": pod({"on-exit": "a:b", "image": "tools", "python": "/opt/python"}),
    "own image, main never pulled": pod({"on-exit": "a:b", "image": "tools"}, {"imagePullPolicy": "Never"}),
    "own image, main by digest": pod(
        {"on-exit": "a:b", "image": "tools:2"}, {"image": f"registry:5000/etl@sha256:{'0' * 64}"}
    ),
    "own image, main latest": pod({"on-exit": "a:b", "image": "tools:2"}, {"image": "registry:5000/etl"}),
    "default container": pod(
        {"on-exit": "a:b", contract.DEFAULT_CONTAINER_ANNOTATION: "second"},
        containers=[{"name": "first", "image": "a:1"}, {"name": "second", "image": "b:1"}],
    ),
    "default container that isn't there": pod({"on-exit": "a:b", contract.DEFAULT_CONTAINER_ANNOTATION: "second"}),
    "between sidecars and init containers": pod(
        {"on-exit": "a:b"}, initContainers=[{"name": "a", "image": "a:1"}, SIDECAR, {"name": "b", "image": "b:1"}]
    ),
    "our mount and variable already": pod(
        {"on-exit": "a:b"},
        {"env": [{"name": contract.ENV_SHARED_DIR, "value": contract.SHARED_DIR}]},
    ),
    "our variable in another container": pod(
        {"on-exit": "a:b", "main-container": " main "},
        containers=[
            {"name": "reader", "image": "a:1", "env": [containers.SHARED_ENV]},
            {"name": "main", "image": "b:1"},
        ],
    ),
    "mighty main": pod(
        {"on-exit": "a:b"},
        {
            "securityContext": {
                "privileged": True,
                "runAsUser": 1000650000,
                "runAsGroup": 7,
                "runAsNonRoot": True,
                "readOnlyRootFilesystem": True,
                "seLinuxOptions": {"level": "s0:c1"},
                "seccompProfile": {"type": "Unconfined"},
                "appArmorProfile": {"type": "Unconfined"},
                "capabilities": {"add": ["NET_ADMIN"]},
            },
            "volumeMounts": [
                {
                    "name": "host",
                    "mountPath": "/host",
                    "mountPropagation": "Bidirectional",
                    "subPath": "a",
                    "readOnly": False,
                },
                {"name": "host", "mountPath": "/host2", "mountPropagation": "HostToContainer", "readOnly": True},
            ],
        },
        volumes=[{"name": "host", "hostPath": {"path": "/srv"}}],
    ),
    "confined main": pod(
        {"on-exit": "a:b"},
        {
            "securityContext": {
                "seccompProfile": {"type": "Localhost", "localhostProfile": "mine.json"},
                "appArmorProfile": {"type": "RuntimeDefault"},
            },
            "workingDir": "/work",
            "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "A_"}],
            "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}],
            "volumeDevices": [{"name": "disk", "devicePath": "/dev/disk"}],
        },
        volumes=[{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}],
    ),
    "no token": pod({"on-exit": "a:b"}, automountServiceAccountToken=False),
}


def large_pod() -> Pod:
    env = [{"name": f"VARIABLE_{number}", "value": "x" * 100} for number in range(64)]
    volumes = [{"name": f"v-{number}", "emptyDir": {}} for number in range(10)]
    mounts = [{"name": each["name"], "mountPath": f"/mnt/{each['name']}"} for each in volumes]
    many = [{"name": f"c-{n}", "image": "etl:1", "env": env, "volumeMounts": mounts} for n in range(20)]
    names = "\n".join(f"package.module:function_{number}" for number in range(50))
    return pod({"on-start": names, "on-exit": names, "main-container": "*"}, containers=many, volumes=volumes)


NOT_ASKED = {
    "no annotation": lambda settings: {**probe(), "metadata": {"generateName": "policy-"}},
    "annotations of others": lambda settings: pod({"example.com/on-exit": "a:b"}),
    "only an option": lambda settings: pod({"mode": "native"}),
    "injected by the command line": lambda settings: injected(probe(), settings),
    "injected by a chart": lambda settings: without_status(injected(probe(), settings)),
}


def without_status(made: Pod) -> Pod:
    return {**made, **comparable(made)}


REFUSED: dict[str, Pod] = {
    "Podhooks runs in Linux pods only": pod({"on-exit": "a:b"}, os={"name": "windows"}),
    "a static pod can't be changed by the API": pod({"on-exit": "a:b", MIRROR_ANNOTATION: "x"}, nodeName="worker"),
    "an annotation is empty": pod({"on-start": "a:b", "on-exit": " "}),
    "podhooks.io/mode must be native or classic": pod({"on-exit": "a:b", "mode": "Native"}),
    "podhooks.io/main-container names no container": pod({"on-exit": "a:b", "main-container": "mian"}),
    "podhooks.io/image has a blank": pod({"on-exit": "a:b", "image": "a b"}),
    "podhooks.io/python has a blank": pod({"on-exit": "a:b", "python": "python3 -u"}),
    "podhooks.io/on-exit-timeout isn't a duration": pod({"on-exit": "a:b", "on-exit-timeout": "30"}),
    "podhooks.io/reserve isn't a duration": pod({"on-exit": "a:b", "reserve": "8d"}),
    "podhooks.io/resources can't be read": pod({"on-exit": "a:b", "resources": "requests: {cpu: 10m}"}),
    "a container has a name": pod({"on-exit": "a:b"}, initContainers=[{"name": "podhooks-runtime", "image": "a:1"}]),
    "a volume has a name": pod({"on-exit": "a:b"}, volumes=[{"name": "podhooks-podinfo", "emptyDir": {}}]),
    "main mounts something below /podhooks": pod(
        {"on-exit": "a:b"},
        {"volumeMounts": [{"name": "a", "mountPath": "/podhooks/a"}]},
        volumes=[{"name": "a", "emptyDir": {}}],
    ),
    "main sets a variable": pod({"on-exit": "a:b"}, {"env": [{"name": contract.ENV_MODE, "value": "x"}]}),
    "classic mode needs the API": pod({"on-exit": "a:b", "mode": "classic"}, automountServiceAccountToken=False),
}
