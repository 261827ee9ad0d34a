"""What runs in the pods of the matrix: callbacks that tell the collector, and main's own words. Standard library only.

Mounted at /faults in main; in a rescue Job, too. `FAULTS_URL` and `FAULTS_RUN` are in main's environment.
"""

import json
import os
import signal
import sys
import time
import urllib.request
from typing import Any


def post(what: str, uid: str, **more: object) -> None:
    word = {"run": os.environ["FAULTS_RUN"], "what": what, "uid": uid, **more}
    request = urllib.request.Request(os.environ["FAULTS_URL"], json.dumps(word).encode())
    for pause in (0.1, 0.3, 1.0, 3.0, None):
        try:
            urllib.request.urlopen(request, timeout=5).read()
            return
        except OSError:  # noqa: PERF203
            if pause is None:
                raise
            time.sleep(pause)


def tell(context: Any) -> None:
    end = context.exit
    post(
        context.hook.value,
        context.pod.uid,
        key=context.idempotency_key,
        attempt=context.attempt,
        result=end.result.value if end else "",
        exit_code=end.exit_code if end else None,
        rescued=bool(getattr(context, "rescued", False)),
    )


def die_running(context: Any) -> None:
    """The container dies under its callback, before the effect; in a rescue Job there is nothing to die of."""
    if not getattr(context, "rescued", False):
        kill_on_exit()
        time.sleep(30)
    tell(context)


def die_recording(context: Any) -> None:
    """The container dies when the effect is there and the record isn't."""
    tell(context)
    if not getattr(context, "rescued", False):
        kill_on_exit()
        time.sleep(30)


def fail(context: Any) -> None:
    raise RuntimeError("on purpose")


def kill_on_exit() -> None:
    """SIGKILL for on-exit's own process: the pod shares its process namespace, where that isn't process 1."""
    for name in os.listdir("/proc"):
        if name.isdigit() and is_on_exit(name):
            os.kill(int(name), signal.SIGKILL)


def is_on_exit(pid: str) -> bool:
    """A parent of callbacks, of this very pod: machines that run pods as processes show those of all pods."""
    try:
        with open("/proc/" + pid + "/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        with open("/proc/" + pid + "/environ", "rb") as file:
            environ = file.read().split(b"\0")
        with open("/proc/" + pid + "/stat", "rb") as file:
            parent = int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return False
    ours = any(word.endswith(b"on_exit.py") for word in words)
    mine = ("FAULTS_RUN=" + os.environ["FAULTS_RUN"]).encode() in environ
    return ours and mine and parent != os.getppid()


if __name__ == "__main__":  # main's own: python3 /faults/callbacks.py WORD
    if sys.argv[1] == "ends":
        post("main-ends", "")
    elif sys.argv[1] == "kill-on-exit":
        kill_on_exit()
