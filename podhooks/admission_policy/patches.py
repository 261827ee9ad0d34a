"""The JSON Patch that the policy makes, as one CEL expression, from the containers and volumes that inject() adds."""

from __future__ import annotations

from podhooks import contract
from podhooks.admission_policy.cel import Cel, add, bracketed, indented, literal, optional, quoted, text_map
from podhooks.admission_policy.inherited import CONTAINER, env, inherited, mounts, security
from podhooks.admission_policy.policy_settings import PolicySettings
from podhooks.admission_policy.predicates import is_main, takes_shared_name, takes_shared_path
from podhooks.annotations.plan import Mode, Plan
from podhooks.inject import containers
from podhooks.inject.case import Case
from podhooks.inject.env import BUNDLED_ENV, SHARED_ENV, UNLESS_MAINS
from podhooks.inject.inject_settings import Delivery
from podhooks.inject.shapes import Json
from podhooks.version import __version__

VOLUME = "Object.spec.volumes"
NATIVE = f"variables.mode == {quoted(Mode.NATIVE.value)}"
OUTER = {
    contract.ENV_MAIN_CONTAINER: Cel("variables.mainLabel"),
    contract.ENV_MODE: Cel("variables.mode"),
    contract.ENV_GRACE_SECONDS: Cel("string(variables.raised)"),
}
"""Variables of our containers whose values are the pod's."""


def patch(settings: PolicySettings) -> Cel:
    """The patch; for a pod that can't be given callbacks one that fails and says why.

    It takes out what isn't there, named by the reason: the API server repeats the path. After an error in CEL it would
    repeat the whole expression first, and Events are cut short.
    """
    parts = (*_volumes(settings), *_our_containers(settings), _mains(), _grace(), *_label(), _status())
    failing = 'JSONPatch{op: "remove", path: "/" + jsonpatch.escapeKey(variables.problem)}'
    return Cel(f'variables.problem != "" ? [{failing}] :\n' + "\n+ ".join(parts))


def _case(settings: PolicySettings) -> Case:
    """A pod of which nothing is known: what our containers have in it, they have in any."""
    return Case({"spec": {"containers": [{"name": "main"}]}}, Plan(), settings.inject)


def _ops(*operations: Cel, when: str = "") -> Cel:
    made = bracketed("[", operations, "]")
    return Cel(f"({when} ? {made} : [])") if when else made


def _volumes(settings: PolicySettings) -> list[Cel]:
    volumes = containers.volumes(_case(settings))
    return [
        _ops(add("/spec/volumes", Cel("[]")), when="!has(object.spec.volumes)"),
        _ops(*(add("/spec/volumes/-", literal(each, VOLUME)) for each in volumes)),
    ]


def _our_containers(settings: PolicySettings) -> list[Cel]:
    field = "/spec/initContainers"
    parts = [_ops(add(field, Cel("[]")), when="!has(object.spec.initContainers)")]
    place = "variables.onExitIndex"
    if settings.inject.delivery is Delivery.COPY:
        parts.append(_ops(add(f"{field}/0", _runtime_container(settings))))
        place += " + 1"
    path = Cel(f"{NATIVE} ? '{field}/' + string({place}) : '/spec/containers/-'")
    on_exit = _hook_container(settings, contract.ON_EXIT_CONTAINER)
    parts.append(_ops(add(path, on_exit), when="variables.withExit && !variables.outside"))
    parts.append(_ops(add(f"{field}/-", _hook_container(settings, contract.ON_START_CONTAINER))))
    return parts


def _hook_container(settings: PolicySettings, name: str) -> Cel:
    """What inject() makes around a main of which nothing is known, with what the pod's own main brings."""
    made = containers.hook_container(_case(settings), name)
    changed = {
        **inherited(),
        "command": Cel(f"{_interpreter()} + {literal(made['command'][1:], CONTAINER + '.command')}"),
        "env": _env(made["env"]),
        "volumeMounts": _behind(mounts(), made["volumeMounts"], "volumeMounts"),
        **_common(),
    }
    policy = made.pop("restartPolicy", None)
    if policy is not None:
        changed[optional("restartPolicy")] = Cel(f"{NATIVE} ? optional.of({quoted(policy)}) : optional.none()")
    return literal({**made, **changed}, CONTAINER)


