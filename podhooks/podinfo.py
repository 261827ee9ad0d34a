"""What the pod knows of itself without the API: the downward API's files and variables."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from podhooks.context import ExitInfo, Hook, Json, PodInfo, RunContext


def parse_quoted_lines(text: str) -> dict[str, str]:
    """Lines `key="value"` with Go's quoting, as the kubelet writes annotations and labels."""
    raise NotImplementedError


def read(podinfo_dir: str, environ: Mapping[str, str]) -> PodInfo:
    """The pod by its files `annotations` and `labels` and by the variables of contract.py; what's missing is empty."""
    raise NotImplementedError


def base_context(
    hook: Hook,
    pod: PodInfo,
    environ: Mapping[str, str],
    *,
    main_container: str,
    shared_dir: str,
    exit_info: ExitInfo | None = None,
    pod_object: Callable[[], Mapping[str, Json]] | None = None,
) -> RunContext:
    """The context that all callbacks of a hook begin with; the runner fills in what is each one's own."""
    raise NotImplementedError
