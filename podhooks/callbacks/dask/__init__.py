"""Callbacks for Dask. docs/dask.md says which belongs where.

place: which scheduler or cluster is meant     session: a client of it, for as long as the callback may run
plugins: what goes to the workers              diagnostics, deletion: the callbacks of that name

`distributed` is imported when a callback runs, in its own process: what waits in the pod never loads it. Every call to
the scheduler is bounded by the callback's deadline, less what it takes to say why it failed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from podhooks.annotations.finding import shown
from podhooks.callbacks.budget import Budget, timeout_seconds
from podhooks.callbacks.dask import deletion, diagnostics, plugins, session
from podhooks.callbacks.dask.place import scheduler_of
from podhooks.context import EMPTY, Hook, RunContext
from podhooks.errors import InputError

__all__ = [
    "collect_diagnostics",
    "delete_cluster",
    "register_worker_callbacks",
    "register_worker_plugin",
    "wait_for_workers",
]


def register_worker_plugin(  # noqa: PLR0913 (what `with` may say, by name)
    context: RunContext,
    plugin: str,
    *,
    arguments: Mapping[str, Any] = EMPTY,
    travels: bool | None = None,
    name: str | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    namespace: str | None = None,
) -> None:
    """Register a `distributed.WorkerPlugin` or `NannyPlugin` on all workers, also those that come later.

    Args:
        plugin: its class, or a function that makes one: `package.module:Class` or `/path/file.py:Class`.
        arguments: for the class.
        travels: whether its module is sent to the workers, or imported there; by default a file's is sent.
        name: under which the workers know it. A plugin of the same name is replaced, so a retry registers none twice.
    """
    made = plugins.made(plugin, arguments, travels)
    place = scheduler_of(context, os.environ, scheduler, cluster, namespace)
    known_as = name or getattr(made, "name", None) or plugin
    count = session.run(
        context, place, lambda client: plugins.register(client, made, known_as), undoing=plugins.TAKING_BACK_SECONDS
    )
    where = "nannies" if plugins.is_of_nannies(made) else "workers"
    print(f"{known_as} is on {_counted(count, where)} of {place.address}, and will be on those that come")


def register_worker_callbacks(  # noqa: PLR0913 (what `with` may say, by name)
    context: RunContext,
    setup: str,
    *,
    arguments: Mapping[str, Any] = EMPTY,
    travels: bool | None = None,
    name: str | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    namespace: str | None = None,
) -> None:
    """Call a function on all workers, and on those that come later when they start.

    The function gets `arguments`, and the worker if it has a parameter `dask_worker`. The rest is as for
    `register_worker_plugin`.
    """
    plugin = plugins.calling(setup, arguments, travels)
    place = scheduler_of(context, os.environ, scheduler, cluster, namespace)
    known_as = name or setup
    count = session.run(
        context, place, lambda client: plugins.register(client, plugin, known_as), undoing=plugins.TAKING_BACK_SECONDS
    )
    print(f"{setup} ran on {_counted(count, 'workers')} of {place.address}, and will on those that come")


def wait_for_workers(
    context: RunContext,
    count: int,
    timeout: float | str | None = None,
    *,
    scheduler: str | None = None,
    cluster: str | None = None,
    namespace: str | None = None,
) -> None:
    """Return when that many workers are there. Waits for the scheduler, too.

    Args:
        timeout: in seconds, or like `2m`; never longer than the callback's own.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(f"count: {shown(count)} is no number of workers: write a whole number from 1")
    longest = None if timeout is None else timeout_seconds(timeout)
    place = scheduler_of(context, os.environ, scheduler, cluster, namespace)
    session.run(context, place, lambda client: session.until_there(client, count, place), longest)
    print(f"{count} or more workers are on {place.address}")


def collect_diagnostics(
    context: RunContext,
    to: str = "dask",
    *,
    scheduler: str | None = None,
    cluster: str | None = None,
    namespace: str | None = None,
) -> None:
    """At on_start: have the scheduler record its tasks. At on_exit: write what it knows to files.

    Args:
        to: a directory; a relative one is in the shared directory, which goes with the pod.
    """
    place = scheduler_of(context, os.environ, scheduler, cluster, namespace)
    if context.hook is Hook.ON_START:
        session.run(context, place, diagnostics.begin)
        print(f"{place.address} records its tasks")
        return
    directory = context.shared_dir / to
    budget = Budget.of(context)
    for line in session.run(context, place, lambda client: diagnostics.write(client, directory, budget)):
        print(line)


def delete_cluster(
    context: RunContext,
    name: str | None = None,
    namespace: str | None = None,
    *,
    name_file: str | None = None,
) -> None:
    """Delete a DaskCluster resource, and with it all that the Dask operator made of it. One that is gone is fine.

    Args:
        name_file: a file in the shared directory to which main writes the name of a cluster that it makes itself.
    """
    deletion.delete_cluster(context, os.environ, name, namespace, name_file)


def _counted(count: int, what: str) -> str:
    one = {"workers": "worker", "nannies": "nanny"}
    return f"{count} {one[what] if count == 1 else what}"
