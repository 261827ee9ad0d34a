"""A Pod object, read: containers and their statuses, main, deletion, restarts. Pure, and survives whatever it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from podhooks import contract
from podhooks.context import EMPTY, parse_time
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from podhooks.context import Json

FINISHED_PHASES = ("Succeeded", "Failed")
NEVER_RAN_REASONS = frozenset({"StartError", "ContainerCannotRun"})  # the runtime could not start the command
KUBELET_LOST = "ContainerStatusUnknown"
RESTARTING_ALL = "RestartingAllContainers"
# Ends that nobody saw, and the exit code that is invented for each (None: whatever it is).
# - The kubelet can't find the container any more, or removed it by a restart rule to start all of them afresh: 137.
#   https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/kubelet_pods.go (convertToAPIContainerStatuses),
#   https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/kubelet/status/status_manager.go (TerminatePod)
# - containerd was restarted, or the node was, and the container's process is gone: 255.
#   https://github.com/containerd/containerd/blob/main/internal/cri/server/restart.go (unknownExitCode)
# - A virtual kubelet's provider doesn't know the container any more (-137), or was told to delete it (0).
#   https://github.com/virtual-kubelet/virtual-kubelet/blob/master/node/sync.go
INVENTED_CODES = {KUBELET_LOST: None, RESTARTING_ALL: None, "Unknown": 255, "NotFound": None, "Terminated": 0}
USED_TO_RUN = "used to be Running"  # the kubelet's words, only of a container that it had seen running


class Container(Value):
    """One container of a pod: its spec, its status, and the pod's restart policy."""

    name: str
    spec: Mapping[str, Json] = EMPTY
    status: Mapping[str, Json] = EMPTY
    pod_restart_policy: str = "Always"
    seen_running: bool = False  # in an earlier state of the pod, which this one may have forgotten

    @property
    def state(self) -> Mapping[str, Json]:
        return mapping(self.status.get("state"))

    @property
    def last_state(self) -> Mapping[str, Json]:
        return mapping(self.status.get("lastState"))

    @property
    def runs(self) -> bool:
        """As the pod shows it. Virtual kubelets leave `running` beside `terminated`."""
        return "running" in self.state and "terminated" not in self.state

    @property
    def end(self) -> Mapping[str, Json] | None:
        """The end of its latest run; None while it runs or when it never did."""
        if self.runs:
            return None
        for holder in (self.state, self.last_state):
            if isinstance(holder.get("terminated"), Mapping):
                return mapping(holder["terminated"])
        return None

    @property
    def started(self) -> bool:
        """Whether any run of it was seen. Restarts are runs, but not those of a command that can't be started."""
        if self.seen_running or "running" in self.state:
            return True
        holders = (self.state, self.last_state)
        ends = [mapping(each["terminated"]) for each in holders if isinstance(each.get("terminated"), Mapping)]
        never = any(text(end.get("reason")) in NEVER_RAN_REASONS for end in ends)
        lost = bool(self.status.get("containerID")) and any(map(is_lost, ends))  # there was one, and it's lost
        return lost or any(map(really_ran, ends)) or (self.restarts > 0 and not never)

    @property
    def restarts(self) -> int:
        return max(whole(self.status.get("restartCount")) or 0, 0)

    @property
    def started_at(self) -> datetime | None:
        """When its latest run began. None for a command that could not be started: the runtime says 1970 then."""
        run = self.end or mapping(self.state.get("running"))
        return None if text(run.get("reason")) in NEVER_RAN_REASONS else parse_time(run.get("startedAt"))


class Choice(Value):
    """Who main is: `label` is a container's name, or `*`; `names` are the containers that it means."""

    label: str
    names: tuple[str, ...]


def choice_written(pod: Mapping[str, Json]) -> Choice | None:
    """The choice that is written into an injected pod; None where there is none, or its container is gone.

    Every door writes it into the environment of our containers. With `*`, the containers that were there then are
    those with our shared directory: what another injector added later isn't main.
    """
    label = next(filter(None, map(_label_in, (*containers(pod, init=True), *containers(pod)))), None)
    users = [each for each in containers(pod) if each.name not in contract.OUR_CONTAINERS]
    if label == contract.ALL_CONTAINERS:
        marked = tuple(
            each.name for each in users if any(map(is_shared_mount, mappings(each.spec.get("volumeMounts"))))
        )
        return Choice(label, marked or tuple(each.name for each in users))
    return Choice(label, (label,)) if label is not None and label in [each.name for each in users] else None


def _label_in(container: Container) -> str | None:
    if container.name not in (contract.ON_START_CONTAINER, contract.ON_EXIT_CONTAINER):
        return None
    entries = mappings(container.spec.get("env"))
    return next((text(each.get("value")) for each in entries if each.get("name") == contract.ENV_MAIN_CONTAINER), None)


