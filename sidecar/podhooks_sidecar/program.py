"""on_exit, once: wait for main's end, decide, run the callbacks, record, end."""

from __future__ import annotations

from podhooks import contract, log
from podhooks.annotations.finding import Severity
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Mode
from podhooks.context import EMPTY, Hook, Status
from podhooks.errors import InputError, PodhooksError
from podhooks.pod import info as podinfo
from podhooks.pod.object import is_deleting
from podhooks.runtime.access import Access
from podhooks.runtime.client import Client
from podhooks.runtime.pod_settings import PodSettings
from podhooks.runtime.record import Record, leave_message
from podhooks.value import Value
from podhooks_sidecar.decide import Known, last_moment
from podhooks_sidecar.waiting import Watcher, last_message, others_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.annotations.plan import Plan
    from podhooks.context import ExitInfo, Json, PodInfo, RunContext
    from podhooks_sidecar.decide import Act
    from podhooks_sidecar.wakeup import Wakeup

REFRESH_TIMEOUT_SECONDS = 2.0  # for the one look at a deletion's grace period while callbacks run


class OnExit(Value):
    """Everything that one run of the program consists of."""

    settings: PodSettings
    environ: Mapping[str, str]
    pod: PodInfo
    plan: Plan
    record: Record
    client: Client | None
    watcher: Watcher
    wakeup: Wakeup

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], wakeup: Wakeup) -> OnExit:
        """
        Raises:
            InputError: the environment or the annotations can't be used.
        """
        settings = PodSettings.from_environ(environ)
        pod = podinfo.read(settings.podinfo_dir, environ)
        plan = usable_plan(pod.annotations)
        client = client_or_none(environ, settings.mode)
        base = Known(
            now=0.0,
            mode=settings.mode,
            main=settings.main_container or None,
            grace_seconds=settings.grace_seconds,
            reserve_seconds=plan.reserve_seconds,
        )
        watcher = Watcher(base, client, wakeup, pod=pod, is_starting=lambda: is_starting(settings, pod))
        record = Record.open(Hook.ON_EXIT, settings.shared_dir, settings.termination_log, pod_uid=pod.uid)
        return cls(settings, environ, pod, plan, record, client, watcher, wakeup)

    def run(self) -> int:
        """The exit code. In native mode it changes nothing about the pod; in classic mode it is part of its verdict."""
        failed = False
        if self.plan.on_exit and not self.record.is_complete:
            end, deadline = self.await_end()
            if not self.record.is_complete:
                failed = self.run_callbacks(end, deadline)
                self.record.complete()
        elif self.plan.on_exit:
            log.info("on_exit ran already, in an earlier life of this pod's containers; it runs once per pod")
        self.linger()
        return contract.EXIT_CALLBACK_FAILED if failed and self.settings.mode is Mode.CLASSIC else contract.EXIT_OK

    def await_end(self) -> tuple[ExitInfo, float | None]:
        """How main ended, and when callbacks must be over (monotonic). An earlier life's verdict stands.

        The shared directory may have been full: the earlier life's termination message then knows more than its file.
        """
        if self.record.exit_info is not None:
            self.watcher.refresh(REFRESH_TIMEOUT_SECONDS)
            self.record.merge(last_message(self.watcher.pod))
            log.info("going on after a restart", result=self.record.exit_info.result.value)
            return self.record.exit_info, None
        log.info(
            "waiting for main's end", main=self.settings.main_container or "(first)", mode=self.settings.mode.value
        )
        act = self.wait()
        self.record.merge(last_message(self.watcher.pod))
        if self.record.exit_info is None:
            self.record.decide(act.exit_info)
        end = self.record.exit_info or act.exit_info
        log.info("main ended", result=end.result.value, exit_code=end.exit_code, reason=end.reason)
        return end, act.deadline

    def wait(self) -> Act:
        """
        Raises:
            InputError: main would wait for us. The termination message, where `kubectl describe` shows it, says so.
        """
        try:
            return self.watcher.wait()
        except InputError as error:
            leave_message(self.settings.termination_log, str(error))
            raise

    def run_callbacks(self, end: ExitInfo, deadline: float | None) -> bool:
        """Whether one with policy `fail` failed."""
        from podhooks.runtime.runner import run_hook  # not needed for waiting

        if self.client is not None:
            self.client.close()
        outcome = run_hook(
            self.plan.on_exit,
            self.context(end),
            self.record,
            hook_deadline=Deadline(deadline, self),
            wake_fd=self.wakeup.fd,
        )
        return outcome.failed

    def context(self, end: ExitInfo) -> RunContext:
        return podinfo.base_context(
            Hook.ON_EXIT,
            self.pod,
            self.environ,
            main_container=end.container or self.settings.main_container,
            shared_dir=self.settings.shared_dir,
            exit_info=end.with_log(lambda lines: self.log_tail(end.container, lines)),
            pod_object=self.pod_object,
        )

    def log_tail(self, container: str, lines: int) -> str:
        """Called in a callback's process. Never raises: a notification without a log is better than none."""
        name = container if container != contract.ALL_CONTAINERS else ""
        try:
            client = Client(Access.in_cluster(self.environ))
            return client.log_tail(self.pod.name, name, lines)
        except PodhooksError as error:
            return f"[podhooks: {error}]"

    def pod_object(self) -> Mapping[str, Json]:
        """Called in a callback's process: the pod as it was last seen, else as it is now."""
        if self.watcher.pod or self.client is None:
            return self.watcher.pod
        try:
            return Client(self.client.login).get_pod(self.pod.name)
        except PodhooksError:
            return EMPTY

    def linger(self) -> None:
        """Native: end only when the pod does, or the kubelet starts us again as long as another container runs.

        In a pod that is being deleted it starts nothing again; and there a SIGTERM may have come while our interpreter
        was starting, and was lost: the first process of a container ignores what it has no handler for.
        """
        if self.settings.mode is not Mode.NATIVE or self.wakeup.term_at is not None:
            return
        if not self.watcher.pod:  # a second life that had nothing to wait for
            self.watcher.refresh(REFRESH_TIMEOUT_SECONDS)
        if is_deleting(self.watcher.pod) or self.wakeup.term_at is not None:  # it may have ended the look
            return
        if not self.watcher.pod or others_run(self.watcher.pod):
            self.wakeup.sleep(None)