def _env(made: list[dict[str, Json]]) -> Cel:
    """Ours behind main's; the shared directory's, the last of ours, only where main hasn't it itself."""
    ours = [_outer(each) for each in made if each not in (*UNLESS_MAINS, SHARED_ENV)]
    path = f"{CONTAINER}.env"
    unless = (
        f"(variables.env.exists(e, e.name == {quoted(each['name'])}) ? [] : {literal([each], path)})"
        for each in UNLESS_MAINS
    )
    bundled = f"(variables.bundled ? {literal(list(BUNDLED_ENV), path)} : [])"
    shared = f"(variables.env.exists(e, {takes_shared_name('e')}) ? [] : {literal([SHARED_ENV], path)})"
    return Cel("\n+ ".join((env(), *unless, bundled, literal(ours, path), shared)))


def _outer(entry: dict[str, Json]) -> dict[str, Json]:
    return {**entry, "value": OUTER[entry["name"]]} if entry["name"] in OUTER else entry


def _behind(own: Cel, ours: list[Json], field: str) -> Cel:
    return Cel(f"{own} + {literal(ours, f'{CONTAINER}.{field}')}")


def _interpreter() -> str:
    ours = literal(containers.interpreter(Plan(python=contract.BUNDLED_PYTHON)), f"{CONTAINER}.command")
    return f"(variables.bundled ? {ours} : [variables.python])"


def _runtime_container(settings: PolicySettings) -> Cel:
    made = containers.runtime_container(_case(settings))
    more = literal([contract.INTERPRETER_DIR], f"{CONTAINER}.command")
    command = Cel(f"{literal(made['command'], CONTAINER + '.command')} + (variables.bundled ? {more} : [])")
    return literal({**made, "command": command, **_common()}, CONTAINER)


def _common() -> dict[str, Json]:
    amounts = {part: Cel(f"variables.{part}") for part in ("requests", "limits")}
    return {"resources": amounts, "securityContext": security("variables.security")}


def _mains() -> Cel:
    """The shared directory in main, or in each of them."""
    parts = (
        _append("volumeMounts", text_map(containers.SHARED_MOUNT), takes_shared_path("e")),
        _append("env", text_map(SHARED_ENV), takes_shared_name("e")),
    )
    return Cel(f"object.spec.containers.transformList(i, c, {is_main('c')},\n{indented(' + '.join(parts))}).flatten()")


def _append(field: str, entry: Cel, same: str) -> Cel:
    path = f"'/spec/containers/' + string(i) + (has(c.{field}) ? '/{field}/-' : '/{field}')"
    value = Cel(f"has(c.{field}) ? dyn({entry}) : dyn([{entry}])")
    there = f"c.?{field}.orValue([]).exists(e, {same})"
    return _ops(add(Cel(path), value), when=f"!{there}")


def _grace() -> Cel:
    operation = add("/spec/terminationGracePeriodSeconds", Cel("variables.raised"))
    return _ops(operation, when="variables.raised != variables.grace")


def _label() -> list[Cel]:
    """The policy sets no finalizer: it doesn't know whether anybody takes one away."""
    path = f"/metadata/labels/{contract.GUARANTEE_LABEL.replace('/', '~1')}"
    return [
        _ops(add("/metadata/labels", Cel("{}")), when="variables.guaranteed && !has(object.metadata.labels)"),
        _ops(add(path, quoted(contract.GUARANTEE_CLUSTER)), when="variables.guaranteed"),
    ]


def _status() -> Cel:
    """Without the hash of the annotations, which CEL can't make: `door` says why."""
    begin = quoted(f'{{"version":"{__version__}","door":"policy"')[:-1]
    grace = "(variables.raised != variables.grace ? ',\"grace\":' + string(variables.grace) : '')"
    own = "(variables.own == [] ? '' : ',\"own\":[\"' + variables.own.join('\",\"') + '\"]')"
    path = "/metadata/annotations/" + contract.STATUS.replace("/", "~1")
    return _ops(add(path, Cel(f"{begin}\" + {grace} + {own} + '}}'")))
