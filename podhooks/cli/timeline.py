"""A plan as a timeline: what runs when and where, what a failure does, what on_exit sees. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from podhooks import contract
from podhooks.annotations.durations import format_duration
from podhooks.annotations.plan import POD_OPTIONS, Callback, Mode, Plan, Policy
from podhooks.annotations.writer import to_annotations
from podhooks.context import Result
from podhooks.inject import ObjectReport
from podhooks.inject.shapes import Json
from podhooks.inject.templates import look_up
from podhooks.pod.object import mapping, mappings

HEAD, STEP, MUTED = "bold", "cyan", "dim"
LABEL = 11  # columns of the label in front of each block


@dataclass(frozen=True)
class Line:
    """One line, without its line end; `style` is for terminals with colours."""

    text: str
    style: str = ""


def explain(each: ObjectReport, document: Mapping[str, Json]) -> Iterator[Line]:
    """The timeline of one injected pod of `document`."""
    plan, spec = each.report.plan, mapping(mapping(look_up(dict(document), each.path)).get("spec"))
    main = ", ".join(each.report.main)
    path = ".".join(str(part) for part in each.below) or "the pod itself"
    yield Line(f"{each.label}  ({path}, {plan.mode.value} mode, main: {main})", HEAD)
    yield Line("")
    yield from _chosen(plan)
    yield from _before(plan, spec)
    yield from _main(spec, main)
    yield from _after(plan, spec)
    yield from _time(each, plan, spec)
    if plan.on_exit:
        yield Line("")
        yield from _ends(plan, spec)
        yield Line("")
        yield from _modes(plan)
    yield Line("")


def _chosen(plan: Plan) -> Iterator[Line]:
    """The pod's own options, where they aren't the defaults."""
    annotations = to_annotations(plan)
    chosen = [f"{each.short_name} {annotations[each.name]}" for each in POD_OPTIONS if each.name in annotations]
    if chosen:
        yield block("options", ", ".join(chosen))


def _before(plan: Plan, spec: Mapping[str, Json]) -> Iterator[Line]:
    inits = list(mappings(spec.get("initContainers")))
    names = [str(each.get("name")) for each in inits]
    if contract.RUNTIME_CONTAINER in names:
        yield block("prepare", f"init container {contract.RUNTIME_CONTAINER} copies the runtime into the pod")
    at = names.index(contract.ON_EXIT_CONTAINER) if contract.ON_EXIT_CONTAINER in names else len(inits)
    yield from _yours(inits[:at], "no on_exit runs: its container isn't there yet" if plan.on_exit else "")
    if at < len(inits):
        yield block("prepare", f"sidecar {contract.ON_EXIT_CONTAINER} starts and waits for main's end")
    yield from _yours(inits[at:], "on_exit runs")
    image = next((each.get("image") for each in inits if each.get("name") == contract.ON_START_CONTAINER), "")
    yield block("on_start", f"init container {contract.ON_START_CONTAINER}{_in(image)}")
    yield block("", _interpreter(plan, image))
    if plan.on_exit:
        yield block("", "first checks that every on_exit callback can be found: if not, main never starts")
    yield from callback_lines(plan.on_start, "main never starts" + (", on_exit runs" if plan.on_exit else ""))


def _yours(inits: Sequence[Mapping[str, Json]], then: str) -> Iterator[Line]:
    """The user's init containers among these, and what comes of a failure of one."""
    yours = [each for each in inits if each.get("name") not in contract.OUR_CONTAINERS]
    if yours:
        yield block("prepare", f"your init containers: {', '.join(str(each.get('name')) for each in yours)}")
    failing = [str(each.get("name")) for each in yours if each.get("restartPolicy") != "Always"]
    if failing and then:
        yield block("", f"   if {' or '.join(failing)} fails: {then}", MUTED)


def _main(spec: Mapping[str, Json], main: str) -> Iterator[Line]:
    yield block("main", f"{main} runs; {contract.SHARED_DIR} is one directory for on_start, main and on_exit")
    policy = spec.get("restartPolicy", "Always")
    if policy == "OnFailure":
        yield block("", "a failure isn't its end: the kubelet runs it again (OnFailure), on_exit runs after the last")
    elif policy == "Always":
        yield block("", "it is restarted whenever it ends (Always): its end is the pod's deletion or eviction")


def _after(plan: Plan, spec: Mapping[str, Json]) -> Iterator[Line]:
    if not plan.on_exit:
        yield block("on_exit", "nothing: no callback is named")
        return
    if plan.mode is Mode.OUTSIDE:
        yield block("on_exit", "outside the pod, in a Job of the operator's, after the pod's end")
        yield from callback_lines(plan.on_exit, "the Job fails")
        return
    kind = "sidecar" if plan.mode is Mode.NATIVE else "container"
    images = [*mappings(spec.get("initContainers")), *mappings(spec.get("containers"))]
    image = next((each.get("image") for each in images if each.get("name") == contract.ON_EXIT_CONTAINER), "")
    yield block("on_exit", f"{kind} {contract.ON_EXIT_CONTAINER}{_in(image)}")
    yield from callback_lines(plan.on_exit, "the pod fails too")


def callback_lines(callbacks: Sequence[Callback], on_fail: str) -> Iterator[Line]:
    if not callbacks:
        yield block("", "no callback of yours")
    for number, each in enumerate(callbacks, 1):
        limits = f"at most {format_duration(each.timeout_seconds)}{_retries(each.retries)}"
        when = "" if each.when is None else f", only when {', '.join(_sorted(each.when))}"
        last = number == len(callbacks)
        passed = "recorded in the log and the pod's status" + ("" if last else ", the next one runs")
        effect = on_fail + ("" if last else ", the rest is skipped") if each.policy is Policy.FAIL else passed
        yield Line(f"{'':{LABEL}}{number}. {each.key}", STEP)
        yield block("", f"   {limits}{when}", MUTED)
        yield block("", f"   if it fails: {effect}", MUTED)


