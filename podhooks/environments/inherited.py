"""What a forked process forgets: all that its parent was to do at its own end.

A child that ends as an interpreter does would remove the parent's temporary directories, flush the parent's logs a
second time, and wait for the parent's children. What the child itself registers afterwards holds.
"""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from typing import Any


def forget() -> None:
    atexit._clear()
    finalize: Any = weakref.finalize
    finalize._registry.clear()
    finalize._registered_with_atexit = False  # so that the next one registers it again
    pools = [_loaded(f"concurrent.futures.{name}") for name in ("thread", "process")]
    vars(threading).get("_threading_atexits", []).clear()
    for module, workers in zip(pools, ("_threads_queues", "_threads_wakeups"), strict=True):
        if module is not None:
            getattr(module, workers).clear()
            vars(threading)["_register_atexit"](module._python_exit)
    processes, util = _loaded("multiprocessing.process"), _loaded("multiprocessing.util")
    if processes is not None:
        processes._children.clear()
    if util is not None:
        util._finalizer_registry.clear()
        atexit.register(util._exit_function)


def _loaded(name: str) -> Any:
    return sys.modules.get(name)
