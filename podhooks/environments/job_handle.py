"""The handle of a run that is a Job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from podhooks import contract
from podhooks.cluster.backend import Backend
from podhooks.cluster.request import Object
from podhooks.context import ExitInfo
from podhooks.environments.handle import Handle
from podhooks.environments.progress import Progress
from podhooks.errors import ApiError, PodhooksError
from podhooks.pod.object import mapping, whole
from podhooks.report.news import all_containers
from podhooks.report.summary import CallbackLine

MARGIN_SECONDS = 30.0  # over the grace period, before a deletion is no longer waited for


class JobHandle(Handle):
    """
    Args:
        backend: where the Job is; closed by `delete`.
        job: as the server made it.
        main: the name of the flow's container.
        label: what a callback's key in a record is about.
        others: what else was made for the run and isn't the Job's own.
    """

    def __init__(
        self, backend: Backend, job: Object, *, main: str, label: Callable[[str], str], others: tuple[Object, ...] = ()
    ) -> None:
        self._backend = backend
        self._main = main
        self._label = label
        self._others = others
        self._progress = Progress(backend, job)
        self._deleted = False
        self.job = job

    @property
    def name(self) -> str:
        return str(self.job["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.job["metadata"]["namespace"])

    @property
    def exit_info(self) -> ExitInfo | None:
        return self._progress.end() if self._progress.is_over else None

    @property
    def callbacks(self) -> tuple[CallbackLine, ...]:
        """Those of the pod whose end is the Job's."""
        pod = self._progress.deciding()
        return () if pod is None else tuple(self._named(each) for each in pod.callbacks)

    def _named(self, line: CallbackLine) -> CallbackLine:
        name = self._label(line.name)
        return replace(line, name=name, outcome=line.outcome and line.outcome.replace(name=name))

    def wait(self, timeout_seconds: float | None = None) -> ExitInfo:
        if not self._progress.wait(lambda: self._progress.is_over, timeout_seconds):
            trouble = f": {self._progress.trouble}" if self._progress.trouble else ""
            raise TimeoutError(f"Job/{self.name} isn't over after {timeout_seconds:g} s{trouble}; it goes on")
        return self._progress.end()

    def logs(self, container: str | None = None) -> Iterator[str]:
        """The last pod's; of another container (`on-start`, `on-exit`) with its name.

        Raises:
            PodhooksError: there is no pod any more, or the log may not be read.
        """
        wanted = container or self._main
        self._progress.wait(lambda: self._progress.is_over or self._has_run(wanted), None)
        pods = self._progress.pods
        if not pods:
            raise PodhooksError(f"Job/{self.name} has no pod, so there is no log: {self._progress.end().message}")
        metadata = pods[-1]["metadata"]
        try:
            yield from self._backend.logs(
                self.namespace, metadata["name"], wanted, previous=False, has_ended=lambda: self._has_ended(wanted)
            )
        except ApiError as error:
            raise PodhooksError(f"the log of {metadata['name']} can't be read: {error}") from error

    def _has_run(self, container: str) -> bool:
        return any(
            each.name == container and ("running" in each.state or "terminated" in each.state)
            for pod in self._progress.pods[-1:]
            for each in all_containers(pod)
        )

    def _has_ended(self, container: str) -> bool:
        return self._progress.is_over or any(
            each.name == container and "terminated" in each.state
            for pod in self._progress.pods[-1:]
            for each in all_containers(pod)
        )

    def delete(self) -> None:
        """Returns when its pods are gone: on_exit has its time.

        Raises:
            PodhooksError: the cluster refuses; what could be deleted is.
        """
        if self._deleted:
            return
        try:
            self._delete_all()
            self._progress.wait(lambda: self._progress.is_gone, self._grace_seconds() + MARGIN_SECONDS)
        finally:
            self._deleted = True
            self._progress.close()
            self._backend.close()

    def _delete_all(self) -> None:
        problems = []
        for each in (self.job, *self._others):
            try:
                self._backend.delete(each)
            except ApiError as error:  # noqa: PERF203  the others are to go all the same
                problems.append(f"{each['kind']}/{each['metadata']['name']} can't be deleted: {error}")
        if problems:
            raise PodhooksError("; ".join(problems))

    def _grace_seconds(self) -> float:
        spec = mapping(mapping(mapping(self.job.get("spec")).get("template")).get("spec"))
        given = whole(spec.get("terminationGracePeriodSeconds"))
        return float(contract.DEFAULT_GRACE_SECONDS if given is None else given)
