"""One pod on its way through the injector: the pod as its author wrote it, the plan, and who main is."""

from __future__ import annotations

import math
from collections.abc import Mapping

from podhooks import contract
from podhooks.annotations.plan import Plan
from podhooks.context import EMPTY
from podhooks.inject.container_resources import for_ours
from podhooks.inject.inject_settings import InjectSettings
from podhooks.inject.shapes import Json
from podhooks.pod.object import main_container, main_containers, mapping, mappings


class Case:
    """`pod` has the default annotations and nothing else of ours; `containers` and `init_containers` are its own.

    `mains` are the containers that `main_label` means, a name or `*`; `resources` are each of our containers'.
    """

    def __init__(self, pod: Mapping[str, Json], plan: Plan, settings: InjectSettings) -> None:
        self.pod = pod
        self.plan = plan
        self.settings = settings
        self.annotations = mapping(mapping(pod.get("metadata")).get("annotations"))
        self.spec = mapping(pod.get("spec"))
        self.containers = list(mappings(self.spec.get("containers")))
        self.init_containers = list(mappings(self.spec.get("initContainers")))
        self.main_label = main_container(pod) or ""
        self.mains = [each.spec for each in main_containers(pod, self.main_label)]
        self.resources = for_ours(mapping(plan.resources), settings.resources)

    @property
    def main(self) -> Mapping[str, Json]:
        """The container that ours take after: main, or the first of all with `*`. Empty only in a pod that is refused:
        all its containers have names that are ours."""
        return self.mains[0] if self.mains else EMPTY

    @property
    def grace_seconds(self) -> int:
        """What the author gave main to end in: his word, or Kubernetes' default."""
        given = self.spec.get("terminationGracePeriodSeconds")
        return contract.DEFAULT_GRACE_SECONDS if given is None else int(given)

    @property
    def raised_grace_seconds(self) -> int:
        """Main keeps all of its own; on_exit's reserve comes behind it."""
        return math.ceil(self.grace_seconds + self.plan.reserve_seconds) if self.plan.on_exit else self.grace_seconds
