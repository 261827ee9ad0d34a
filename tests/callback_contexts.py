"""Contexts for callbacks, made by hand as a user's test would."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from podhooks.context import ExitInfo, Hook, Owner, PodInfo, Result, RunContext

STARTED = datetime(2026, 5, 1, 12, 0, 0, tzinfo=timezone.utc)
POD = PodInfo("etl-x7z", "team", "uid-of-the-pod", "node-1", {"app": "etl"}, {"secret": "in-an-annotation"})
LOG = "reading\nno such table: rows\n"


def ended(result: Result = Result.FAILED, exit_code: int | None = 3, **fields: Any) -> ExitInfo:
    known: dict[str, Any] = {
        "started_at": STARTED,
        "finished_at": STARTED + timedelta(seconds=12),
        "restarts": 1,
        "container": "main",
        **fields,
    }
    return ExitInfo(result, exit_code, **known).with_log(lambda lines: "".join(LOG.splitlines(True)[-lines:]))


def on_exit(exit_info: ExitInfo | None = None, *, seconds: float | None = 20, **fields: Any) -> RunContext:
    """`seconds` is what is left until the deadline."""
    deadline = None if seconds is None else datetime.now(timezone.utc) + timedelta(seconds=seconds)
    known: dict[str, Any] = {
        "hook": Hook.ON_EXIT,
        "callback": "podhooks.callbacks.notify:webhook",
        "pod": POD,
        "main_container": "main",
        "idempotency_key": "uid-of-the-pod/on-exit/podhooks.callbacks.notify:webhook",
        "shared": "/nowhere",
        "owner": Owner("Job", "etl"),
        "flow_run_id": None,
        "deadline": deadline,
        "exit": exit_info or ended(),
        **fields,
    }
    return RunContext(**known)


def on_start(**fields: Any) -> RunContext:
    return on_exit(**{"seconds": 20, **fields}).replace(hook=Hook.ON_START, exit=None)
