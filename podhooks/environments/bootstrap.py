"""Main of a Job: finds the flow, calls it, waits for it. The Job's command is `python3 -c` with this file's text.

So it works in any image that has a Python, and nothing has to be installed there. Standard library only, Python 3.8.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import os
import signal
import sys
from typing import Any

NOT_FOUND = 2  # the exit code where there is no such flow; main's own are the flow's business


def main(reference: str, parameters: str, message_path: str) -> None:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # process 1 would not even notice it
    message_path = os.environ.get("PODHOOKS_TERMINATION_LOG") or message_path
    try:
        flow = find(reference)
    except Exception as error:  # noqa: BLE001  importing the user's module may raise anything
        trace = error.__cause__ or error
        if not isinstance(trace, (ModuleNotFoundError, AttributeError)):
            sys.excepthook(type(trace), trace, trace.__traceback__)
        leave(message_path, f"the flow {reference} can't be used in this image: {line_of(error)}")
        sys.exit(NOT_FOUND)
    try:
        finish(call(flow, json.loads(parameters)))
    except Exception as error:
        leave(message_path, line_of(error), quiet=True)
        raise


def find(reference: str) -> Any:
    place, _, names = reference.rpartition(":")
    if place.endswith(".py"):
        spec: Any = importlib.util.spec_from_file_location(os.path.basename(place)[:-3], place)
        found: Any = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = found
        spec.loader.exec_module(found)
    else:
        found = importlib.import_module(place)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def call(flow: Any, parameters: dict[str, Any]) -> Any:
    """A Prefect flow is the flow run that the environment names; else Prefect makes a new one."""
    run_id = os.environ.get("PREFECT__FLOW_RUN_ID")
    if not run_id or not type(flow).__module__.startswith("prefect."):
        return flow(**parameters)
    from uuid import UUID

    from prefect.flow_engine import load_flow_run, run_flow  # type: ignore[import-not-found,unused-ignore]

    return run_flow(flow, flow_run=load_flow_run(UUID(run_id)), parameters=parameters or None)


def finish(value: Any) -> None:
    if hasattr(value, "__await__"):

        async def wait() -> None:
            await value

        asyncio.run(wait())


def line_of(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def leave(path: str, message: str, quiet: bool = False) -> None:
    """As the container's termination message, which is where everybody looks for the cause."""
    if not quiet:
        print(f"podhooks: error: {message}", file=sys.stderr)
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(message[:1000])
    except OSError:
        pass


if __name__ == "__main__":
    main(*sys.argv[1:4])
