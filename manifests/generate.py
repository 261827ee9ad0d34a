"""Writes manifests/*.yaml out of Python code: `make manifests`. They are never written by hand.

With --check it writes nothing and ends with 1 where a file isn't what it would write.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent
from typing import Any

from podhooks import contract
from podhooks.admission_policy import PolicySettings, binding, policy
from podhooks.inject import InjectSettings, inject_object
from podhooks.render.operator import OperatorOptions, operator_objects
from podhooks.render.pod_rbac import pod_rbac
from podhooks.yamltext.emit import document_lines
from podhooks.yamltext.scalars import written

MANIFESTS = Path(__file__).parent
NAMESPACE = "default"
IMAGE = "python:3.12-slim"  # anything with a Python
OWN_IMAGE = "registry.example.com/etl:1"  # stands for the user's
CALLBACKS = '''\
"""on_start leaves something for main; on_exit tells how main ended."""


def prepare(context):
    (context.shared_dir / "greeting").write_text("prepared")


def report(context):
    end = context.exit
    print(f"{context.pod.name}: {end.result.value}, exit code {end.exit_code}")
'''
MAIN = "import time; print('main:', open('/podhooks/shared/greeting').read()); time.sleep(2); print('main: done')"
Object = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    made = files()
    present = {path.name for path in MANIFESTS.glob("*.yaml")}
    stale = [name for name, text in made.items() if name not in present or (MANIFESTS / name).read_text() != text]
    left_over = sorted(present - set(made))
    if "--check" not in arguments:
        for name in stale:
            (MANIFESTS / name).write_text(made[name])
        for name in left_over:
            (MANIFESTS / name).unlink()
        return 0
    for name in (*stale, *left_over):
        print(f"manifests/{name} is stale: run make manifests", file=sys.stderr)
    return int(bool(stale or left_over))


def files() -> dict[str, str]:
    settings = InjectSettings()
    return {
        "flow-job.yaml": text(
            "A Job whose callbacks come in a ConfigMap, with all that it needs. Run it as it is, then make it yours.",
            [account("flow"), *pod_rbac(name="flow", account="flow", namespace=NAMESPACE), callbacks(), flow_job()],
        ),
        "job.yaml": text(
            "A Job whose callbacks are in its image, beside its code. Needs rbac.yaml.",
            [job("etl", own_image_pod())],
        ),
        "cronjob.yaml": text("The same every night. Needs rbac.yaml.", [cron_job("etl-nightly", own_image_pod())]),
        "rbac.yaml": text(
            "What on-exit needs to learn how main ended, for the pods of a namespace's default service account.",
            pod_rbac(namespace=NAMESPACE),
        ),
        "operator.yaml": text(
            "The operator: a webhook that injects annotated pods, in two replicas. Or use charts/podhooks.",
            operator_objects(OperatorOptions(image=settings.image)),
        ),
        "admission-policy.yaml": text(
            "Instead of the operator, on Kubernetes 1.36: the API server injects annotated pods by itself.",
            [policy(PolicySettings()), binding(PolicySettings())],
        ),
    }


def text(what: str, objects: Sequence[Object]) -> str:
    """Injected where annotations ask for it. ValueError if there is anything to say against it."""
    lines = [f"# {what}", "# Written by `make manifests`; don't edit."]
    for each in objects:
        made, reports = inject_object(each)
        if found := [finding for one in reports for finding in one.report.findings]:
            raise ValueError(f"{each['kind']} {each['metadata']['name']}: {found}")
        lines += ["---", *document_lines(made, 2)]
    block = "|\n" + indent(CALLBACKS, " " * 4).rstrip("\n")
    return "\n".join(lines).replace(written(CALLBACKS), block) + "\n"


def account(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}}


def callbacks() -> Object:
    metadata = {"name": "flow-callbacks", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"callbacks.py": CALLBACKS}}


def flow_job() -> Object:
    container = main_container(IMAGE, ["python3", "-c", MAIN])
    container["volumeMounts"] = [{"name": "callbacks", "mountPath": "/callbacks", "readOnly": True}]
    spec = {
        "serviceAccountName": "flow",
        "containers": [container],
        "volumes": [{"name": "callbacks", "configMap": {"name": "flow-callbacks"}}],
    }
    hooks = {
        contract.ON_START: "/callbacks/callbacks.py:prepare",
        contract.ON_EXIT: "/callbacks/callbacks.py:report",
    }
    return job("flow", pod(hooks, spec))


def own_image_pod() -> Object:
    hooks = {contract.ON_START: "etl.hooks:prepare", contract.ON_EXIT: "etl.hooks:report, etl.hooks:clean_up"}
    return pod(hooks, {"containers": [main_container(OWN_IMAGE, ["python3", "-m", "etl"])]})


def main_container(image: str, command: list[str]) -> Object:
    return {
        "name": "main",
        "image": image,
        "command": command,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def pod(annotations: dict[str, str], spec: Object) -> Object:
    """One that passes Pod Security "restricted", whatever user its image has."""
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    common = {"restartPolicy": "Never", "securityContext": security}
    return {"metadata": {"annotations": annotations}, "spec": {**common, **spec}}


def job(name: str, template: Object) -> Object:
    spec = {"backoffLimit": 0, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def cron_job(name: str, template: Object) -> Object:
    spec = {
        "schedule": "0 3 * * *",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": {"backoffLimit": 0, "template": template}},
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
