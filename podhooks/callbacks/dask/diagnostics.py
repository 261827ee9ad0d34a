"""What a Dask scheduler knows about its cluster, as files. The scheduler is asked, never a worker: it may be dead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podhooks.callbacks.budget import Budget
from podhooks.errors import CallbackError
from podhooks.runtime.resolve import one_line

if TYPE_CHECKING:
    from distributed import Client

MEMORY = "memory.json"
TASK_STREAM = "task-stream.json"
REPORT = "performance-report.html"
MARGIN_SECONDS = 1.0  # kept of the callback's time for writing


async def begin(client: Client) -> None:
    """A scheduler records its tasks from when it is first asked for them."""
    await client.scheduler.get_task_stream(start=0, stop=0)


async def write(client: Client, directory: Path, budget: Budget) -> list[str]:
    """Write what can be had; a line about each file. The dearest comes last: profiles are asked of every worker.

    Raises:
        CallbackError: nothing could be written.
    """
    _make(directory)
    parts: Mapping[str, Callable[[Client], Awaitable[str]]] = {
        MEMORY: _memory,
        TASK_STREAM: _task_stream,
        REPORT: _report,
    }
    lines = [await _part(name, part(client), directory, budget) for name, part in parts.items()]
    if not any((directory / name).exists() for name in parts):
        raise CallbackError("; ".join(lines))
    return lines


async def _part(name: str, part: Awaitable[str], directory: Path, budget: Budget) -> str:
    """What is to be said of it; without it the other files are still worth having."""
    try:
        text = await asyncio.wait_for(part, max(budget.left() - MARGIN_SECONDS, 0.1))
    except asyncio.TimeoutError:
        return f"{name} is missing: a worker or the scheduler didn't answer in the time there was"
    except Exception as error:  # noqa: BLE001  the scheduler sends back whatever it raised
        return f"{name} is missing: {_why(error)}"
    _put(directory / name, text)
    return f"{directory / name}: {len(text)} characters"


async def _memory(client: Client) -> str:
    """Per worker what it may take and takes, as it said last; bytes, and seconds since then."""
    info = await client.scheduler.identity()
    workers = {address: _worker(each) for address, each in info["workers"].items()}
    return json.dumps({"scheduler": info["address"], "workers": workers}, indent=2, default=str)


def _worker(each: Mapping[str, Any]) -> dict[str, Any]:
    metrics = each.get("metrics") or {}
    return {
        "name": each.get("name"),
        "status": each.get("status"),
        "threads": each.get("nthreads"),
        "memory_limit": each.get("memory_limit"),
        "memory": metrics.get("memory"),
        "managed": metrics.get("managed_bytes"),
        "spilled": metrics.get("spilled_bytes"),
        "last_seen": each.get("last_seen"),
    }


async def _task_stream(client: Client) -> str:
    """What ran when and where, as the scheduler's own task stream has it."""
    return json.dumps(await client.scheduler.get_task_stream(start=0), indent=2, default=str)


async def _report(client: Client) -> str:
    report = await client.scheduler.performance_report(start=0, last_count=0, code="")
    return str(report)


def _why(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"the scheduler's image has no {error.name or 'bokeh'}, which draws it: install bokeh there"
    return one_line(error)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CallbackError(f"to: {directory} can't be made: {error.strerror}; mount a volume there") from error


def _put(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CallbackError(f"to: {path} can't be written: {error.strerror}; mount a volume there") from error
