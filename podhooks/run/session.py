"""One run from the first request to the exit code: tried out, created, followed, told, taken away again."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from podhooks import contract
from podhooks.cluster.backend import Backend, Selection
from podhooks.cluster.request import COMPANIONS, Object, Request, label_of
from podhooks.errors import ApiError, InputError, Unauthorized, Unreachable
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, mappings, text
from podhooks.report.summary import summarize
from podhooks.report.verdict import STOP_CODES, Stop, verdict
from podhooks.run.display import Display
from podhooks.run.follower import STOPS, Follower
from podhooks.run.layout import Line, summary_lines, verdict_line


@dataclass(frozen=True)
class Options:
    """`timeout_seconds`: when to end the run; None for never. `keep`: leave everything where it is afterwards."""

    timeout_seconds: float | None = None
    keep: bool = False


class Signals:
    """Ctrl-C and its kin go to whoever follows the run; while nobody does, they end us at once."""

    def __init__(self) -> None:
        self.deliver: Callable[[Stop], None] | None = None

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._arrived) for number in STOPS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _arrived(self, number: int, _: FrameType | None) -> None:
        if self.deliver is None:
            raise KeyboardInterrupt
        self.deliver(STOPS[signal.Signals(number)])


def start_clock() -> Callable[[], float]:
    """Seconds since now."""
    started = time.monotonic()
    return lambda: time.monotonic() - started


def try_out(request: Request, backend: Backend) -> None:
    """A dry run of everything: what will be refused is refused before anything is there.

    Raises:
        InputError: the server can't be reached, or says no.
    """
    with _refusals(f"pods of namespace {request.namespace}"):
        backend.list(Selection("Pod", request.namespace, fields="metadata.name=podhooks"))
    accounts = {text(mapping(each.get("metadata")).get("name")) for each in _of_kind(request, "ServiceAccount")}
    for each in (*request.companions, request.run):
        spec = mapping(each.get("spec"))
        if each["kind"] == "Pod" and spec.get("serviceAccountName") in accounts:
            continue  # refused as long as its account isn't there
        try:
            backend.create(each, dry_run=True)
        except ApiError as error:
            if error.status == 409 and each["kind"] in COMPANIONS:
                _check_same(each, backend)
                continue
            raise _refused(each, error) from error


def run(request: Request, backend: Backend, display: Display, elapsed: Callable[[], float], options: Options) -> int:
    """`request.run` is injected already, and tried out. The exit code, by docs/run.md's table.

    Raises:
        InputError: the server refuses an object after all; nothing is left of the others.
    """
    signals = Signals()
    with signals.installed(), applied(request, backend, display, keep=options.keep) as created:
        follower = Follower(backend, created, display, elapsed, options.timeout_seconds)
        signals.deliver = follower.stop
        ending = follower.follow()
        display.status([])
        pods = [summarize(pod, gone=pod["metadata"]["uid"] in ending.gone) for pod in ending.pods]
        found = verdict(ending.run, pods, ending.stop, ending.obstacle)
        display.line([])
        for each in pods:
            tell(display, summary_lines(each))
        if options.keep:
            display.line([(f"kept: {backend.kept(created)}", "")])
        display.line(verdict_line(label_of(created), found))
        return STOP_CODES[ending.stop] if ending.forced and ending.stop else found.exit_code


def tell(display: Display, lines: Iterator[Line]) -> None:
    for each in lines:
        display.line(each)


@contextlib.contextmanager
def applied(request: Request, backend: Backend, display: Display, *, keep: bool) -> Iterator[Object]:
    """The run as the server made it, with its companions; all that was created is deleted at the end, or kept."""
    made: list[Object] = []
    finished = False
    try:
        for each in request.companions:
            made += _create_companion(each, backend)
        run = _create(request.run, backend)
        made.append(run)
        yield run
        finished = True
    finally:
        if not (keep and finished):
            _delete(made, backend, display)


def _of_kind(request: Request, kind: str) -> list[Object]:
    return [each for each in request.companions if each["kind"] == kind]


def _create(obj: Object, backend: Backend) -> Object:
    try:
        made = backend.create(obj)
    except ApiError as error:
        raise _refused(obj, error) from error
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **made}


def _create_companion(obj: Object, backend: Backend) -> list[Object]:
    """Nothing for one that is there already, just as it should be: it isn't ours to delete."""
    try:
        return [{"apiVersion": obj["apiVersion"], "kind": obj["kind"], **backend.create(obj)}]
    except ApiError as error:
        if error.status != 409:
            raise _refused(obj, error) from error
    _check_same(obj, backend)
    return []


def _check_same(obj: Object, backend: Backend) -> None:
    with _refusals(label_of(obj)):
        there = backend.read(obj)
    if there is not None and not holds(there, _stored(obj)):
        namespace = obj["metadata"]["namespace"]
        raise InputError(
            f"{label_of(obj)}: is in namespace {namespace} already, and is another: "
            f"kubectl -n {namespace} apply the new one, or delete the old one"
        )


def _stored(obj: Object) -> Object:
    """A Secret's stringData comes back as data."""
    if "stringData" not in obj:
        return obj
    import base64

    plain = {name: base64.b64encode(str(value).encode()).decode() for name, value in obj["stringData"].items()}
    rest = {key: value for key, value in obj.items() if key != "stringData"}
    return {**rest, "data": {**mapping(obj.get("data")), **plain}}


def holds(there: Json, wanted: Json) -> bool:
    """Whether everything in `wanted` is there; a server adds fields of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(holds(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(holds, there, wanted))
    return bool(there == wanted) or wanted is None


def _delete(made: Sequence[Object], backend: Backend, display: Display) -> None:
    for each in reversed(made):
        try:
            backend.delete(each)
        except ApiError as error:  # noqa: PERF203  the others are to go all the same
            display.line([(f"{label_of(each)} can't be deleted: {error}", "red")])


def _refused(obj: Object, error: ApiError) -> InputError:
    namespace = obj["metadata"]["namespace"]
    if error.status == 409:
        kind = obj["kind"].lower()
        return InputError(
            f"{label_of(obj)}: is in namespace {namespace} already: kubectl -n {namespace} delete {kind} "
            f"{obj['metadata'].get('name')}, or give it a generateName instead of a name"
        )
    return InputError(f"{label_of(obj)}: {error}")


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    try:
        yield
    except (Unreachable, Unauthorized) as error:
        raise InputError(str(error)) from error
    except ApiError as error:
        raise InputError(f"{what}: {error}") from error


def is_injected(pod: Mapping[str, Json]) -> bool:
    """Whether a pod, or a template, has one of our containers."""
    spec = mapping(pod.get("spec"))
    fields = ("initContainers", "containers")
    return any(each.get("name") in contract.OUR_CONTAINERS for field in fields for each in mappings(spec.get(field)))
