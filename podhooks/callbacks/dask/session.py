"""A client of one scheduler, for as long as a callback may run. Every failure is one line."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from podhooks.callbacks.budget import Budget
from podhooks.callbacks.dask.place import Scheduler
from podhooks.context import Hook, RunContext
from podhooks.errors import CallbackError
from podhooks.runtime.resolve import one_line

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
ENDING_SECONDS = 0.5  # to close the connection
AT_EXIT_SECONDS = 10.0  # to find the scheduler when main is over: one that isn't there then won't come


def run(
    context: RunContext,
    place: Scheduler,
    work: Callable[[Client], Coroutine[Any, Any, T]],
    seconds: float | None = None,
    undoing: float = 0.0,
) -> T:
    """What `work` returns with a client of that scheduler.

    Args:
        undoing: seconds that `work` may need after it has been cancelled.
    """
    check_installed()  # and import it, which takes a second or more: the time that is left is what is left afterwards
    left = max(Budget.of(context).left() - ENDING_SECONDS - undoing, 0.1)
    left = left if seconds is None else min(seconds, left)
    connecting = left if context.hook is Hook.ON_START else min(AT_EXIT_SECONDS, left)
    try:
        return asyncio.run(_bounded(place, work, connecting, left))
    except asyncio.CancelledError:
        raise CallbackError(f"ended by a SIGTERM, while it worked on the Dask scheduler at {place}") from None


async def _bounded(
    place: Scheduler, work: Callable[[Client], Coroutine[Any, Any, T]], connecting: float, seconds: float
) -> T:
    ends_at = asyncio.get_running_loop().time() + seconds
    _cancelled_by_sigterm()
    async with _connected(place, connecting) as client:
        left = ends_at - asyncio.get_running_loop().time()
        try:
            return await asyncio.wait_for(work(client), max(left, 0.1))
        except asyncio.TimeoutError:
            why = f"the Dask scheduler at {place} took a connection and didn't finish within {seconds:.0f} s"
            raise CallbackError(f"{why}: see its log") from None
        except OSError as error:
            raise CallbackError(f"the Dask cluster at {place} broke off: {one_line(error)}") from error


def _cancelled_by_sigterm() -> None:
    """What ends a callback before its time, such as its pod's deletion, lets `work` undo what it has begun."""
    task = asyncio.current_task()
    if task is not None:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


@contextlib.asynccontextmanager
async def _connected(place: Scheduler, seconds: float) -> AsyncIterator[Client]:
    _quiet()
    client = _client(place, seconds)
    try:
        try:
            await asyncio.wait_for(client, seconds)
        except (asyncio.TimeoutError, OSError) as error:
            raise CallbackError(_silent(place, seconds)) from error
        yield client
    finally:
        with contextlib.suppress(Exception):  # what was to be said has been said
            await asyncio.wait_for(client.close(timeout=ENDING_SECONDS), ENDING_SECONDS)


def check_installed() -> None:
    """Raises CallbackError where `distributed` can't be imported."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        need = "Dask callbacks need the package distributed in the image that they run in, main's"
        raise CallbackError(f"{one_line(error)}: {need}") from error


def _client(place: Scheduler, seconds: float) -> Client:
    from distributed import Client

    return Client(place.address, asynchronous=True, timeout=seconds, set_as_default=False, name="podhooks")


def _silent(place: Scheduler, seconds: float) -> str:
    return (
        f"no Dask scheduler answers at {place} within {seconds:.0f} s: is its pod running, and may this pod reach it? "
        "Give it longer with `timeout` if it is still starting"
    )


def _quiet() -> None:
    """Our one line is enough: `distributed` logs a traceback for every connection that breaks."""
    import logging

    for name in ("distributed", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


async def until_there(client: Client, count: int, place: Scheduler) -> None:
    """Ends by being cancelled when the time is up."""
    seen = 0
    try:
        while seen < count:
            info = await client.scheduler.identity()
            seen = sum(each["status"] == "running" for each in info["workers"].values())
            if seen < count:
                await asyncio.sleep(0.2)
    except asyncio.CancelledError:
        why = f"{seen} of {count} workers came to the Dask scheduler at {place} in the time there was"
        adaptive = (
            "an adaptive cluster has no more than its minimum while there are no tasks: `count` must not be above it"
        )
        raise CallbackError(f"{why}: look at the workers' pods, or wait longer with `timeout`; {adaptive}") from None
