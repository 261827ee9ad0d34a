"""Pods that the admission policy is tried on beside the shared cases: here, and on a real API server in tests/e2e."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from podhooks import contract
from podhooks.admission_policy import problems
from podhooks.inject import Delivery, InjectSettings, Outcome, inject
from podhooks.inject.checks import MIRROR_ANNOTATION
from podhooks.inject.containers import SHARED_MOUNT
from podhooks.inject.env import OUR_ENV, SHARED_ENV
from tests.doors.cases import Pod, comparable

CLASSIC = {"on-exit": "a:b", "mode": "classic"}


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


def labelled(given: Pod, **labels: str) -> Pod:
    """Labels without our prefix where they are ours."""
    ours = {contract.GUARANTEE_LABEL if name == "guarantee" else name: text for name, text in labels.items()}
    return {**given, "metadata": {**given["metadata"], "labels": ours}}


def named(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "a:1", **fields}


def other_mount(path: str, name: str = "a") -> dict[str, Any]:
    """What pod() takes for a main with a mount."""
    return {"main": {"volumeMounts": [{"name": name, "mountPath": path}]}, "volumes": [{"name": name, "emptyDir": {}}]}


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
    "a comment of several lines": "notify:slack\n   # whoever, whenever, whatever\ncleanup:scratch # one, two, three",
    "nothing between commas": "notify:slack, , cleanup:scratch,",
    "a name with timeout in it": "notify:timeout",
    "YAML list": "- notify:slack\n- cleanup:scratch  # both\n- a.b.c:D.e\n",
    "YAML list below a comment": "# who\n- notify:slack\n- cleanup:scratch\n",
    "YAML list, dashes alone": "-\n  notify:slack\n-\n  cleanup:scratch\n",
    "JSON text": '"notify:slack"',
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
    "one mapping in JSON below a comment": ('# who\n  {"call":"notify:slack","retries":0}', 0),
    "one mapping in JSON": ('{"call":"notify:slack","retries":0}', 0),
    "one command in lines": ("exec:\n- sh\n- -c\n", 0),
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


NOT_READ: dict[str, tuple[str, int]] = {
    "only a comment": ("# nobody yet", 0),
    "a lambda": ("lambda context: print(1, 2)", 60),
    "no name": ("- timeout: 5s\n", 5),
    "a path with a colon in it": ("/opt/my: jobs/tell, notify:slack", 60),
    "a YAML document": ("---\n- notify:slack\n- cleanup:scratch\n", 60),
    "a YAML version": ("%YAML 1.2\n---\n- notify:slack\n", 30),
    "a block of text": ("|\n  notify:slack, cleanup:scratch\n", 60),
    "a folded text": (">\n  notify:slack, cleanup:scratch\n", 60),
    "an anchor": ("&slack notify:slack\n", 300),
    "a tag": ("!!str notify:slack\n", 300),
    "a quoted text over two lines": ('"notify\n:slack, cleanup:scratch"', 30),
    "a timeout without unit": ("- call: notify:slack\n  timeout: 5\n", 300),
    "a timeout of nothing": ("- call: notify:slack\n  timeout: 0s\n", 300),
    "a timeout of more than a week": ("- call: notify:slack\n  timeout: 169h\n", 300),
    "a timeout of a hundred thousand years": ("- call: notify:slack\n  timeout: 999999999h\n", 300),
}
"""Lists that the plan refuses, or reads otherwise than CEL can: seconds that the policy reserves."""

SIDECAR = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
RESOURCES = (
    '{"requests": {"cpu": "2"}}',
    '{"limits": {"memory": "16Mi", "cpu": 0.5}}',
    '{ "limits" : {"ephemeral-storage": "1Gi"} , "requests":{"memory":"1G"} }',
    '{"requests" : {"cpu" : "20m", "example.com/a": 2}, "limits": {"memory" : "64Mi"}}',
    '{"limits": {"cpu": "5m"}}',
    '{"requests": {}, "limits": {"nvidia.com/gpu": 1}}',
)
PODS: dict[str, Pod] = {
    **{f"resources {text}": pod({"on-exit": "a:b", "resources": text}) for text in RESOURCES},
    "guaranteed": pod({"on-exit": "a:b", "guarantee": "cluster"}),
    "guaranteed, with labels": labelled(pod({"on-exit": "a:b", "guarantee": "cluster"}), app="etl"),
    "guaranteed, labelled already": labelled(pod({"on-exit": "a:b", "guarantee": "cluster"}), guarantee="cluster"),
    "labelled, not guaranteed": labelled(pod({"on-exit": "a:b"}), app="etl", guarantee="pod"),
    "guaranteed, on-start only": pod({"on-start": "a:b", "guarantee": "cluster"}),
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
    "nearly ours": pod(
        {"on-exit": "a:b", "main-container": "main"},
        {
            "env": [{"name": "SCRATCH", "value": contract.SHARED_DIR}],
            "volumeMounts": [{"name": SHARED_MOUNT["name"], "mountPath": "/scratch"}],
        },
    ),
    "our variable in another container": pod(
        {"on-exit": "a:b", "main-container": " main "},
        containers=[
            {"name": "reader", "image": "a:1", "env": [SHARED_ENV]},
            named("other", env=[{"name": contract.ENV_SHARED_DIR, "value": "/scratch"}]),
            named("third", volumeMounts=[{"name": "a", "mountPath": contract.SHARED_DIR}]),
            {"name": "main", "image": "b:1"},
        ],
        volumes=[{"name": "a", "emptyDir": {}}],
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
                "windowsOptions": {"runAsUserName": "ContainerUser"},
            },
            "env": [{"name": "PART", "value": "a"}],
            "volumeMounts": [
                {
                    "name": "host",
                    "mountPath": "/host",
                    "mountPropagation": "Bidirectional",
                    "subPath": "a",
                    "readOnly": False,
                },
                {
                    "name": "host",
                    "mountPath": "/host3",
                    "mountPropagation": "Bidirectional",
                    "subPathExpr": "$(PART)",
                    "recursiveReadOnly": "Disabled",
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
    "first, between sidecars and init containers": pod(
        {"on-exit": "a:b", "on-exit-position": " first"},
        initContainers=[{"name": "a", "image": "a:1"}, SIDECAR, {"name": "b", "image": "b:1"}],
    ),
    "no token": pod({"on-exit": "a:b"}, automountServiceAccountToken=False),
    "classic, on-start only, no token": pod({"on-start": "a:b", "mode": "classic"}, automountServiceAccountToken=False),
    "classic, a token of its own": pod(
        CLASSIC, automountServiceAccountToken=False, **other_mount(contract.SERVICE_ACCOUNT_DIR)
    ),
    "Linux": pod({"on-exit": "a:b"}, os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"}),
    "the longest timeouts": pod({"on-exit": "a:b", "on-exit-timeout": "168h", "reserve": "168h"}),
    "a path that begins like ours": pod({"on-exit": "a:b"}, **other_mount("/podhooks2")),
    "main's interpreter": pod(
        {"on-exit": "a:b", "python": "/venv/bin/python"},
        {"env": [{"name": "LD_PRELOAD", "value": "/lib/libjemalloc.so"}]},
    ),
    "our interpreter": pod(
        {"on-exit": "a:b", "on-start": "a:b", "python": "bundled"},
        {
            "env": [
                {"name": "LD_PRELOAD", "value": "/lib/libjemalloc.so"},
                {"name": "LD_LIBRARY_PATH", "value": "/lib"},
                {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
                {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "containerName": "main"}}},
            ],
        },
    ),
}


DEFAULTS = {"requests": {"cpu": "10m", "ephemeral-storage": "1Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
"""Resources of our containers where requests and limits each have a name that the others haven't."""
BESIDE_OURS = pod({"on-exit": "a:b"}, {"volumeMounts": [{"name": SHARED_MOUNT["name"], "mountPath": "/podhooks/mine"}]})
"""Our volume, which isn't there without injection, below our path."""
ABOVE_LIMITS = pod({"on-exit": "a:b", "resources": '{"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}'})
PULLED = {
    f"{image}, {pull}": pod({"on-exit": "a:b", "image": "tools:2"}, {"image": image, "imagePullPolicy": pull})
    for image in ("registry:5000/etl", "etl:latest", "registry:5000/etl:1", f"etl:latest@sha256:{'0' * 64}")
    for pull in ("Always", "IfNotPresent", "Never")
}
"""Where a pull policy is there, nobody can tell whether the user wrote it or the API server."""


