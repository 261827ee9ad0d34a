"""What is worth a line when an object changes. Pure: the state before and the state after in, sentences out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from podhooks import contract
from podhooks.annotations.durations import format_duration
from podhooks.inject.shapes import Json
from podhooks.pod.object import (
    FINISHED_PHASES,
    NEVER_RAN_REASONS,
    Container,
    containers,
    is_deleting,
    is_lost,
    main_containers,
    mapping,
    mappings,
    phase,
    text,
    whole,
)

SIGNALS = {2: "SIGINT", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
USUAL_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})
NEVER_PULLED = frozenset({"ErrImageNeverPull", "InvalidImageName"})
NO_IMAGE = NEVER_PULLED | {"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable"}
SAID_BY_STATES = frozenset(
    {"BackOff", "Failed", "ErrImageNeverPull", "FailedScheduling", "BackoffLimitExceeded", "DeadlineExceeded"}
)
"""Reasons of events that repeat what the objects' own states say."""


class Role(str, Enum):
    """Whose line it is; it chooses the colour."""

    ON_START = "on-start"
    MAIN = "main"
    ON_EXIT = "on-exit"
    OTHER = "other"
    RUN = "run"  # the pod, the Job, or ourselves


class Tone(str, Enum):
    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True)
class Entry:
    """One line. `container` is empty for news of the pod as a whole, `pod` too for what concerns the run.

    `log` marks a line that the container itself wrote.
    """

    text: str
    pod: str = ""
    container: str = ""
    role: Role = Role.RUN
    tone: Tone = Tone.PLAIN
    log: bool = False


def pod_news(before: Mapping[str, Json], after: Mapping[str, Json], *, gone: bool = False) -> Iterator[Entry]:
    """`before` is empty for a pod that hasn't been seen yet."""
    name = name_of(after)
    if not before:
        yield Entry(f"{name} created", name, tone=Tone.QUIET)
    old, new = _pod_facts(before), _pod_facts(after)
    yield from (Entry(new[key][0], name, tone=new[key][1]) for key in new if old.get(key) != new[key])
    earlier = {each.name: each for each in all_containers(before)}
    for each in all_containers(after):
        yield from _container_news(earlier.get(each.name, Container(each.name)), each, name, role_of(after, each.name))
    if gone and not is_over(after):
        running = [each.name for each in all_containers(after) if "running" in each.state]
        yield Entry(f"is gone{f', while {_and(running)} still ran' if running else ''}", name, tone=Tone.BAD)


def job_news(before: Mapping[str, Json], after: Mapping[str, Json], *, gone: bool = False) -> Iterator[Entry]:
    held = {each.get("type") for each in _true_conditions(before)}
    for each in _true_conditions(after):
        if each.get("type") in held:
            continue
        if each.get("type") == "Failed":
            yield Entry(f"job failed: {_because(each)}", tone=Tone.BAD)
        elif each.get("type") == "Suspended":
            yield Entry("job is suspended: nothing starts until spec.suspend is false")
    if gone and not job_is_finished(after):
        yield Entry("job is gone", tone=Tone.QUIET)


def warning_news(event: Mapping[str, Json]) -> Iterator[Entry]:
    """A core/v1 Event. Only warnings, and only what no state says."""
    reason = text(event.get("reason"))
    if event.get("type") != "Warning" or reason in SAID_BY_STATES:
        return
    involved = mapping(event.get("involvedObject"))
    pod = text(involved.get("name")) if involved.get("kind") == "Pod" else ""
    yield Entry(f"{reason}: {_one_line(event.get('message'))}", pod, tone=Tone.BAD)


def is_over(pod: Mapping[str, Json]) -> bool:
    """Whether nothing of it runs any more, nor will."""
    if phase(pod) not in FINISHED_PHASES:
        return False
    return not any("running" in each.state for each in all_containers(pod))


def job_is_finished(job: Mapping[str, Json]) -> bool:
    return any(each.get("type") in ("Complete", "Failed") for each in _true_conditions(job))


def job_failure(job: Mapping[str, Json]) -> str | None:
    """Why the Job failed; None if it didn't (yet)."""
    return next((_because(each) for each in _true_conditions(job) if each.get("type") == "Failed"), None)


def state_word(container: Container) -> str:
    """For the line at the bottom: `waiting`, `running`, `done`, `exit 3`, or why it doesn't start."""
    if "running" in container.state:
        return "running"
    end = mapping(container.state.get("terminated"))
    if end:
        if is_lost(end):
            return "lost"
        return "done" if end.get("exitCode") == 0 else f"exit {end.get('exitCode')}"
    reason = text(mapping(container.state.get("waiting")).get("reason"))
    return "waiting" if reason in USUAL_WAITS else reason


def all_containers(pod: Mapping[str, Json]) -> list[Container]:
    """In the order in which they start."""
    return [*containers(pod, init=True), *containers(pod)]


def role_of(pod: Mapping[str, Json], container: str) -> Role:
    if container == contract.ON_START_CONTAINER:
        return Role.ON_START
    if container == contract.ON_EXIT_CONTAINER:
        return Role.ON_EXIT
    return Role.MAIN if container in [each.name for each in main_containers(pod)] else Role.OTHER


def name_of(obj: Mapping[str, Json]) -> str:
    return text(mapping(obj.get("metadata")).get("name"))


def ended_text(end: Mapping[str, Json]) -> str:
    """`state.terminated` as a sentence."""
    reason, code = text(end.get("reason")), whole(end.get("exitCode"))
    if is_lost(end):
        return "ended, and nobody saw how"
    if reason in NEVER_RAN_REASONS:
        return f"could not be started: {_one_line(end.get('message'))}"
    verb = "out of memory" if reason == "OOMKilled" else "killed" if code == 137 else "ended"
    signal = SIGNALS.get(code - 128, "") if code is not None and code > 128 else ""
    return f"{verb}, exit code {code}{f' ({signal})' if signal else ''}"


