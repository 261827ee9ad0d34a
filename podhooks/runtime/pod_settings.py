"""What the injector tells our programs in the pod: the environment, read once in main() and passed down."""

from __future__ import annotations

from podhooks import contract
from podhooks.annotations.plan import Mode
from podhooks.errors import InputError
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class PodSettings(Value):
    """One field per variable of the contract; a test pins the defaults."""

    main_container: str = ""  # "" = what the pod's annotations say
    mode: Mode = Mode.NATIVE
    grace_seconds: float = float(contract.DEFAULT_GRACE_SECONDS)  # the pod's terminationGracePeriodSeconds
    pod_name: str = ""
    namespace: str = ""
    podinfo_dir: str = contract.PODINFO_DIR
    shared_dir: str = contract.SHARED_DIR
    termination_log: str = contract.TERMINATION_LOG

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> PodSettings:
        """
        Raises:
            InputError: a variable holds nonsense: the pod was changed by hand after it was injected.
        """
        return cls(
            main_container=environ.get(contract.ENV_MAIN_CONTAINER, ""),
            mode=_mode(environ.get(contract.ENV_MODE) or Mode.NATIVE.value),
            grace_seconds=_seconds(environ.get(contract.ENV_GRACE_SECONDS) or str(contract.DEFAULT_GRACE_SECONDS)),
            pod_name=environ.get(contract.ENV_POD_NAME) or environ.get("HOSTNAME", ""),
            namespace=environ.get(contract.ENV_POD_NAMESPACE, ""),
            podinfo_dir=environ.get(contract.ENV_PODINFO_DIR) or contract.PODINFO_DIR,
            shared_dir=environ.get(contract.ENV_SHARED_DIR) or contract.SHARED_DIR,
            termination_log=environ.get(contract.ENV_TERMINATION_LOG) or contract.TERMINATION_LOG,
        )


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError:
        raise InputError(f"{contract.ENV_MODE}={text!r} is neither native nor classic: inject the pod again") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= contract.MAX_TIMEOUT_SECONDS:
        raise InputError(f"{contract.ENV_GRACE_SECONDS}={text!r} is no number of seconds: inject the pod again")
    return seconds