class Deadline:
    """When callbacks have to be over, asked again and again while they run: a SIGTERM may come in the middle.

    In native mode that is the kubelet's usual farewell: the grace period runs from then on. In classic mode it is the
    beginning of a deletion, whose grace period may be any: that is worth one look.
    """

    def __init__(self, deadline: float | None, program: OnExit) -> None:
        self._deadline = deadline
        self._program = program
        self._asked = program.wakeup.term_at is not None

    def __call__(self) -> float | None:
        program = self._program
        if program.wakeup.term_at is None:
            return self._deadline
        if not self._asked and program.settings.mode is Mode.CLASSIC:
            self._asked = True
            program.wakeup.acknowledge()
            program.watcher.refresh(REFRESH_TIMEOUT_SECONDS)
        known = last_moment(program.watcher.known())
        self._deadline = min((each for each in (self._deadline, known) if each is not None), default=None)
        return self._deadline


def usable_plan(annotations: Mapping[str, str]) -> Plan:
    plan, findings = parse(annotations)
    errors = [f"{each.where}: {each.message} [{each.code}]" for each in findings if each.severity is Severity.ERROR]
    if errors:
        raise InputError("; ".join(errors))
    return plan


def client_or_none(environ: Mapping[str, str], mode: Mode) -> Client | None:
    try:
        return Client(Access.in_cluster(environ))
    except InputError as error:
        consequence = "SIGTERM is the signal then, and the result will be Unknown"
        if mode is Mode.CLASSIC:
            consequence = "in classic mode main's own end can't be seen without it, only the pod's deletion"
        log.warning(f"no access to the Kubernetes API: {error}; {consequence}")
        return None


def is_starting(settings: PodSettings, pod: PodInfo) -> bool:
    """Whether on-start has a callback under way: the SIGTERM of a deletion reaches us and on-start together."""
    record = Record.open(Hook.ON_START, settings.shared_dir, "", pod_uid=pod.uid)
    return any(each.status is Status.RUNNING for each in record.data.outcomes)
