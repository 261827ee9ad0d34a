"""The plan, and the table of the annotations that it is read from: one entry for each, which every door goes by.

A new annotation is an entry of `TABLE` and the plan's field of it. Parser, writer, the charts' values and schemas,
Prefect's variables, the tables in docs/ and `podhooks explain` follow from that; `make charts docs` writes the files.
One that shapes the pod also needs the injector, the Helm library's templates and the admission policy.
"""

from __future__ import annotations

from enum import Enum

from podhooks import contract
from podhooks.annotations.options import (
    CALLBACKS,
    CHOICE,
    CONTAINER,
    DURATION,
    IMAGE,
    PYTHON,
    RESOURCES,
    RESULTS,
    RETRIES,
    Kind,
)
from podhooks.context import EMPTY, Hook, Result
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from podhooks.context import Json


class Policy(str, Enum):
    """What a failed callback does: end the hook as failed, or be recorded and passed over."""

    FAIL = "fail"
    IGNORE = "ignore"


class Mode(str, Enum):
    """Where on_exit runs: in a native sidecar (Kubernetes 1.29), in an ordinary container, or outside the pod."""

    NATIVE = "native"
    CLASSIC = "classic"
    OUTSIDE = "outside"  # no on-exit container: the operator's rescuer runs all of it after the pod's end


class Position(str, Enum):
    """Where on-exit, as a native sidecar, starts among the user's init containers."""

    LAST = "last"  # behind all of them: everything that main's container needs is there
    FIRST = "first"  # as early as may be, so that on_exit also runs when one of them fails


class Guarantee(str, Enum):
    POD = "pod"
    CLUSTER = "cluster"


class Callback(Value):
    """One callback of the list.

    Exactly one of `call` (`package.module:function` or `/path/file.py:function`) and `exec` (a command) is set.
    `key` names it in records, logs and the idempotency key; it is unique in its hook. `when` is None for always.
    """

    key: str
    call: str = ""
    exec: tuple[str, ...] = ()
    arguments: Mapping[str, Json] = EMPTY  # `with`
    timeout_seconds: float = contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS
    retries: int = 0
    policy: Policy = Policy.IGNORE
    when: frozenset[Result] | None = None

    def wanted(self, result: Result | None) -> bool:
        """Whether it is to run when main ended with `result` (None: at on_start)."""
        return self.when is None or result is None or result in self.when


class Plan(Value):
    """The parsed annotations. `main_container` is None where no annotation names it."""

    on_start: tuple[Callback, ...] = ()
    on_exit: tuple[Callback, ...] = ()
    main_container: str | None = None
    mode: Mode = Mode.NATIVE
    position: Position = Position.LAST
    image: str = contract.MAIN_IMAGE
    python: str = contract.DEFAULT_PYTHON
    reserve_seconds: float = 0.0
    guarantee: Guarantee = Guarantee.POD
    resources: Mapping[str, Json] | None = None

    @property
    def bundled(self) -> bool:
        """Whether our own interpreter runs it all, which main's image needs none for."""
        return self.python == contract.BUNDLED_PYTHON

    @property
    def empty(self) -> bool:
        return not self.on_start and not self.on_exit

    @property
    def guaranteed(self) -> bool:
        """Whether the operator has to make good what the pod couldn't."""
        return bool(self.on_exit) and (self.guarantee is Guarantee.CLUSTER or self.mode is Mode.OUTSIDE)

    @property
    def exits_in_pod(self) -> bool:
        """Whether the pod has an on-exit container."""
        return bool(self.on_exit) and self.mode is not Mode.OUTSIDE


DEFAULTS: Mapping[Hook, Callback] = {
    Hook.ON_START: Callback(
        key="",
        timeout_seconds=contract.DEFAULT_ON_START_TIMEOUT_SECONDS,
        retries=contract.DEFAULT_ON_START_RETRIES,
        policy=Policy.FAIL,
    ),
    Hook.ON_EXIT: Callback(
        key="",
        timeout_seconds=contract.DEFAULT_ON_EXIT_TIMEOUT_SECONDS,
        retries=contract.DEFAULT_ON_EXIT_RETRIES,
        policy=Policy.IGNORE,
    ),
}
"""What holds at a hook for callbacks of which nothing else is said."""


class Annotation(Value):
    """One annotation that users write, and everything that a door has to know about it.

    `field` is the plan's; with `key` it is a callback's, and `key` says it in the callback's mapping. `hook` is None
    for what is about the pod. What `shapes_pod` the injector reads; all else the runtime reads when the pod runs.
    `help` is for people, in Markdown; so is `otherwise`, which says what holds without the annotation where the
    field's default doesn't. `variable` is its name in a Prefect work pool, where another is better than the usual one.
    """

    name: str
    field: str
    kind: Kind
    help: str
    hook: Hook | None = None
    key: str = ""
    shapes_pod: bool = False
    otherwise: str = ""
    variable: str = ""

    @property
    def short_name(self) -> str:
        return self.name.removeprefix(contract.PREFIX)

    @property
    def default(self) -> Any:
        """The value of its field where nobody says it."""
        return getattr(DEFAULTS[self.hook] if self.hook and self.key else Plan, self.field)