def large_pod() -> Pod:
    env = [{"name": f"VARIABLE_{number}", "value": "x" * 100} for number in range(64)]
    volumes = [{"name": f"v-{number}", "emptyDir": {}} for number in range(10)]
    mounts = [{"name": each["name"], "mountPath": f"/mnt/{each['name']}"} for each in volumes]
    many = [{"name": f"c-{n}", "image": "etl:1", "env": env, "volumeMounts": mounts} for n in range(20)]
    names = "\n".join(f"package.module:function_{number}" for number in range(50))
    return pod({"on-start": names, "on-exit": names, "main-container": "*"}, containers=many, volumes=volumes)


NOT_ASKED: dict[str, Callable[[InjectSettings], Pod]] = {
    "no annotation": lambda settings: {**probe(), "metadata": {"generateName": "policy-"}},
    "annotations of others": lambda settings: pod({"example.com/on-exit": "a:b"}),
    "only an option": lambda settings: pod({"mode": "native"}),
    "only the status": lambda settings: pod({"on-exit": "a:b", "status": '{"version":"0.1.0"}'}),
    "only our init container": lambda settings: pod({"on-exit": "a:b"}, initContainers=[named("on-start")]),
    "only our sidecar": lambda settings: pod({"on-exit": "a:b"}, initContainers=[named("on-exit")]),
    "injected by the command line": lambda settings: injected(probe(), settings),
    "injected by a chart": lambda settings: without_status(injected(probe(), settings)),
}


