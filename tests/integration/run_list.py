"""Runs a list of callbacks with the real runner in a process of its own: `run_list.py JSON`; see test_runner.py."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from podhooks.annotations.plan import Callback, Policy
from podhooks.context import ExitInfo, Hook, PodInfo, Result, RunContext
from podhooks.runtime.descriptors import open_standard_descriptors
from podhooks.runtime.record import Record
from podhooks.runtime.runner import run_hook


def main(text: str) -> None:
    options = json.loads(text)
    open_standard_descriptors()
    stop: list[int] = []
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    hook = Hook(options.get("hook", "on-start"))
    exit_info = ExitInfo(Result(options["result"])) if "result" in options else None
    record = Record.open(hook, options["shared"], options["log"], pod_uid="u1")
    if exit_info:
        record.decide(exit_info)
    context = RunContext(hook, "", PodInfo("p", "ns", "u1"), "main", "", options["shared"], exit=exit_info)
    callbacks = [callback(one) for one in options["callbacks"]]
    started = time.monotonic()

    def deadline() -> float | None:
        """Seconds from the start; with `shorten` [after, seconds] it becomes another one while callbacks run."""
        after, shorter = options.get("shorten", (None, None))
        if after is not None and time.monotonic() - started >= after:
            return float(started + shorter)
        return started + options["deadline"] if "deadline" in options else None

    outcome = run_hook(
        callbacks,
        context,
        record,
        hook_deadline=deadline,
        stop_requested=lambda: bool(stop),
        wake_fd=reader,
        cgroup_dir=options.get("cgroup_dir", "/nowhere"),
    )
    answer: dict[str, object] = {"outcomes": [one.to_json() for one in outcome.outcomes], "failed": outcome.failed}
    answer["children"] = open(f"/proc/self/task/{os.getpid()}/children").read()  # noqa: SIM115
    with open(options["answer"], "w") as file:
        json.dump(answer, file)


def results(names: list[str]) -> frozenset[Result]:
    return frozenset(Result(name) for name in names)


PARSERS: dict[str, Callable[[Any], object]] = {"policy": Policy, "exec": tuple, "when": results}


def callback(data: dict[str, Any]) -> Callback:
    fields = dict(data)
    for name, make in PARSERS.items():
        if name in fields:
            fields[name] = make(fields[name])
    fields.setdefault("key", fields.get("call") or "command")
    fields.setdefault("timeout_seconds", 20.0)
    return Callback(**fields)


if __name__ == "__main__":
    main(sys.argv[1])