def _time(each: ObjectReport, plan: Plan, spec: Mapping[str, Json]) -> Iterator[Line]:
    total = int(spec.get("terminationGracePeriodSeconds", contract.DEFAULT_GRACE_SECONDS))
    if each.report.grace_seconds is None:
        yield block("time", f"grace period {format_duration(total)}, as it is: nothing needs a reserve")
        return
    before, after = each.report.grace_seconds
    own = f"{contract.DEFAULT_GRACE_SECONDS}s (default)" if before is None else f"{format_duration(before)} of yours"
    reserve = f"{format_duration(plan.reserve_seconds)} reserve for on_exit"
    yield block("time", f"grace period {format_duration(after)} = {own} for main + {reserve}")
    needed = sum(callback.timeout_seconds for callback in plan.on_exit)
    yield block("", f"on_exit takes at most {format_duration(needed)} without retries; retries use what is left")


def _ends(plan: Plan, spec: Mapping[str, Json]) -> Iterator[Line]:
    """kubelet facts 1-16, in a user's words."""
    rows = list(_outside_rows(spec) if plan.mode is Mode.OUTSIDE else _in_pod_rows(plan, spec))
    yield Line("What on_exit sees, and when it runs", HEAD)
    for what, result, when in rows:
        wanted = [each.key for each in plan.on_exit if each.wanted(result)]
        which = "" if len(wanted) == len(plan.on_exit) else f"; runs {', '.join(wanted) or 'none'}"
        yield Line(f"  {what:<16} {result.value:<17} {when}{which}")


Row: TypeAlias = "tuple[str, Result, str]"


def _in_pod_rows(plan: Plan, spec: Mapping[str, Json]) -> Iterator[Row]:
    native = plan.mode is Mode.NATIVE
    latest = f"at the latest {format_duration(plan.reserve_seconds)} before the end of the grace period"
    deleted = "right after main is dead" if native else latest
    start_failed = "runs in the sidecar" if native else "runs in on-start itself"
    lost = "outside the pod, a minute or two later" if plan.guaranteed else "may not run at all"
    yield from _ended("right after main's end", spec)
    yield "pod is deleted", Result.DELETED, f"{deleted}; exit code unknown"
    yield "evicted by API", Result.EVICTED, f"{deleted}; exit code unknown"
    yield "evicted by node", Result.EVICTED, f"the kubelet leaves no time: {lost}"
    yield "deadline", Result.DEADLINE_EXCEEDED, f"{deleted}; a Job's own deadline looks like a deletion"
    yield "node is lost", Result.NODE_LOST, f"nothing in the pod can run: {lost}"
    yield "start fails", Result.START_FAILED, f"{start_failed}; main has never run"


def _outside_rows(spec: Mapping[str, Json]) -> Iterator[Row]:
    after = "some seconds after the pod's end"
    yield from _ended(after, spec)
    yield "pod is deleted", Result.DELETED, f"{after}; with main's real exit code"
    yield "evicted by API", Result.EVICTED, f"{after}; with main's real exit code"
    yield "evicted by node", Result.EVICTED, after
    yield "deadline", Result.DEADLINE_EXCEEDED, f"{after}; a Job's own deadline looks like a deletion"
    yield "node is lost", Result.NODE_LOST, "a minute or two later"
    yield "start fails", Result.START_FAILED, f"{after}; main has never run"


def _ended(when: str, spec: Mapping[str, Json]) -> Iterator[Row]:
    if spec.get("restartPolicy", "Always") == "Always":
        return
    yield "main succeeds", Result.SUCCEEDED, f"{when}; exit code 0"
    yield "main fails", Result.FAILED, f"{when}; exit code or signal, reason and message"
    yield "out of memory", Result.OOM_KILLED, f"{when}; the exit code may be main's own"


MODES = (
    ("native", "right after main's end, in the pod", "main's own end; after a deletion no exit code", "20 MiB a pod"),
    ("classic", "the same", "the same, but in a deletion it acts first", "20 MiB, in its verdict"),
    ("outside", "seconds after the pod's end, in a Job", "the final truth, no shared directory", "the operator"),
)


def _modes(plan: Plan) -> Iterator[Line]:
    """The three side by side: when on_exit runs, what it knows, what it costs."""
    yield Line("The modes", HEAD)
    yield Line(f"  {'':<9} {'on_exit runs':<38} {'it knows':<46} it costs", MUTED)
    for name, when, knows, costs in MODES:
        mark = "*" if name == plan.mode.value else " "
        yield Line(f"{mark} {name:<9} {when:<38} {knows:<46} {costs}", STEP if mark == "*" else "")


def block(label: str, text: str, style: str = "") -> Line:
    return Line(f"  {label:<{LABEL - 2}}{text}", style)


def _interpreter(plan: Plan, image: Json) -> str:
    if plan.bundled:
        return f"run, like on_exit, by the Python that comes along with Podhooks: {image or 'the image'} needs none"
    return f"run, like on_exit, by {plan.python} of {image or 'the image'}, which must be Python 3.10 or newer"


def _in(image: Json) -> str:
    return f", in {image}" if image else ""


def _retries(number: int) -> str:
    return {0: ", no retry", 1: " each time, 1 retry"}.get(number, f" each time, {number} retries")


def _sorted(when: frozenset[Result]) -> list[str]:
    return [result.value for result in Result if result in when]
