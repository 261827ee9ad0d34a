"""The containers and volumes that are added. They are nearly constant: what varies is main's, copied whole, and a
few annotations' texts, never the callbacks themselves. That lets a CEL policy or a Helm template make the same pod.
"""

from __future__ import annotations

from collections.abc import Mapping

from podhooks import contract
from podhooks.annotations.plan import Mode, Plan
from podhooks.inject.case import Case
from podhooks.inject.env import environment
from podhooks.inject.inject_settings import Delivery
from podhooks.inject.shapes import Json
from podhooks.pod.object import is_shared_mount, mapping, mappings

SHARED_MOUNT = {"name": contract.SHARED_VOLUME, "mountPath": contract.SHARED_DIR}
PODINFO_FILES = ("annotations", "labels")
INHERITED = ("workingDir", "envFrom", "volumeDevices")
"""Of main, unchanged. Not inherited: what belongs to main's own process (args, ports, probes, lifecycle, tty,
resources, restart rules)."""

_PROGRAMS = {contract.ON_START_CONTAINER: "podhooks_initcontainer", contract.ON_EXIT_CONTAINER: "podhooks_sidecar"}
_SCRIPTS = {contract.ON_START_CONTAINER: "on_start.py", contract.ON_EXIT_CONTAINER: "on_exit.py"}


def volumes(case: Case) -> list[dict[str, Json]]:
    files = [{"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}} for name in PODINFO_FILES]
    ours: list[dict[str, Json]] = [
        {"name": contract.SHARED_VOLUME, "emptyDir": {}},
        {"name": contract.PODINFO_VOLUME, "downwardAPI": {"items": files}},
    ]
    if case.settings.delivery is Delivery.IMAGE:
        source = {"reference": case.settings.image}
        if case.settings.pull_policy:
            source["pullPolicy"] = case.settings.pull_policy
        ours.append({"name": contract.RUNTIME_VOLUME, "image": source})
    elif case.settings.delivery is Delivery.COPY:
        ours.append({"name": contract.RUNTIME_VOLUME, "emptyDir": {}})
    return ours


def around_main(case: Case) -> dict[str, Json]:
    """What both of our containers take of main: environment, volumes and identity."""
    main = case.main
    return {
        "inherited": {key: main[key] for key in INHERITED if main.get(key)},
        "env": environment(case),
        "volumeMounts": _inherited_mounts(main) + _mounts(case),
        "common": _common(case),
    }


def hook_container(case: Case, name: str, around: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """`on-start` or `on-exit`: main's image, environment, volumes and identity around our command."""
    around = around or around_main(case)
    return {
        "name": name,
        **_image(case),
        "command": _command(case, name),
        **({"restartPolicy": "Always"} if name == contract.ON_EXIT_CONTAINER and case.plan.mode is Mode.NATIVE else {}),
        **around["inherited"],
        "env": around["env"],
        "volumeMounts": around["volumeMounts"],
        **around["common"],
    }


def runtime_container(case: Case) -> dict[str, Json]:
    """Copies the runtime from our image, with delivery `copy`. Named by its file, so that no import path matters."""
    source = f"{contract.IMAGE_RUNTIME_DIR}/podhooks/runtime/install.py"
    return {
        "name": contract.RUNTIME_CONTAINER,
        "image": case.settings.image,
        **({"imagePullPolicy": case.settings.pull_policy} if case.settings.pull_policy else {}),
        "command": [contract.DEFAULT_PYTHON, "-I", source, *_copied(case.plan)],
        "volumeMounts": [{"name": contract.RUNTIME_VOLUME, "mountPath": contract.RUNTIME_MOUNT}],
        **_common(case),
    }


def _copied(plan: Plan) -> list[str]:
    return [contract.RUNTIME_DIR, contract.INTERPRETER_DIR] if plan.bundled else [contract.RUNTIME_DIR]


def security_context(main: Mapping[str, Json]) -> dict[str, Json]:
    """Main's, without what makes it mightier than Pod Security "restricted" allows, and with what that asks for.

    User and group stay main's, given or not: no user is made up, so clusters that assign users (OpenShift) may.
    `runAsNonRoot` isn't added: where "restricted" holds, main or its pod has it, and without it an image that
    runs as root must still work.
    """
    given = mapping(main.get("securityContext"))
    kept = {key: value for key, value in given.items() if key not in ("privileged", "procMount", "capabilities")}
    if _unconfined(kept.get("appArmorProfile")):
        del kept["appArmorProfile"]
    if not kept.get("seccompProfile") or _unconfined(kept["seccompProfile"]):
        kept["seccompProfile"] = {"type": "RuntimeDefault"}
    return {**kept, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _image(case: Case) -> dict[str, Json]:
    """Main's pull policy is main's image's. With an image of our own Kubernetes chooses by that one's tag."""
    if case.plan.image != contract.MAIN_IMAGE:
        return {"image": case.plan.image}
    return {key: case.main[key] for key in ("image", "imagePullPolicy") if case.main.get(key)}


def interpreter(plan: Plan) -> list[str]:
    """-I with ours: no PYTHONHOME of main's image may send it elsewhere."""
    return [contract.INTERPRETER, "-I"] if plan.bundled else [plan.python]


def _command(case: Case, name: str) -> list[str]:
    """-S: the user's site-packages are for callbacks, which run in interpreters of their own; ours starts faster."""
    if case.settings.delivery is Delivery.INSTALLED:
        return [*interpreter(case.plan), "-m", _PROGRAMS[name]]
    return [*interpreter(case.plan), "-S", f"{contract.RUNTIME_DIR}/{_SCRIPTS[name]}"]


def _inherited_mounts(main: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Bidirectional propagation is for privileged containers only, which ours never are: they see main's mounts."""
    mounts = [dict(each) for each in mappings(main.get("volumeMounts")) if not is_shared_mount(each)]
    for each in mounts:
        if each.get("mountPropagation") == "Bidirectional":
            each["mountPropagation"] = "HostToContainer"
    return mounts


def _mounts(case: Case) -> list[dict[str, Json]]:
    mounts: list[dict[str, Json]] = [
        SHARED_MOUNT,
        {"name": contract.PODINFO_VOLUME, "mountPath": contract.PODINFO_DIR, "readOnly": True},
    ]
    if case.settings.delivery is not Delivery.INSTALLED:
        mounts.append({"name": contract.RUNTIME_VOLUME, "mountPath": contract.RUNTIME_MOUNT, "readOnly": True})
    return mounts


def _common(case: Case) -> dict[str, Json]:
    return {
        "resources": case.resources,
        "securityContext": security_context(case.main),
        "terminationMessagePolicy": "File",  # FallbackToLogsOnError would put a log where the record is expected
    }


def _unconfined(profile: Json) -> bool:
    return mapping(profile).get("type") == "Unconfined"
