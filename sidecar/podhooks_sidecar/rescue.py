"""on_exit outside its pod: what a pod couldn't run, in a Job of the operator's, told how main ended.

The same callbacks, record and runner as in the pod; nothing is waited for. A SIGTERM means that the Job is ended: the
rest of the grace period is what is left.
"""

from __future__ import annotations

from podhooks import contract, log
from podhooks.context import Hook, Status
from podhooks.errors import NotFound, PodhooksError
from podhooks.pod import info as podinfo
from podhooks.runtime.access import Access
from podhooks.runtime.client import Client
from podhooks.runtime.pod_settings import PodSettings
from podhooks.runtime.record import Record
from podhooks.runtime.rescue_task import read_task, reopened
from podhooks.value import Value
from podhooks_sidecar.decide import FAREWELL_SECONDS
from podhooks_sidecar.program import usable_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.annotations.plan import Plan
    from podhooks.context import RunContext
    from podhooks.runtime.rescue_task import RescueTask
    from podhooks_sidecar.wakeup import Wakeup

GONE = "[podhooks: main's log went with its pod]"


class Rescue(Value):
    """Everything that one run of the program consists of."""

    settings: PodSettings
    environ: Mapping[str, str]
    task: RescueTask
    plan: Plan
    record: Record
    wakeup: Wakeup

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], wakeup: Wakeup) -> Rescue:
        """
        Raises:
            InputError: the environment, the task or the annotations can't be used.
        """
        settings = PodSettings.from_environ(environ)
        task = read_task(environ[contract.ENV_RESCUE])
        plan = usable_plan(task.pod.annotations)
        record = Record.open(Hook.ON_EXIT, settings.shared_dir, settings.termination_log, pod_uid=task.pod.uid)
        return cls(settings, environ, task, plan, record, wakeup)

    def run(self) -> int:
        """1 if a callback that was to run didn't succeed, so that the Job says so too."""
        from podhooks.runtime.runner import run_hook

        if self.task.record is not None:
            self.record.resume(reopened(self.task.record))
        self.record.decide(self.task.exit_info)
        end = self.task.exit_info
        log.info("rescue", pod=self.task.pod.name, result=end.result.value, exit_code=end.exit_code, reason=end.reason)
        run_hook(
            self.plan.on_exit,
            self.context(),
            self.record,
            hook_deadline=self.deadline,
            wake_fd=self.wakeup.fd,
        )
        self.record.complete()
        bad = [each for each in self.record.data.outcomes if each.status not in (Status.SUCCEEDED, Status.SKIPPED)]
        return contract.EXIT_CALLBACK_FAILED if bad else contract.EXIT_OK

    def deadline(self) -> float | None:
        """time.monotonic() when callbacks must be over; None while nothing ends us."""
        term_at = self.wakeup.term_at
        return None if term_at is None else term_at + contract.DEFAULT_GRACE_SECONDS - FAREWELL_SECONDS

    def context(self) -> RunContext:
        task = self.task
        context = podinfo.base_context(
            Hook.ON_EXIT,
            task.pod,
            self.environ,
            main_container=task.main_container,
            shared_dir=self.settings.shared_dir,
            exit_info=task.exit_info.with_log(self.log_tail),
            pod_object=lambda: task.pod_object,
        )
        return context.replace(rescued=True, emptied=task.emptied)

    def log_tail(self, lines: int) -> str:
        """Called in a callback's process. A pod that is finished and not deleted still has its logs."""
        pod, container = self.task.pod, self.task.main_container
        try:
            client = Client(Access.in_cluster(self.environ))
            if client.get_pod(pod.name)["metadata"].get("uid") != pod.uid:
                return GONE
            return client.log_tail(pod.name, "" if container == contract.ALL_CONTAINERS else container, lines)
        except NotFound:
            return GONE
        except PodhooksError as error:
            return f"[podhooks: {error}]"
