"""What a flow is: a Prefect 3 flow or any other callable. And what its end means, in main's words."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from podhooks import log
from podhooks.annotations.finding import shown
from podhooks.annotations.plan import Plan
from podhooks.context import ExitInfo, Result
from podhooks.errors import InputError
from podhooks.inject.dask import without_executor
from podhooks.runtime.resolve import one_line

MAIN = "main"  # what main is called where there is no container


@dataclass(frozen=True)
class Ended:
    """Main's end, with what it returned or raised."""

    end: ExitInfo
    value: Any = None
    error: BaseException | None = None


def check(flow: object) -> Callable[..., object]:
    """Raises InputError for what is no flow."""
    if callable(flow):
        return flow
    if hasattr(flow, "run") and hasattr(flow, "tasks"):
        raise InputError("this is a flow of Prefect 0.x or 1.x: Podhooks runs flows of Prefect 3, and any function")
    raise InputError(f"{shown(flow)} is no flow: give a Prefect flow or a function, without calling it")


def warn_of_callbacks(flow: object, plan: Plan) -> None:
    """PIN-12's own case: callbacks for Dask around a flow that doesn't run its tasks on Dask."""
    for found in without_executor(plan, flow):
        log.warning(found.message, where=found.where, code=found.code)


def function_of(flow: object) -> object:
    """The function in a Prefect flow; a plain function itself."""
    return getattr(flow, "fn", flow)


def name_of(flow: object) -> str:
    """Fit for the name of a Kubernetes object: small letters, digits and dashes, 40 at most."""
    given = getattr(flow, "name", None)
    name = given if isinstance(given, str) else getattr(flow, "__name__", type(flow).__name__)
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-") or "flow"


def run(flow: Callable[..., object], parameters: Mapping[str, Any]) -> Ended:
    """Call it and wait for what it gives. Never raises: how it ended is the result."""
    started_at = now()
    try:
        value = finished(flow(**parameters))
    except BaseException as error:  # noqa: BLE001  the user's code may raise anything
        return Ended(_end_of(error).replace(started_at=started_at, finished_at=now()), error=error)
    end = ExitInfo(Result.SUCCEEDED, exit_code=0, reason="Completed", container=MAIN)
    return Ended(end.replace(started_at=started_at, finished_at=now()), value=value)


def finished(value: Any) -> Any:
    """The value of something that has to be awaited, also where an event loop runs already."""
    if not hasattr(value, "__await__"):
        return value

    async def wait() -> Any:
        return await value

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    return _in_thread(lambda: asyncio.run(wait()))


def _in_thread(call: Callable[[], Any]) -> Any:
    """Its value, or what it raised. An event loop can't run inside another of the same thread."""
    found: dict[str, Any] = {}

    def work() -> None:
        try:
            found["value"] = call()
        except BaseException as error:  # noqa: BLE001  raised again below
            found["error"] = error

    thread = threading.Thread(target=work, name="podhooks-flow")
    thread.start()
    thread.join()
    if "error" in found:
        raise found["error"]
    return found["value"]


def _end_of(error: BaseException) -> ExitInfo:
    """As an interpreter would end with it."""
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return ExitInfo(Result.SUCCEEDED, exit_code=0, reason="Completed", container=MAIN)
    failed = ExitInfo(Result.FAILED, exit_code=1, reason="Error", container=MAIN)
    if isinstance(error, SystemExit):
        code = error.code & 0xFF if isinstance(error.code, int) else 1
        return failed.replace(exit_code=code, message="" if isinstance(error.code, int) else str(error.code))
    if isinstance(error, KeyboardInterrupt):
        return failed.replace(exit_code=128 + signal.SIGINT, signal=int(signal.SIGINT), message="interrupted")
    return failed.replace(message=one_line(error))


def report(error: BaseException | None) -> None:
    """The traceback on stderr, as main's log would have it."""
    if error is not None and not isinstance(error, (SystemExit, KeyboardInterrupt)):
        trace = error.__traceback__
        inner = trace.tb_next if trace is not None else None
        traceback.print_exception(type(error), error, inner or trace, file=sys.stderr)


def now() -> datetime:
    """In whole seconds, as the kubelet gives times."""
    return datetime.now(timezone.utc).replace(microsecond=0)
