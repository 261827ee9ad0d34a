"""What goes to the workers: plugins, and functions that they call when they start."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from podhooks.annotations.finding import shown
from podhooks.callbacks.dask.session import check_installed
from podhooks.errors import CallbackError, CallbackNotFound, InputError
from podhooks.runtime import resolve
from podhooks.runtime.resolve import one_line

if TYPE_CHECKING:
    from distributed import Client


TAKING_BACK_SECONDS = 1.5  # the scheduler forgets it at once, and then asks the workers, of which one may hang


async def register(client: Client, plugin: object, name: str) -> int:
    """How many workers, or nannies, have it now.

    What fails, or doesn't end in time, is taken back: it would keep every later worker from starting.
    """
    try:
        answers = await client.register_plugin(plugin, name=name)
    except asyncio.CancelledError:  # the time is up, or the pod is being deleted
        await _take_back(client, plugin, name)
        raise CallbackError(_hangs(name)) from None
    except Exception as error:
        await _take_back(client, plugin, name)
        raise CallbackError(_refused(name, error)) from error
    return len(answers)


async def _take_back(client: Client, plugin: object, name: str) -> None:
    with contextlib.suppress(Exception, asyncio.TimeoutError):
        taken = client.unregister_worker_plugin(name, nanny=is_of_nannies(plugin))
        await asyncio.wait_for(taken, TAKING_BACK_SECONDS)


def is_of_nannies(plugin: object) -> bool:
    from distributed import NannyPlugin

    return isinstance(plugin, NannyPlugin)


def _hangs(name: str) -> str:
    return (
        f"{name} didn't end on all workers in the time there was: its setup hangs on a worker, or a worker doesn't "
        "answer. It is taken back, so later workers start without it; a worker that hangs in it must be restarted. "
        "See the workers' logs, or give it longer with the callback's `timeout`"
    )


def _refused(name: str, error: Exception) -> str:
    """An error of unpickling arrives as a bare Exception: mostly the workers lack the module."""
    hint = ". Workers must be able to import it: put its module into their image, or send it with `travels: true`"
    return f"a worker can't use {name}: {one_line(error)}{hint if type(error) in (Exception, ImportError) else ''}"


def made(plugin: str, arguments: Mapping[str, Any], travels: bool | None) -> object:
    """The plugin itself. Raises InputError for what is none."""
    check_installed()
    from distributed import NannyPlugin, WorkerPlugin

    make = _loaded(plugin, "plugin", travels)
    given = _checked(arguments)
    _check_arguments(make, given, plugin)
    found: object = make(**given)
    if isinstance(found, (WorkerPlugin, NannyPlugin)):
        return found
    what = f"makes a {type(found).__name__}, which is no distributed.WorkerPlugin or NannyPlugin"
    raise InputError(f"plugin: {plugin} {what}: let it inherit from that")


def calling(setup: str, arguments: Mapping[str, Any], travels: bool | None) -> object:
    """A plugin that calls the function. Raises InputError for what can't be called so."""
    check_installed()
    function = _loaded(setup, "setup", travels)
    takes_worker = any(each.name == "dask_worker" for each in resolve.parameters(function) or ())
    given = _checked(arguments)
    _check_arguments(function, {**given, "dask_worker": None} if takes_worker else given, setup)
    return _called_at_setup(function, given, takes_worker)


def _loaded(name: object, where: str, travels: bool | None) -> Callable[..., object]:
    if not isinstance(name, str):
        raise InputError(f"{where}: {shown(name)} is no name: write package.module:name or /path/file.py:name")
    directory = resolve.first_directory(name)
    if directory and directory not in sys.path:
        sys.path.insert(0, directory)
    found = resolve.load(name)
    if bool(directory) if travels is None else travels:
        _let_travel(found)
    return found


def _let_travel(found: object) -> None:
    """Pickle its module by value: the workers don't have it."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[str(getattr(found, "__module__", ""))])


def _check_arguments(function: Callable[..., object], arguments: Mapping[str, Any], name: str) -> None:
    try:
        resolve.complain_about_arguments(resolve.parameters(function) or (), arguments, None)
    except CallbackNotFound as error:
        raise InputError(f"{name} can't be called: {str(error).replace('`with`', '`arguments`')}") from error


def _checked(arguments: object) -> dict[str, Any]:
    if isinstance(arguments, Mapping):
        return dict(arguments)
    raise InputError(f"arguments: {shown(arguments)} is no mapping: write the names of parameters with their values")


def _called_at_setup(function: Callable[..., object], arguments: dict[str, Any], takes_worker: bool) -> object:
    """A plugin whose class is made here, so that it travels as a whole: the workers don't have Podhooks."""
    from distributed import WorkerPlugin

    class CallAtSetup(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: object) -> object:
            return function(dask_worker=worker, **arguments) if takes_worker else function(**arguments)

    return CallAtSetup()
