"""One pod on its way through the injector: the pod as its author wrote it, the plan, and who main is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

from podhooks import contract
from podhooks.annotations.plan import Plan
from podhooks.context import EMPTY
from podhooks.inject.container_resources import completed
from podhooks.inject.inject_settings import InjectSettings
from podhooks.inject.shapes import Json
from podhooks.pod.object import main_container, main_containers, mapping, mappings
from podhooks.value import Value


class Case(Value):
    """`pod` has the default annotations and nothing else of ours."""

    pod: Mapping[str, Json]
    plan: Plan
    settings: InjectSettings

    @cached_property
    def annotations(self) -> Mapping[str, Json]:
        return mapping(mapping(self.pod.get("metadata")).get("annotations"))

    @cached_property
    def spec(self) -> Mapping[str, Json]:
        return mapping(self.pod.get("spec"))

    @cached_property
    def containers(self) -> list[Mapping[str, Json]]:
        return list(mappings(self.spec.get("containers")))

    @cached_property
    def init_containers(self) -> list[Mapping[str, Json]]:
        return list(mappings(self.spec.get("initContainers")))

    @property
    def main(self) -> Mapping[str, Json]:
        """The container that ours take after: main, or the first of all with `*`. Empty only in a pod that is refused:
        all its containers have names that are ours."""
        return self.mains[0] if self.mains else EMPTY

    @cached_property
    def mains(self) -> list[Mapping[str, Json]]:
        return [each.spec for each in main_containers(self.pod)]

    @cached_property
    def main_label(self) -> str:
        """What our programs are told: a name, or `*`."""
        return main_container(self.pod) or ""

    @property
    def grace_seconds(self) -> int:
        """What the author gave main to end in: his word, or Kubernetes' default."""
        given = self.spec.get("terminationGracePeriodSeconds")
        return contract.DEFAULT_GRACE_SECONDS if given is None else int(given)

    @cached_property
    def resources(self) -> Mapping[str, Mapping[str, Json]]:
        """Of each of our containers."""
        return completed(mapping(self.plan.resources), self.settings.resources)

    @property
    def raised_grace_seconds(self) -> int:
        """Main keeps all of its own; on_exit's reserve comes behind it."""
        return math.ceil(self.grace_seconds + self.plan.reserve_seconds) if self.plan.on_exit else self.grace_seconds
