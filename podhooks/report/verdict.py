"""The exit code of `podhooks run`, and its last line. Pure. docs/run.md has this table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from podhooks.context import ExitInfo, Result
from podhooks.inject.shapes import Json
from podhooks.pod.object import text
from podhooks.report.news import job_failure, job_is_finished
from podhooks.report.summary import PodSummary

EXIT_NOT_SUCCEEDED = 1  # main didn't succeed, and has no exit code of its own to say so
ENDED_BY_US = frozenset({Result.DELETED, Result.NEVER_STARTED, Result.UNKNOWN, Result.START_FAILED})


class Stop(str, Enum):
    """Why we ended the run ourselves."""

    INTERRUPT = "Ctrl-C"
    TERMINATE = "SIGTERM"
    HANGUP = "SIGHUP"
    TIMEOUT = "--timeout"
    NO_IMAGE = "an image that will never be there"


STOP_CODES = {
    Stop.INTERRUPT: 130,
    Stop.TERMINATE: 143,
    Stop.HANGUP: 129,
    Stop.TIMEOUT: 124,
    Stop.NO_IMAGE: EXIT_NOT_SUCCEEDED,
}


@dataclass(frozen=True)
class Verdict:
    exit_code: int
    line: str


def verdict(
    run: Mapping[str, Json], pods: Sequence[PodSummary], stop: Stop | None = None, obstacle: str = ""
) -> Verdict:
    """Of a Pod or a Job in its last state, with its pods in the order of their creation.

    `obstacle`: what kept main from starting, if anything did.
    """
    end = pods[-1].end if pods else None
    if text(run.get("kind")) == "Job" and job_is_finished(run):
        return _of_job(job_failure(run), pods)
    if stop is not None and (end is None or end.result in ENDED_BY_US):
        never = f", main never started: {obstacle}" if obstacle else ""
        return Verdict(STOP_CODES[stop], f"ended by {stop.value}{never}")
    if end is None:
        return Verdict(EXIT_NOT_SUCCEEDED, "no pod of it was ever seen" if not pods else "nobody knows how main ended")
    never = f": {obstacle}" if obstacle and end.result is Result.NEVER_STARTED else ""
    return Verdict(exit_code(end), f"{sentence(end)}{never}")


def _of_job(failure: str | None, pods: Sequence[PodSummary]) -> Verdict:
    """A finished Job's own word, whatever single pods of it did."""
    if failure is None:
        return Verdict(0, "main succeeded" if len(pods) == 1 else "the job is complete")
    failed = next((each.end for each in reversed(pods) if each.end and not each.end.succeeded), None)
    return Verdict(exit_code(failed), f"{sentence(failed)}: {failure}" if failed else f"the job failed: {failure}")


def exit_code(end: ExitInfo | None) -> int:
    """Main's own where it has one that fits; never 0 for what didn't succeed."""
    if end is not None and end.succeeded:
        return 0
    code = end.exit_code if end is not None else None
    return code if code is not None and 0 < code <= 255 else EXIT_NOT_SUCCEEDED


def sentence(end: ExitInfo) -> str:
    """How main ended, in words."""
    sentences = {
        Result.SUCCEEDED: "main succeeded",
        Result.FAILED: "main failed",
        Result.OOM_KILLED: "main ran out of memory",
        Result.EVICTED: "the pod was evicted",
        Result.DELETED: "the pod was deleted",
        Result.DEADLINE_EXCEEDED: "the deadline was exceeded",
        Result.NODE_LOST: "the node was lost",
        Result.START_FAILED: "main never started, because the start failed",
        Result.NEVER_STARTED: "main never started",
        Result.UNKNOWN: "nobody knows how main ended",
    }
    return sentences[end.result]