def is_shared_mount(mount: Mapping[str, Json]) -> bool:
    return mount.get("name") == contract.SHARED_VOLUME and mount.get("mountPath") == contract.SHARED_DIR


def main_container(pod: Mapping[str, Json]) -> str | None:
    """Main's name, `*` for all; None if the pod has no containers.

    Main is chosen once, when the pod is injected: what others put in front of it later changes nothing. Before that the
    annotations choose. An annotation that names no container of the pod is passed over here: refusing it is the
    injector's business.
    """
    written = choice_written(pod)
    if written is not None:
        return written.label
    given = [text(each.get("name")) for each in mappings(mapping(pod.get("spec")).get("containers"))]
    names = [each for each in given if each not in contract.OUR_CONTAINERS]
    annotations = mapping(mapping(pod.get("metadata")).get("annotations"))
    wanted = text(annotations.get(contract.MAIN_CONTAINER)).strip()  # as the plan reads it
    if wanted in names or wanted == contract.ALL_CONTAINERS:
        return wanted
    default = annotations.get(contract.DEFAULT_CONTAINER_ANNOTATION)
    if default in names:
        return text(default)
    return names[0] if names else None


def main_containers(pod: Mapping[str, Json], main: str | None = None) -> list[Container]:
    """The containers that `main` means: one, all of the user's with `*`, the choice of `main_container` with None."""
    name = main or main_container(pod)
    if name == contract.ALL_CONTAINERS:
        written = choice_written(pod)
        if written is not None and written.label == contract.ALL_CONTAINERS:
            return [each for each in containers(pod) if each.name in written.names]
        return [each for each in containers(pod) if each.name not in contract.OUR_CONTAINERS]
    return [each for each in containers(pod) if each.name == name]


def containers(pod: Mapping[str, Json], *, init: bool = False) -> list[Container]:
    """The pod's containers (or init containers) in the order of its spec, with their statuses."""
    spec, status = mapping(pod.get("spec")), mapping(pod.get("status"))
    key = "initContainers" if init else "containers"
    statuses = {text(each.get("name")): each for each in mappings(status.get(key[:-1] + "Statuses"))}
    policy = text(spec.get("restartPolicy")) or "Always"
    found = [(text(each.get("name")), each) for each in mappings(spec.get(key))]
    return [Container(name, each, statuses.get(name, EMPTY), policy) for name, each in found]


def is_deleting(pod: Mapping[str, Json]) -> bool:
    return bool(mapping(pod.get("metadata")).get("deletionTimestamp"))


def pod_deadline(pod: Mapping[str, Json]) -> datetime | None:
    """When the pod's own activeDeadlineSeconds are over; None if it has none, or hasn't been started."""
    start = parse_time(mapping(pod.get("status")).get("startTime"))
    seconds = whole(mapping(pod.get("spec")).get("activeDeadlineSeconds"))
    try:
        return start + timedelta(seconds=seconds) if start is not None and seconds is not None else None
    except OverflowError:
        return None


def phase(pod: Mapping[str, Json]) -> str:
    return text(mapping(pod.get("status")).get("phase"))


def may_restart(container: Container, end: Mapping[str, Json]) -> bool:
    """Whether the kubelet will run it again: its own rules, then its own policy, then the pod's."""
    code = whole(end.get("exitCode"))
    if any(rule_matches(rule, code) for rule in mappings(container.spec.get("restartPolicyRules"))):
        return True
    policy = text(container.spec.get("restartPolicy")) or container.pod_restart_policy
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def rule_matches(rule: Mapping[str, Json], code: int | None) -> bool:
    codes = mapping(rule.get("exitCodes"))
    listed = code in [whole(each) for each in sequence(codes.get("values"))]
    return code is not None and (
        listed if codes.get("operator") == "In" else codes.get("operator") == "NotIn" and not listed
    )


def really_ran(end: Mapping[str, Json]) -> bool:
    if USED_TO_RUN in text(end.get("message")) and is_lost(end):
        return True
    return parse_time(end.get("startedAt")) is not None and text(end.get("reason")) not in NEVER_RAN_REASONS


def is_lost(end: Mapping[str, Json]) -> bool:
    """Whether nobody saw this end: its exit code and time are then made up."""
    reason = text(end.get("reason"))
    return reason in INVENTED_CODES and INVENTED_CODES[reason] in (None, whole(end.get("exitCode")))


def mapping(value: Json) -> Mapping[str, Json]:
    """`value` if it is a mapping, else an empty one: a pod may hold anything."""
    if type(value) is dict:  # nearly always, and far cheaper than asking for an abstract class
        return value
    return value if value is not None and isinstance(value, Mapping) else EMPTY


def sequence(value: Json) -> Sequence[Json]:
    if type(value) is list:
        return value
    return value if value is not None and isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else ()


def mappings(value: Json) -> Iterator[Mapping[str, Json]]:
    return (each for each in sequence(value) if type(each) is dict or isinstance(each, Mapping))


def text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
