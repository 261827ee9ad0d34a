"""on_start, once: check on_exit's callbacks, run on_start's, and in classic mode make good for a start that failed."""

from __future__ import annotations

from podhooks import contract, log
from podhooks.annotations.finding import Severity
from podhooks.annotations.parser import parse
from podhooks.annotations.plan import Mode, Policy
from podhooks.context import EMPTY, CallbackOutcome, ExitInfo, Hook, Result, Status
from podhooks.errors import PlanError, PodhooksError
from podhooks.pod import info as podinfo
from podhooks.runtime import resolve
from podhooks.runtime.children import Watch
from podhooks.runtime.pod_settings import PodSettings
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from podhooks.annotations.plan import Plan
    from podhooks.context import Json, PodInfo, RunContext
    from podhooks.runtime.record import Record
    from podhooks_initcontainer.stop import Stop


class OnStart(Value):
    """Everything that one run of the program consists of."""

    settings: PodSettings
    environ: Mapping[str, str]
    pod: PodInfo
    plan: Plan
    stop: Stop

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], stop: Stop) -> OnStart:
        """
        Raises:
            InputError: the environment or the annotations can't be used.
        """
        settings = PodSettings.from_environ(environ)
        pod = podinfo.read(settings.podinfo_dir, environ)
        plan = usable_plan(pod.annotations, settings.termination_log)
        return cls(settings, environ, pod, plan, stop)

    def run(self) -> int:
        """The exit code; main starts only on 0."""
        check = self.begin_check()
        record = self.open_record(Hook.ON_START)
        record.try_again()
        if record.is_complete and self.plan.on_start:
            log.info("on_start ran already, in an earlier life of this pod's containers; it runs once per pod")
        broken = check.finish()
        self.report_broken(broken)
        if broken and self.policy is Policy.FAIL:
            text = "; ".join(f"on_exit callback {key}: {cause}" for key, cause in broken.items())
            leave_message(self.settings.termination_log, text)
            self.make_good(ExitInfo(Result.START_FAILED, reason="BrokenOnExit", message=text), broken)
            return contract.EXIT_BAD_INPUT
        failed = self.run_on_start(record)
        record.complete()
        if self.stop.requested():  # only the end of the pod sends it: main will not start, however far we came
            end = ExitInfo(Result.NEVER_STARTED, message="the pod was told to end while it started")
        elif failed:
            end = ExitInfo(Result.START_FAILED, reason="OnStartFailed", message=first_failure(record))
        else:
            return contract.EXIT_OK
        self.make_good(end, broken, record)
        return contract.EXIT_CALLBACK_FAILED

    def begin_check(self) -> resolve.Check:
        """A typo in on_exit is to be known before main has run for hours."""
        watch = Watch(resolve.CHECK_TIMEOUT_SECONDS, self.deadline, self.stop.requested, self.stop.fd)
        return resolve.Check(self.plan.on_exit, watch)

    def open_record(self, hook: Hook, beside: Record | None = None) -> Record:
        from podhooks.runtime import runner  # noqa: F401  both are loaded while the check is under way
        from podhooks.runtime.record import Record

        settings = self.settings
        return Record.open(hook, settings.shared_dir, settings.termination_log, pod_uid=self.pod.uid, beside=beside)

    @property
    def policy(self) -> Policy:
        """What a problem before any callback ran does to main."""
        return Policy(self.pod.annotations.get(contract.ON_START_POLICY, "").strip() or Policy.FAIL)

    def report_broken(self, broken: Mapping[str, str]) -> None:
        say = log.error if self.policy is Policy.FAIL else log.warning
        for key, cause in broken.items():
            say("on_exit callback can't be used", callback=key, cause=cause)

    def run_on_start(self, record: Record) -> bool:
        """Whether one with policy `fail` failed."""
        from podhooks.runtime.runner import run_hook

        outcome = run_hook(
            self.plan.on_start,
            self.context(Hook.ON_START),
            record,
            hook_deadline=self.deadline,
            stop_requested=self.stop.requested,
            wake_fd=self.stop.fd,
        )
        return outcome.failed

    def make_good(self, end: ExitInfo, broken: Mapping[str, str], beside: Record | None = None) -> None:
        """In classic mode nobody else will run on_exit: its container starts only after us, and only if we succeed."""
        from podhooks.runtime.runner import run_hook

        if self.settings.mode is Mode.NATIVE or not self.plan.on_exit:
            return
        if not self.stop.requested() and self.is_restarted():
            log.info("on_exit waits: the pod's restartPolicy starts this container again")
            return
        record = self.open_record(Hook.ON_EXIT, beside)
        if record.is_complete:
            return
        log.info("running on_exit here, because main will not start", result=end.result.value)
        end = record.exit_info or end.replace(container=self.main_container)
        record.decide(end)
        for key, cause in broken.items():
            record.finish(CallbackOutcome(key, Status.FAILED, message=cause))
        context = self.context(Hook.ON_EXIT, end)
        run_hook(self.plan.on_exit, context, record, hook_deadline=self.killed_at, wake_fd=self.stop.fd)
        record.complete()

    def is_restarted(self) -> bool:
        """Whether the kubelet tries a failed start again. Only the API knows; without it a Job's usual Never holds."""
        spec = fetch_pod(self.environ, self.pod.name).get("spec") or {}
        return spec.get("restartPolicy") in ("OnFailure", "Always")

    def killed_at(self) -> float | None:
        """When the kubelet kills us, once a SIGTERM has come (time.monotonic())."""
        return None if self.stop.at is None else self.stop.at + self.settings.grace_seconds

    def deadline(self) -> float | None:
        """When on_start has to be over: in classic mode on_exit needs its share of the grace period after it."""
        end = self.killed_at()
        if end is None or self.settings.mode is Mode.NATIVE:
            return end
        return max(end - self.plan.reserve_seconds, self.stop.at or 0.0)

    @property
    def main_container(self) -> str:
        return self.settings.main_container or self.plan.main_container or ""

    def context(self, hook: Hook, end: ExitInfo | None = None) -> RunContext:
        return podinfo.base_context(
            hook,
            self.pod,
            self.environ,
            main_container=self.main_container,
            shared_dir=self.settings.shared_dir,
            exit_info=end,
            pod_object=lambda: fetch_pod(self.environ, self.pod.name),
        )


