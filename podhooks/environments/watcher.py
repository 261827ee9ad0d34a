"""The process beside main that runs the callbacks, as the sidecar does in a pod.

It is forked before main begins, so a main that is killed, or leaves by os._exit, takes nothing with it: the end of the
connection is what the watcher sees then. With `isolated` main is a child of the watcher, which sees exactly how it
ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from podhooks import contract, log
from podhooks.annotations.plan import Plan, Policy
from podhooks.context import CallbackOutcome, ExitInfo, Hook, PodInfo, Result, Status
from podhooks.environments import inherited
from podhooks.environments.flows import MAIN, now
from podhooks.environments.main_child import MainChild, last_words, log_tail
from podhooks.errors import PodhooksError
from podhooks.pod import info as podinfo
from podhooks.runtime.children import Watch
from podhooks.runtime.record import Record
from podhooks.runtime.resolve import CHECK_TIMEOUT_SECONDS, problems
from podhooks.runtime.runner import run_hook


@dataclass(frozen=True)
class Job:
    """All that the watcher has to know. `main` is run in a child, if it is given; else the other side runs it.

    `work_dir` is for records and main's log, and is nobody else's; `shared_dir` may be a pod's.
    """

    plan: Plan
    pod: PodInfo
    work_dir: str
    shared_dir: str
    main: Callable[[], int] | None = None

    @property
    def main_log(self) -> str:
        return os.path.join(self.work_dir, "main.log") if self.main else ""


@dataclass(frozen=True)
class Report:
    """What the watcher says when all is over."""

    end: ExitInfo
    on_start: tuple[CallbackOutcome, ...]
    on_exit: tuple[CallbackOutcome, ...]

    def to_json(self) -> dict[str, Any]:
        lists = {"on_start": self.on_start, "on_exit": self.on_exit}
        return {"end": self.end.to_json(), **{name: [each.to_json() for each in one] for name, one in lists.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        on_start, on_exit = (tuple(map(CallbackOutcome.from_json, data[name])) for name in ("on_start", "on_exit"))
        return cls(ExitInfo.from_json(data["end"]), on_start, on_exit)


class Watcher:
    """The side of the process that asks for it."""

    def __init__(self, job: Job) -> None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of threads: none of theirs is used
            self._pid = os.fork()
        if self._pid == 0:
            ours.close()
            _be_watcher(job, theirs)
        theirs.close()
        self._connection = ours
        self._reader = ours.makefile("r", encoding="utf-8")

    def may_start(self) -> bool:
        """Waits for on_start; whether main is to run."""
        return bool(self._next()["start"])

    def finish(self, end: ExitInfo | None = None) -> Report:
        """Tell main's end (None: the watcher saw it itself), and wait for on_exit."""
        if end is not None:
            self._connection.sendall(json.dumps(end.to_json()).encode() + b"\n")
        answer = self._next()
        while "end" not in answer:  # whether main may start: nobody waits for that any more
            answer = self._next()
        self._close()
        return Report.from_json(answer)

    def stop(self) -> None:
        """Main is to end: for one that the watcher runs."""
        self._connection.shutdown(socket.SHUT_WR)

    def _next(self) -> dict[str, Any]:
        line = self._reader.readline()
        if not line:
            self._close()
            raise PodhooksError("the process that runs the callbacks was killed: nothing is known of them")
        found: dict[str, Any] = json.loads(line)
        return found

    def _close(self) -> None:
        self._reader.close()
        self._connection.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _be_watcher(job: Job, connection: socket.socket) -> None:
    """Never returns: the other side's stack must not be unwound here."""
    try:
        inherited.forget()
        os.setsid()  # what the terminal sends is for main
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.environ[contract.ENV_SHARED_DIR] = job.shared_dir
        _Watching(job, connection).run()
    except BaseException as error:  # noqa: BLE001  a process's edge
        log.error("the callbacks' process failed", cause=repr(error))
    finally:
        os._exit(0)


