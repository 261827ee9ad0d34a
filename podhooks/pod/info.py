"""What the pod knows of itself without the API: the downward API's files and variables."""

from __future__ import annotations

import os

from podhooks import contract
from podhooks.context import Owner, PodInfo, RunContext
from podhooks.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from podhooks.context import ExitInfo, Hook, Json

# Go's strconv.Quote, which the kubelet writes annotations and labels with.
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}
CODE_DIGITS = {"x": 2, "u": 4, "U": 8}


def parse_quoted_lines(text: str) -> dict[str, str]:
    """Lines `key="value"` with Go's quoting, as the kubelet writes annotations and labels; others are passed over."""
    values = {}
    for line in text.split("\n"):
        key, equals, quoted = line.strip().partition("=")
        if key and equals and len(quoted) >= 2 and quoted[0] == quoted[-1] == '"':
            values[key] = unquote(quoted[1:-1])
    return values


def unquote(text: str) -> str:
    """`text` with Go's escapes resolved; one that isn't Go's stays as it is."""
    if "\\" not in text:
        return text
    parts: list[bytes] = []
    position = 0
    while (backslash := text.find("\\", position)) >= 0:
        parts.append(encode(text[position:backslash]))
        value, position = unescape(text, backslash + 1)
        parts.append(value)
    parts.append(encode(text[position:]))
    return b"".join(parts).decode("utf-8", "replace")


def unescape(text: str, position: int) -> tuple[bytes, int]:
    """What the escape at `position` (after its backslash) stands for, and where it ends. `\\x` gives a bare byte."""
    letter = text[position : position + 1]
    if letter in CODE_DIGITS and letter:
        digits = text[position + 1 : position + 1 + CODE_DIGITS[letter]]
        try:
            code = int(digits, 16)
            value = bytes([code]) if letter == "x" else encode(chr(code))
            return value, position + 1 + len(digits)
        except (ValueError, OverflowError):
            return b"\\", position
    if letter in ESCAPES:
        return encode(ESCAPES[letter]), position + 1
    return b"\\", position


def encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def read(podinfo_dir: str, environ: Mapping[str, str]) -> PodInfo:
    """The pod by its files `annotations` and `labels` and by the variables of contract.py; what's missing is empty.

    Raises:
        InputError: the annotations can't be read. Without them nothing would run, and nobody would know.
    """
    return PodInfo(
        name=environ.get(contract.ENV_POD_NAME) or environ.get("HOSTNAME", ""),
        namespace=environ.get(contract.ENV_POD_NAMESPACE, ""),
        uid=environ.get(contract.ENV_POD_UID, ""),
        node=environ.get(contract.ENV_NODE_NAME, ""),
        labels=read_labels(podinfo_dir),
        annotations=read_annotations(podinfo_dir),
    )


def read_annotations(podinfo_dir: str) -> dict[str, str]:
    try:
        return read_file(podinfo_dir, "annotations")
    except OSError as error:
        raise InputError(
            f"the pod's annotations can't be read: {error.filename}: {error.strerror}; inject the pod again"
        ) from error


def read_labels(podinfo_dir: str) -> dict[str, str]:
    try:
        return read_file(podinfo_dir, "labels")
    except OSError:
        return {}


def read_file(podinfo_dir: str, name: str) -> dict[str, str]:
    with open(os.path.join(podinfo_dir, name), encoding="utf-8", errors="replace", newline="\n") as file:
        return parse_quoted_lines(file.read())


def owner(pod: PodInfo) -> Owner | None:
    """The Job that made the pod, by the labels that the Job controller sets."""
    name = pod.labels.get(contract.LABEL_JOB_NAME)
    if not name:
        return None
    index = pod.labels.get(contract.LABEL_JOB_COMPLETION_INDEX) or pod.annotations.get(
        contract.ANNOTATION_JOB_COMPLETION_INDEX, ""
    )
    return Owner("Job", name, int(index) if index.isascii() and index.isdigit() else None)


def flow_run_id(pod: PodInfo, environ: Mapping[str, str]) -> str | None:
    """Prefect's flow run, from the variable its worker sets, else from the pod's label."""
    for variable in contract.PREFECT_FLOW_RUN_ID_VARIABLES:
        if environ.get(variable):
            return environ[variable]
    return pod.labels.get(contract.LABEL_FLOW_RUN_ID) or None


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
    return RunContext(
        hook=hook,
        callback="",
        pod=pod,
        main_container=main_container,
        idempotency_key="",
        shared=shared_dir,
        owner=owner(pod),
        flow_run_id=flow_run_id(pod, environ),
        exit=exit_info,
        _pod_object=pod_object,
    )
