"""What main needs and isn't there yet when ours start, in CEL: `podhooks.inject.needs` says it for every other door.

A path in a volume is a text here, `volume/a/b/`; so is what a container may write to, by the directory that it has
mounted. The one lies in the other where it begins with it. Where that module takes the innermost of main's mounts
around a path, all of them are asked here: a mount inside another is itself a path in the outer one.
"""

from __future__ import annotations

from collections.abc import Iterator

from podhooks import contract
from podhooks.admission_policy.cel import first_match, quoted
from podhooks.inject.needs import ADVICE, WRITTEN_BY_KUBELET

KEYS = ("configMapKeyRef", "secretKeyRef")
SOURCES = ("configMapRef", "secretRef")


def need_variables() -> dict[str, str]:
    """`behind`: init containers that start after on-exit; `made`, `madeEarly`, `madeBeside`: where they, all init
    containers, and the containers beside main may write; `paths` and `envFiles`: what main needs."""
    written = " || ".join(f"has(v.{kind})" for kind in WRITTEN_BY_KUBELET)
    return {
        "readOnly": f"object.spec.?volumes.orValue([]).filter(v, {written}).map(v, v.name)",
        "behind": (
            "variables.withExit ? variables.initContainers.transformList(i, c, i >= variables.onExitIndex, c) : []"
        ),
        "made": _written("variables.behind"),
        "madeEarly": _written("variables.initContainers"),
        "madeBeside": _written("object.spec.containers.filter(c, c.name != variables.main.name)"),
        "wanted": (
            "([variables.main.?workingDir.orValue(''), dyn(variables.python.startsWith('/') ? variables.python : '')]\n"
            f"+ variables.mounts.map(m, m.mountPath)).map(path, {_directory('path')})"
        ),
        "paths": _paths(),
        "envFiles": (
            "variables.main.?env.orValue([]).filter(e, e.?valueFrom.?fileKeyRef.hasValue())"
            f".map(e, e.valueFrom.fileKeyRef).map(f, f.volumeName + '/' + {_directory('f.path')})"
        ),
        "needProblem": first_match(((f"({condition})", quoted(text)) for condition, text in reasons()), '""'),
    }


def reasons() -> Iterator[tuple[str, str]]:
    early = "on-exit would be in front of what makes"
    unknown = "has(m.subPathExpr) && variables.made.exists(w, w.startsWith(m.name + '/'))"
    yield f"variables.mounts.exists(m, {unknown})", f"{early} a path of main: {ADVICE}"
    yield f"variables.paths.exists(path, {_is_made('path', 'made')})", f"{early} a path of main: {ADVICE}"
    environment = f"{early} main's environment: {ADVICE}"
    yield f"variables.envFiles.exists(f, {_is_made('f', 'made')})", environment
    yield f"variables.behind.exists(c, {_may_use_api('c')}) && ({_references()})", environment
    beside = f"{_is_made('f', 'madeBeside')} && !{_is_made('f', 'madeEarly')}"
    instead = "a container beside main makes main's environment: let an init container"
    yield f"variables.envFiles.exists(f, {beside})", instead


def _directory(path: str) -> str:
    """`a/b/` of any spelling of a path, as `podhooks.inject.needs.parts` reads it; "" of none."""
    return f"{path}.split('/').filter(part, !(part in ['', '.'])).map(part, part + '/').join()"


def _written(containers: str) -> str:
    """Of a mount whose `subPathExpr` nobody knows, the whole volume."""
    writable = "!m.?readOnly.orValue(false) && !(m.name in variables.readOnly)"
    below = _directory("m.?subPath.orValue('')")
    return (
        f"{containers}.map(c, c.?volumeMounts.orValue([]).filter(m, {writable})).flatten()\n"
        f".map(m, m.name + '/' + {below})"
    )


def _paths() -> str:
    """What main mounts by subPath, and all that it wants inside one of its mounts."""
    holder, below = _directory("m.mountPath"), _directory("m.?subPath.orValue('')")
    inside = f"variables.wanted.filter(path, path.startsWith({holder})).map(path, path.substring({holder}.size()))"
    return f"variables.mounts.map(m, ([''] + {inside})\n.map(rest, m.name + '/' + {below} + rest)).flatten()"


def _is_made(path: str, where: str) -> str:
    return f"variables.{where}.exists(w, {path}.startsWith(w) && {path} != w)"


def _may_use_api(container: str) -> str:
    mounted = f"m.mountPath == {quoted(contract.SERVICE_ACCOUNT_DIR)}"
    return (
        "object.spec.?automountServiceAccountToken.orValue(true) "
        f"|| {container}.?volumeMounts.orValue([]).exists(m, {mounted})"
    )


def _references() -> str:
    def needed(optional: str, path: str) -> str:
        return f"({optional}.hasValue() && !{path}.?optional.orValue(false))"

    env_from = " || ".join(needed(f"e.?{each}", f"e.{each}") for each in SOURCES)
    env = " || ".join(needed(f"e.?valueFrom.?{each}", f"e.valueFrom.{each}") for each in KEYS)
    return (
        f"variables.main.?envFrom.orValue([]).exists(e, {env_from}) || variables.main.?env.orValue([]).exists(e, {env})"
    )
