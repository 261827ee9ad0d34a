"""One pod on its way through the injector: the pod as its author wrote it, the plan, and who main is."""

from __future__ import annotations

import math
from collections.abc import Mapping

from podhooks import contract
from podhooks.annotations.plan import Mode, Plan, Position
from podhooks.context import EMPTY
from podhooks.inject.container_resources import for_ours
from podhooks.inject.inject_settings import InjectSettings
from podhooks.inject.shapes import Json
from podhooks.pod.object import Choice, main_container, main_containers, mapping, mappings


class Case:
    """`pod` has the default annotations and nothing else of ours; `containers` and `init_containers` are its own.

    `mains` are the containers that `main_label` means, a name or `*`: those of `chosen`, an earlier injection's choice,
    if there is one. `resources` are each of our containers'.
    """

    def __init__(
        self, pod: Mapping[str, Json], plan: Plan, settings: InjectSettings, chosen: Choice | None = None
    ) -> None:
        self.pod = pod
        self.plan = plan
        self.settings = settings
        self.annotations = mapping(mapping(pod.get("metadata")).get("annotations"))
        self.spec = mapping(pod.get("spec"))
        self.containers = list(mappings(self.spec.get("containers")))
        self.init_containers = list(mappings(self.spec.get("initContainers")))
        self.chosen = chosen
        self.main_label = chosen.label if chosen is not None else main_container(pod) or ""
        self.mains = [each.spec for each in main_containers(pod, self.main_label)]
        if chosen is not None:
            self.mains = [each for each in self.containers if each["name"] in chosen.names]
        self.resources = for_ours(mapping(plan.resources), settings.resources)

    @property
    def main(self) -> Mapping[str, Json]:
        """The container that ours take after: main, or the first of all with `*`. Empty only in a pod that is refused:
        all its containers have names that are ours."""
        return self.mains[0] if self.mains else EMPTY

    @property
    def on_exit_index(self) -> int:
        """How many of the user's init containers are in front of on-exit, in native mode.

        Never in front of the last native sidecar: the kubelet stops native sidecars in reverse order, so on_exit's
        callbacks still have their proxies, and SIGTERM comes right after main's end and not after theirs.
        https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#sidecar-containers-and-pod-lifecycle
        """
        if self.plan.position is Position.LAST:
            return len(self.init_containers)
        sidecars = [index for index, each in enumerate(self.init_containers) if each.get("restartPolicy") == "Always"]
        return sidecars[-1] + 1 if sidecars else 0

    @property
    def behind_on_exit(self) -> list[Mapping[str, Json]]:
        """The user's init containers that start only after on-exit: it can't have what they make."""
        native = self.plan.on_exit and self.plan.mode is Mode.NATIVE
        return self.init_containers[self.on_exit_index :] if native else []

    @property
    def grace_seconds(self) -> int:
        """What the author gave main to end in: his word, or Kubernetes' default."""
        given = self.spec.get("terminationGracePeriodSeconds")
        return contract.DEFAULT_GRACE_SECONDS if given is None else int(given)

    @property
    def raised_grace_seconds(self) -> int:
        """Main keeps all of its own; on_exit's reserve comes behind it."""
        reserve = self.plan.reserve_seconds if self.plan.exits_in_pod else 0
        return math.ceil(self.grace_seconds + reserve)