TABLE = (
    Annotation(
        contract.ON_START,
        "on_start",
        CALLBACKS,
        "callbacks that run before main starts",
        hook=Hook.ON_START,
        shapes_pod=True,
        otherwise="none",
    ),
    Annotation(
        contract.ON_EXIT,
        "on_exit",
        CALLBACKS,
        "callbacks that run after main ended, however it ended",
        hook=Hook.ON_EXIT,
        shapes_pod=True,
        otherwise="none",
    ),
    Annotation(
        contract.ON_START_POLICY,
        "policy",
        CHOICE,
        "what a failed on_start callback does. `fail`: main never starts; `ignore`: it is recorded",
        hook=Hook.ON_START,
        key="policy",
    ),
    Annotation(
        contract.ON_EXIT_POLICY,
        "policy",
        CHOICE,
        "what a failed on_exit callback does. `ignore`: it is recorded; `fail`: the pod fails too (classic mode only)",
        hook=Hook.ON_EXIT,
        key="policy",
    ),
    Annotation(
        contract.ON_START_TIMEOUT,
        "timeout_seconds",
        DURATION,
        "how long each on_start callback may take, like `30s`, `5m` or `1h30m`",
        hook=Hook.ON_START,
        key="timeout",
    ),
    Annotation(
        contract.ON_EXIT_TIMEOUT,
        "timeout_seconds",
        DURATION,
        "how long each on_exit callback may take",
        hook=Hook.ON_EXIT,
        key="timeout",
        shapes_pod=True,
    ),
    Annotation(
        contract.ON_START_RETRIES,
        "retries",
        RETRIES,
        f"how often a failed on_start callback is tried again, 0 to {contract.MAX_RETRIES}",
        hook=Hook.ON_START,
        key="retries",
    ),
    Annotation(
        contract.ON_EXIT_RETRIES,
        "retries",
        RETRIES,
        f"how often a failed on_exit callback is tried again, 0 to {contract.MAX_RETRIES}",
        hook=Hook.ON_EXIT,
        key="retries",
    ),
    Annotation(
        contract.ON_EXIT_WHEN,
        "when",
        RESULTS,
        "`always`, `success`, `failure`, or the results for which on_exit runs, like `OOMKilled, Evicted`",
        hook=Hook.ON_EXIT,
        key="when",
    ),
    Annotation(
        contract.ON_EXIT_POSITION,
        "position",
        CHOICE,
        "where on-exit starts in native mode. `last`: behind your init containers; `first`: in front of them, so that "
        "on_exit also runs when one of them fails",
        hook=Hook.ON_EXIT,
        shapes_pod=True,
        variable="callback_position",
    ),
    Annotation(
        contract.MAIN_CONTAINER,
        "main_container",
        CONTAINER,
        "name of the container between the hooks, or `*` for all together",
        shapes_pod=True,
        otherwise="that of `kubectl.kubernetes.io/default-container`, else the first",
    ),
    Annotation(
        contract.MODE,
        "mode",
        CHOICE,
        "`native`; `classic` for clusters before Kubernetes 1.29; `outside`: the operator runs on_exit after the pod",
        shapes_pod=True,
    ),
    Annotation(
        contract.IMAGE,
        "image",
        IMAGE,
        "image of our containers; `main` is main's own, where your code is",
        shapes_pod=True,
    ),
    Annotation(
        contract.PYTHON,
        "python",
        PYTHON,
        "interpreter inside that image; `bundled` is ours, which comes along",
        shapes_pod=True,
    ),
    Annotation(
        contract.RESERVE,
        "reserve_seconds",
        DURATION,
        "time of the grace period that is kept for on_exit",
        hook=Hook.ON_EXIT,
        shapes_pod=True,
        otherwise="the sum of on_exit's timeouts, at most `5m`",
        variable="on_exit_reserve",
    ),
    Annotation(
        contract.GUARANTEE,
        "guarantee",
        CHOICE,
        "`pod`: best effort inside the pod; `cluster`: the operator's rescuer makes good what the pod couldn't",
        shapes_pod=True,
        variable="on_exit_guarantee",
    ),
    Annotation(
        contract.RESOURCES,
        "resources",
        RESOURCES,
        "requests and limits of our containers; an annotation has them as JSON",
        shapes_pod=True,
        otherwise="requests of 10m CPU and 32Mi memory, limits of 1 CPU and 512Mi",
    ),
)
"""In this order they are hashed (`summary_hash`) and told."""

USER_ANNOTATIONS = tuple(each.name for each in TABLE)
ANNOTATIONS = (*USER_ANNOTATIONS, contract.STATUS, contract.RELEASED)
LISTS: Mapping[Hook, Annotation] = {each.hook: each for each in TABLE if each.hook and each.kind is CALLBACKS}
CALLBACK_OPTIONS: Mapping[Hook, tuple[Annotation, ...]] = {
    hook: tuple(each for each in TABLE if each.key and each.hook is hook) for hook in Hook
}
POD_OPTIONS = tuple(each for each in TABLE if not each.key and each.kind is not CALLBACKS)


def total_timeout(callbacks: tuple[Callback, ...]) -> float:
    """Seconds that they take at most, one after the other; to the millisecond, like every duration."""
    return round(sum((callback.timeout_seconds for callback in callbacks), 0.0), 3)


def summary_hash(annotations: Mapping[str, str]) -> str:
    """16 hexadecimal digits that change when one of our annotations does, and with nothing else.

    The Helm library computes the same: JSON as Go writes it, where other characters than ASCII stay as they are, but
    for U+2028 and U+2029.
    """
    from hashlib import sha256
    from json import dumps

    ours = [(name, str(annotations[name])) for name in USER_ANNOTATIONS if name in annotations]
    text = dumps(ours, ensure_ascii=False).replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