def _container_news(before: Container, after: Container, pod: str, role: Role) -> Iterator[Entry]:
    earlier, last = _end_of(before, "lastState"), _end_of(after, "lastState")
    if before.restarts < after.restarts and "terminated" not in before.state and last and last != earlier:
        yield Entry(ended_text(last), pod, after.name, role, Tone.BAD)
    if is_lost(_end_of(after, "state")) and (is_lost(last) or not before.started):
        return  # told already; or there is nothing to tell, because it never ran
    then, now = _state(before), _state(after)
    if now is not None and (now != then or before.restarts < after.restarts):
        yield Entry(now[0], pod, after.name, role, now[1])


def _end_of(container: Container, holder: str) -> Mapping[str, Json]:
    return mapping(mapping(container.status.get(holder)).get("terminated"))


def _state(container: Container) -> tuple[str, Tone] | None:
    """What a container's state is worth saying; None while it waits its turn."""
    waiting, end = mapping(container.state.get("waiting")), _end_of(container, "state")
    if "running" in container.state:
        return (f"running again, restart {container.restarts}" if container.restarts else "running"), Tone.QUIET
    if end:
        return ended_text(end), Tone.GOOD if end.get("exitCode") == 0 and not is_lost(end) else Tone.BAD
    reason = text(waiting.get("reason"))
    if reason in USUAL_WAITS:
        return None
    message = _one_line(waiting.get("message"))
    return f"waiting: {reason}{f': {message}' if message else ''}", Tone.BAD


def _pod_facts(pod: Mapping[str, Json]) -> dict[str, tuple[str, Tone]]:
    """What the pod says of itself, by a key that stays when the words change back and forth."""
    facts = {}
    status, metadata = mapping(pod.get("status")), mapping(pod.get("metadata"))
    for each in mappings(status.get("conditions")):
        if each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable":
            facts["scheduling"] = f"no node takes it: {_one_line(each.get('message'))}", Tone.BAD
        if each.get("type") == "DisruptionTarget" and each.get("status") == "True":
            facts["disruption"] = f"disrupted: {_because(each)}", Tone.BAD
    if is_deleting(pod):
        grace = whole(metadata.get("deletionGracePeriodSeconds"))
        facts["deletion"] = "being deleted" + (f", {format_duration(grace)} of grace" if grace else ""), Tone.BAD
    if facts.get("deletion") and not whole(metadata.get("deletionGracePeriodSeconds")):
        del facts["deletion"]  # the kubelet's last call, when all is over
    if missing := runtime_image_trouble(pod):
        facts["runtime image"] = missing, Tone.BAD
    if text(status.get("reason")):
        facts["reason"] = _because(status), Tone.BAD
    return facts


def runtime_image_trouble(pod: Mapping[str, Json]) -> str:
    """What to do where the image with our runtime can't be had; empty if it can, or isn't used.

    The kubelet reports an image volume that it can't pull as the state of the container that mounts it.
    """
    image = _runtime_image(pod)
    for each in all_containers(pod) if image else ():
        waiting = mapping(each.state.get("waiting"))
        if text(waiting.get("reason")) in NO_IMAGE and image in (each.spec.get("image"), *_quoted(waiting)):
            return (
                f"the image {image}, which brings Podhooks into the pod, isn't in the cluster's reach: push it to a "
                "registry that the nodes can pull from and name it with --image, load it into the nodes, or install "
                "podhooks in main's image (--delivery installed)"
            )
    return ""


def is_without_hope(pod: Mapping[str, Json]) -> bool:
    """Whether our image will never come by itself: it may not be pulled, or its name is none."""
    waiting = [text(mapping(each.state.get("waiting")).get("reason")) for each in all_containers(pod)]
    return bool(runtime_image_trouble(pod)) and any(reason in NEVER_PULLED for reason in waiting)


def _runtime_image(pod: Mapping[str, Json]) -> str:
    spec = mapping(pod.get("spec"))
    volumes = (each for each in mappings(spec.get("volumes")) if each.get("name") == contract.RUNTIME_VOLUME)
    mounted = [text(mapping(each.get("image")).get("reference")) for each in volumes]
    copied = [text(each.spec.get("image")) for each in all_containers(pod) if each.name == contract.RUNTIME_CONTAINER]
    return next(filter(None, (*copied, *mounted)), "")


def _quoted(waiting: Mapping[str, Json]) -> list[str]:
    """The image names in a kubelet's message, which has them in quotes."""
    return re.findall(r'"([^"\s]+)"', text(waiting.get("message")))


def obstacle(pod: Mapping[str, Json]) -> str:
    """What keeps main from starting; empty if nothing does."""
    scheduling = _pod_facts(pod).get("scheduling")
    if scheduling:
        return scheduling[0]
    for each in all_containers(pod):
        waiting = mapping(each.state.get("waiting"))
        if text(waiting.get("reason")) not in USUAL_WAITS:
            message = _one_line(waiting.get("message"))
            return f"{each.name}: {text(waiting.get('reason'))}{f': {message}' if message else ''}"
    return ""


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)


def _true_conditions(obj: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    conditions = mappings(mapping(obj.get("status")).get("conditions"))
    return (each for each in conditions if each.get("status") == "True")


def _because(holder: Mapping[str, Json]) -> str:
    message = _one_line(holder.get("message"))
    return f"{text(holder.get('reason'))}{f': {message}' if message else ''}"


def _one_line(value: Json) -> str:
    return " ".join(text(value).split())
