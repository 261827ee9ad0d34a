"""Annotations in, plan and findings out: pure, no I/O, the same code for every door and for the runtime in the pod."""

from __future__ import annotations

from enum import Enum

from podhooks import contract
from podhooks.context import EMPTY, Result
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.context import Json


class Policy(str, Enum):
    """What a failed callback does: end the hook as failed, or be recorded and passed over."""

    FAIL = "fail"
    IGNORE = "ignore"


class Mode(str, Enum):
    """How on-exit lives in the pod: as a native sidecar (Kubernetes 1.29), or as an ordinary container."""

    NATIVE = "native"
    CLASSIC = "classic"


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
    image: str = contract.MAIN_IMAGE
    python: str = contract.DEFAULT_PYTHON
    reserve_seconds: float = 0.0
    guarantee: Guarantee = Guarantee.POD
    resources: Mapping[str, Json] | None = None

    @property
    def empty(self) -> bool:
        return not self.on_start and not self.on_exit

    @property
    def guaranteed(self) -> bool:
        """Whether the operator has to make good what the pod couldn't."""
        return bool(self.on_exit) and self.guarantee is Guarantee.CLUSTER


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

    ours = [(name, str(annotations[name])) for name in contract.USER_ANNOTATIONS if name in annotations]
    text = dumps(ours, ensure_ascii=False).replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