class _Watching:
    """In the watcher: on_start, main's end, on_exit."""

    def __init__(self, job: Job, connection: socket.socket) -> None:
        self._job = job
        self._connection = connection
        self._reader = connection.makefile("r", encoding="utf-8")

    def run(self) -> None:
        broken = problems(self._job.plan.on_exit, Watch(CHECK_TIMEOUT_SECONDS))
        end, on_start = self._start(broken)
        self._say({"start": end is None})
        if end is None:
            main = None if self._has_been_told() else self._job.main
            end = self._hear() if main is None else self._run_main(main)
        on_exit = self._run_hook(Hook.ON_EXIT, end)
        try:
            self._say(Report(end, on_start, on_exit).to_json())
        except OSError:  # the process that made the directory was killed
            shutil.rmtree(self._job.work_dir, ignore_errors=True)

    def _start(self, broken: Mapping[str, str]) -> tuple[ExitInfo | None, tuple[CallbackOutcome, ...]]:
        """None when main may start. As in a pod: an on_exit that isn't there is known before main has run."""
        if broken and self._policy is Policy.FAIL:
            message = "; ".join(f"on_exit callback {key}: {cause}" for key, cause in broken.items())
            log.error("on_exit callbacks can't be used", cause=message)
            return ExitInfo(Result.START_FAILED, reason="BrokenOnExit", message=message, container=MAIN), ()
        outcomes = self._run_hook(Hook.ON_START)
        bad = [each for each in outcomes if each.status not in (Status.SUCCEEDED, Status.SKIPPED)]
        fatal = {each.key for each in self._job.plan.on_start if each.policy is Policy.FAIL}
        failed = next((each for each in bad if each.name in fatal), None)
        if failed is None:
            return None, outcomes
        message = f"on_start callback {failed.name} {failed.status.value}: {failed.message}"
        return ExitInfo(Result.START_FAILED, reason="OnStartFailed", message=message, container=MAIN), outcomes

    @property
    def _policy(self) -> Policy:
        return Policy(self._job.pod.annotations.get(contract.ON_START_POLICY, "").strip() or Policy.FAIL)

    def _hear(self) -> ExitInfo:
        """What the other side says of main's end; if it ends without a word, it was main itself that did."""
        started_at = now()
        try:
            if line := self._reader.readline():
                return ExitInfo.from_json(json.loads(line))
        except (OSError, ValueError):
            pass
        message = "main's process ended without a word: it was killed, or left by os._exit"
        end = ExitInfo(Result.UNKNOWN, message=message, container=MAIN)
        return end.replace(started_at=started_at, finished_at=now())

    def _has_been_told(self) -> bool:
        """Whether the other side has said something while on_start ran, or is gone."""
        return bool(select.select([self._connection], [], [], 0)[0])

    def _run_main(self, main: Callable[[], int]) -> ExitInfo:
        started_at = now()
        child = MainChild(main, self._job.main_log, self._connection)
        code = os.waitstatus_to_exitcode(child.wait())
        end = ExitInfo(
            Result.SUCCEEDED if code == 0 else Result.FAILED,
            exit_code=code if code >= 0 else 128 - code,
            signal=-code if code < 0 else None,
            reason="Completed" if code == 0 else "Error",
            message=last_words(self._job.work_dir),
            container=MAIN,
        )
        return end.replace(started_at=started_at, finished_at=now())

    def _run_hook(self, hook: Hook, end: ExitInfo | None = None) -> tuple[CallbackOutcome, ...]:
        job = self._job
        record = Record.open(hook, job.work_dir, "", pod_uid=job.pod.uid)
        if end is not None:
            record.decide(end)
            end = end.with_log(lambda lines: log_tail(job.main_log, lines))
        context = podinfo.base_context(
            hook, job.pod, os.environ, main_container=MAIN, shared_dir=job.shared_dir, exit_info=end
        )
        callbacks = job.plan.on_start if hook is Hook.ON_START else job.plan.on_exit
        outcome = run_hook(callbacks, context, record, hook_deadline=lambda: None)
        record.complete()
        return outcome.outcomes

    def _say(self, data: Mapping[str, Any]) -> None:
        self._connection.sendall(json.dumps(data).encode() + b"\n")