def without_status(made: Pod) -> Pod:
    return {**made, **comparable(made)}


RUNTIME = contract.RUNTIME_CONTAINER
ENV_FILE = {"volumeName": "work", "path": "env", "key": "A"}
WRITER = named("make", volumeMounts=[{"name": "work", "mountPath": "/made"}])


def first(main: Mapping[str, Any]) -> Pod:
    """on-exit is to be in front of what makes things for `main`."""
    volumes = [{"name": "work", "emptyDir": {}}]
    return pod({"on-exit": "a:b", "on-exit-position": "first"}, main, initContainers=[WRITER], volumes=volumes)


REFUSED: dict[str, tuple[Pod, ...]] = {
    "Podhooks runs in Linux pods only": (
        pod({"on-exit": "a:b"}, os={"name": "windows"}),
        pod({"on-exit": "a:b"}, nodeSelector={"kubernetes.io/os": "windows"}),
    ),
    "a static pod can't be changed by the API": (pod({"on-exit": "a:b", MIRROR_ANNOTATION: "x"}, nodeName="worker"),),
    "an annotation is empty": (
        pod({"on-start": "a:b", "on-exit": " "}),
        *(pod({"on-exit": "a:b", name: ""}) for name in problems.SHAPING if name != contract.ON_EXIT),
    ),
    "podhooks.io/mode must be native or classic": (pod({"on-exit": "a:b", "mode": "Native"}),),
    "podhooks.io/on-exit-position must be last or first": (pod({"on-exit": "a:b", "on-exit-position": "front"}),),
    "podhooks.io/on-exit-position: first is for native mode": (pod({**CLASSIC, "on-exit-position": "first"}),),
    "on-exit would be in front of what makes a path of main": (
        first({"volumeMounts": [{"name": "work", "mountPath": "/work/a", "subPath": "a"}]}),
        first({"workingDir": "/work/a", "volumeMounts": [{"name": "work", "mountPath": "/work"}]}),
    ),
    "on-exit would be in front of what makes main's environment": (
        first({"envFrom": [{"secretRef": {"name": "a"}}]}),
        first({"env": [{"name": "A", "valueFrom": {"fileKeyRef": ENV_FILE}}]}),
    ),
    "a container beside main makes main's environment": (
        pod(
            {"on-exit": "a:b"},
            containers=[named("main", env=[{"name": "A", "valueFrom": {"fileKeyRef": ENV_FILE}}]), WRITER],
            volumes=[{"name": "work", "emptyDir": {}}],
        ),
    ),
    "podhooks.io/main-container names no container": (pod({"on-exit": "a:b", "main-container": "mian"}),),
    "podhooks.io/image has a blank": (pod({"on-exit": "a:b", "image": "a b"}),),
    "podhooks.io/python has a blank": (pod({"on-exit": "a:b", "python": "python3 -u"}),),
    "podhooks.io/python: bundled needs a delivery": (pod({"on-exit": "a:b", "python": "bundled"}),),
    "podhooks.io/on-exit-timeout isn't a duration": tuple(
        pod({"on-exit": "a:b", "on-exit-timeout": text}) for text in ("30", "0s", "169h", "999999999h")
    ),
    "podhooks.io/reserve isn't a duration": tuple(
        pod({"on-exit": "a:b", "reserve": text}) for text in ("8d", "0ms", "168h1ms")
    ),
    "podhooks.io/resources can't be read": tuple(
        pod({"on-exit": "a:b", "resources": text})
        for text in (
            "requests: {cpu: 10m}",
            '{"requests": {"cpu": "10x"}}',
            '{"limits": {"cpu": "10x"}}',
            '{"requests": {"cpu": "10x"}, "limits": {"cpu": "1"}}',
        )
    ),
    "a container has a name": (
        pod({"on-exit": "a:b"}, initContainers=[named("other"), named(RUNTIME)]),
        *(pod({"on-exit": "a:b"}, containers=[named("main"), named(name)]) for name in sorted(contract.OUR_CONTAINERS)),
    ),
    "a volume has a name": tuple(
        pod({"on-exit": "a:b"}, volumes=[{"name": "other", "emptyDir": {}}, {"name": name, "emptyDir": {}}])
        for name in sorted(contract.OUR_VOLUMES)
    ),
    "a label has a name": (labelled(pod({"on-exit": "a:b", "guarantee": "cluster"}), guarantee="pod"),),
    "main mounts something below /podhooks": (
        pod({"on-exit": "a:b"}, **other_mount("/podhooks/a")),
        pod({"on-exit": "a:b"}, **other_mount("/podhooks")),
        pod({"on-exit": "a:b"}, **other_mount(contract.SHARED_DIR)),
        pod(
            {"on-exit": "a:b", "main-container": "*"},
            containers=[
                named("first"),
                named("second", volumeMounts=[{"name": "a", "mountPath": "/podhooks/a"}]),
            ],
            volumes=[{"name": "a", "emptyDir": {}}],
        ),
    ),
    "main sets a variable": (
        *(pod({"on-exit": "a:b"}, {"env": [{"name": name, "value": "x"}]}) for name in OUR_ENV),
        pod({"on-exit": "a:b"}, {"env": [{"name": contract.ENV_MODE, "value": contract.SHARED_DIR}]}),
        pod({"on-exit": "a:b"}, {"env": [{"name": contract.ENV_SHARED_DIR}]}),
        pod(
            {"on-exit": "a:b", "main-container": "*"},
            containers=[named("first"), named("second", env=[{"name": contract.ENV_MODE, "value": "x"}])],
        ),
    ),
    "classic mode needs the API": (
        pod(CLASSIC, automountServiceAccountToken=False),
        pod(CLASSIC, automountServiceAccountToken=False, **other_mount("/tokens")),
    ),
}
"""Pods that can't be given their callbacks, by how the reason begins."""


def settings_for(reason: str, others: InjectSettings) -> InjectSettings:
    """Those with which a pod of REFUSED is refused."""
    return others.replace(delivery=Delivery.INSTALLED) if "needs a delivery" in reason else others