def usable_plan(annotations: Mapping[str, str], termination_log: str) -> Plan:
    """The plan, with what is to be said about it in the log; on errors also where `kubectl describe` shows it."""
    plan, findings = parse(annotations)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    for finding in findings:
        log.write_line(f"podhooks: {finding}")
    if errors:
        leave_message(termination_log, "; ".join(str(error) for error in errors))
        raise PlanError(f"{len(errors)} of the pod's annotations can't be used; `podhooks validate` shows the same")
    return plan


def leave_message(path: str, text: str) -> None:
    """Where `kubectl describe` shows it."""
    from podhooks.runtime import record

    record.leave_message(path, text)


def first_failure(record: Record) -> str:
    """The first callback that failed, and why: at on_exit this is what is known of main's end."""
    bad = (each for each in record.data.outcomes if each.status not in (Status.SUCCEEDED, Status.SKIPPED))
    return next((f"on_start callback {each.name} {each.status.value}: {each.message}" for each in bad), "")


def fetch_pod(environ: Mapping[str, str], name: str) -> Mapping[str, Json]:
    """Called in a callback's process, and only if it asks. Without access the pod is unknown, that's no failure."""
    from podhooks.runtime.access import Access
    from podhooks.runtime.client import Client

    try:
        return Client(Access.in_cluster(environ)).get_pod(name)
    except PodhooksError as error:
        log.warning("the pod can't be fetched", cause=error)
        return EMPTY
