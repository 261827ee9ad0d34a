"""Writes what the charts have from Python code, so that neither says something else than the other: `make charts`.

With --check it writes nothing and ends with 1 where a file isn't what it would write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import library_values
import schemas
from dashboard import dashboard
from operator_objects import operator_objects

from podhooks import contract
from podhooks.annotations.durations import format_duration
from podhooks.annotations.plan import TABLE, USER_ANNOTATIONS, Plan
from podhooks.inject import InjectSettings, containers
from podhooks.inject.case import Case
from podhooks.inject.env import BUNDLED_ENV, OUR_ENV, SHARED_ENV, UNLESS_MAINS
from podhooks.inject.inject_settings import DEFAULT_RESOURCES, Delivery
from podhooks.inject.needs import WRITTEN_BY_KUBELET
from podhooks.render.annotation_schemas import words_of_choices
from podhooks.render.pod_rbac import pod_rules
from podhooks.version import __version__

CHARTS = Path(__file__).parent
CONTRACT_TEMPLATE = """\
{{{{- /* podhooks.contract: names and numbers of the injector, as JSON. Written by `make charts`; don't edit. */ -}}}}
{{{{- define "podhooks.contract" -}}}}
{content}
{{{{- end -}}}}
"""


def main(arguments: list[str]) -> int:
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if "--check" not in arguments:
        for path in stale:
            path.write_text(files()[path])
        return 0
    for path in stale:
        print(f"{path.relative_to(CHARTS.parent)} is stale: run make charts", file=sys.stderr)
    return int(bool(stale))


def files() -> dict[Path, str]:
    content = json.dumps(library_contract(), indent=1)
    return {
        CHARTS / "podhooks-lib/templates/_contract.tpl": CONTRACT_TEMPLATE.format(content=content),
        CHARTS / "podhooks-lib/values.yaml": library_values.text(),
        CHARTS / "podhooks-lib/values.schema.json": json.dumps(schemas.library(), indent=2) + "\n",
        CHARTS / "flow-job/values.schema.json": json.dumps(schemas.flow_job(), indent=2) + "\n",
        CHARTS / "podhooks/values.schema.json": json.dumps(schemas.operator(), indent=2) + "\n",
        CHARTS / "podhooks/files/dashboard.json": json.dumps(dashboard(), indent=1) + "\n",
        CHARTS / "podhooks/files/objects.json": json.dumps(operator_objects(), indent=1) + "\n",
    }


def names_of_annotations() -> dict[str, str]:
    """Each annotation by the name that it has as a chart's value: onStart, onExitWhen."""
    return {schemas.camel_case(each.short_name): each.name for each in TABLE}


def library_contract() -> dict[str, Any]:
    """What the library's templates are to know: taken from the containers that the injector makes of a sample."""
    sample = _sample()
    container = containers.hook_container(sample, contract.ON_EXIT_CONTAINER)
    env, mounts = container["env"], {each["name"]: each for each in container["volumeMounts"]}
    both = (contract.ON_START_CONTAINER, contract.ON_EXIT_CONTAINER)
    return {
        "version": __version__,
        "prefix": contract.PREFIX,
        "guaranteeLabel": contract.GUARANTEE_LABEL,
        "guaranteeCluster": contract.GUARANTEE_CLUSTER,
        "status": contract.STATUS,
        "annotations": list(USER_ANNOTATIONS),
        "names": names_of_annotations(),
        "choices": words_of_choices(),
        "words": [each.name for each in TABLE if each.kind.name == "word"],
        "defaultPython": contract.DEFAULT_PYTHON,
        "bundledPython": contract.BUNDLED_PYTHON,
        "bundledInterpreter": containers.interpreter(Plan(python=contract.BUNDLED_PYTHON)),
        "bundledDir": contract.INTERPRETER_DIR,
        "bundledEnv": list(BUNDLED_ENV),
        "onExitTimeoutDefault": format_duration(contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS),
        "maxReserveMilliseconds": int(contract.MAX_DEFAULT_RESERVE_SECONDS * 1000),
        "graceSeconds": contract.DEFAULT_GRACE_SECONDS,
        "defaultResources": {part: dict(values) for part, values in DEFAULT_RESOURCES.items()},
        "runtimeImage": sample.settings.image,
        "containerNames": sorted(contract.OUR_CONTAINERS),
        "volumeNames": sorted(contract.OUR_VOLUMES),
        "runtimeContainer": contract.RUNTIME_CONTAINER,
        "copyCommand": containers.runtime_container(sample)["command"],
        "scripts": {name: containers.hook_container(sample, name)["command"][-1] for name in both},
        "programs": {name: containers.hook_container(_installed(sample), name)["command"][-1] for name in both},
        "inherited": list(containers.INHERITED),
        "ourEnv": list(OUR_ENV),
        "variableEnv": [contract.ENV_MAIN_CONTAINER, contract.ENV_MODE, contract.ENV_GRACE_SECONDS],
        "defaultEnv": list(UNLESS_MAINS),
        "constantEnv": [each for each in env if each["name"] in OUR_ENV[3:]],
        "sharedEnv": SHARED_ENV,
        "sharedMount": containers.SHARED_MOUNT,
        "podinfoMount": mounts[contract.PODINFO_VOLUME],
        "runtimeMount": mounts[contract.RUNTIME_VOLUME],
        "volumes": containers.volumes(_installed(sample)),
        "runtimeDir": contract.RUNTIME_DIR,
        "writtenByKubelet": list(WRITTEN_BY_KUBELET),
        "serviceAccountDir": contract.SERVICE_ACCOUNT_DIR,
        "podRules": pod_rules(),
    }


def _sample() -> Case:
    pod = {"spec": {"containers": [{"name": "main", "image": "main"}]}}
    return Case(pod, Plan(), InjectSettings())


def _installed(sample: Case) -> Case:
    return Case(sample.pod, sample.plan, sample.settings.replace(delivery=Delivery.INSTALLED))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
