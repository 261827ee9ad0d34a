"""The policy's variables: what the annotations and the pod say, each one CEL expression that may use those before it.

The API server evaluates a variable when it is first used, and once.
"""

from __future__ import annotations

from podhooks import contract
from podhooks.admission_policy.cel import first_match, listed, quoted
from podhooks.admission_policy.needs import need_variables
from podhooks.admission_policy.policy_settings import PolicySettings
from podhooks.admission_policy.predicates import is_main, is_shared_env, is_shared_mount, takes_shared_path
from podhooks.admission_policy.problems import problem
from podhooks.admission_policy.reserve import reserve_variables
from podhooks.admission_policy.resource_variables import resource_variables
from podhooks.annotations.plan import Mode, Position
from podhooks.inject.env import BUNDLED_ENV
from podhooks.inject.marks import LABELS

Variables = dict[str, str]


def variables(settings: PolicySettings) -> Variables:
    """In the order in which they build on each other."""
    return {
        **_annotation_variables(),
        **_main_variables(),
        **reserve_variables(),
        **resource_variables(settings.inject.resources),
        **_container_variables(),
        **need_variables(),
        "problem": problem(settings.inject.delivery),
        **_status_variables(),
    }


def _annotation_variables() -> Variables:
    """`given`: our annotations without the blanks around them, as the plan reads them."""
    prefix = quoted(contract.PREFIX)
    return {
        "given": f"object.metadata.annotations.transformMap(name, text, name.startsWith({prefix}), text.trim())",
        "mode": _given(contract.MODE, "native"),
        "python": _given(contract.PYTHON, contract.DEFAULT_PYTHON),
        "image": _given(contract.IMAGE, contract.MAIN_IMAGE),
        "position": _given(contract.ON_EXIT_POSITION, Position.LAST.value),
        "withExit": f"{quoted(contract.ON_EXIT)} in variables.given",
        "outside": f"variables.mode == {quoted(Mode.OUTSIDE.value)}",
        "guaranteed": (
            f"variables.withExit && (variables.outside || "
            f"{_given(contract.GUARANTEE, '')} == {quoted(contract.GUARANTEE_CLUSTER)})"
        ),
    }


def _given(annotation: str, default: str) -> str:
    return f"variables.given[?{quoted(annotation)}].orValue({quoted(default)})"


def _main_variables() -> Variables:
    """Who main is: the annotation's, kubectl's default container if there is one of that name, else the first."""
    default = f"object.metadata.annotations[?{quoted(contract.DEFAULT_CONTAINER_ANNOTATION)}].orValue('')"
    chosen = [
        (
            f"{quoted(contract.MAIN_CONTAINER)} in variables.given",
            f"variables.given[{quoted(contract.MAIN_CONTAINER)}]",
        ),
        (f"{default} in variables.names", default),
    ]
    return {
        "initContainers": "object.spec.?initContainers.orValue([])",
        "names": "object.spec.containers.map(c, c.name)",
        "mainLabel": first_match(chosen, "variables.names[0]"),
        "mains": f"object.spec.containers.filter(c, {is_main('c')})",
        "main": "variables.mains[0]",
    }


def _container_variables() -> Variables:
    """What our containers take over from main."""
    own = f"variables.image != {quoted(contract.MAIN_IMAGE)}"
    bundled = listed(each["name"] for each in BUNDLED_ENV)
    return {
        "ownImage": own,
        "bundled": f"variables.python == {quoted(contract.BUNDLED_PYTHON)}",
        "env": (f"variables.main.?env.orValue([]).filter(e, !(variables.bundled && e.name in {bundled}))"),
        "mounts": f"variables.main.?volumeMounts.orValue([]).filter(m, !({takes_shared_path('m')}))",
        "security": "variables.main.?securityContext.orValue({})",
        "onExitIndex": (
            f"variables.position == {quoted(Position.LAST.value)} ? variables.initContainers.size() :\n"
            "([0] + variables.initContainers.transformList(i, c, "
            "c.?restartPolicy.orValue('') == 'Always', i + 1)).max()"
        ),
    }


def _status_variables() -> Variables:
    """`own`: what the user wrote just as we would, for taking ours out again; `status`: the annotation's text."""
    mount, label = is_shared_mount("m"), f"object.metadata.?labels[?{quoted(contract.GUARANTEE_LABEL)}]"
    return {
        "own": (
            "object.spec.containers.map(c,\n"
            f"(c.?volumeMounts.orValue([]).exists(m, {mount}) ? [c.name + '.volumeMounts'] : [])\n"
            f"+ (c.?env.orValue([]).exists(e, {is_shared_env('e')}) ? [c.name + '.env'] : [])).flatten()\n"
            f"+ ({label}.orValue('') == {quoted(contract.GUARANTEE_CLUSTER)} "
            f"? [{quoted(LABELS)}] : [])"
        ),
    }
