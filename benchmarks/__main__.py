"""Runs the measurements and shows them as a table or as JSON. Exit code 1 when a promise isn't kept."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

from benchmarks import apirequests, latency, manifests, memory, output, overhead, start, waiting, webhook
from benchmarks.result import Row, table
from benchmarks.stage import Stage, prepared

MEASUREMENTS: dict[str, Callable[[Stage], list[Row]]] = {
    "memory": memory.measure,
    "waiting": waiting.measure,
    "start": start.measure,
    "latency": latency.measure,
    "requests": apirequests.measure,
    "overhead": overhead.measure,
    "output": output.measure,
    "webhook": webhook.measure,
    "manifests": manifests.measure,
}


OWN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
MARK = "BENCHMARKS_IN_OWN_NAMESPACE"


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    rows: list[Row] = []
    with prepared(options.python, repetitions=options.repetitions, quick=options.quick, full=options.full) as stage:
        for name in options.only or MEASUREMENTS:
            print(f"measuring: {name}", file=sys.stderr)
            rows += MEASUREMENTS[name](stage)
        machine = describe(stage.python)
    if options.json:
        print(json.dumps({"machine": machine, "rows": [row.to_json() for row in rows]}, indent=1))
    else:
        print(f"{machine}\n\n{table(rows)}")
    return int(any(row.kept is False for row in rows))


def enter_namespace(arguments: Sequence[str]) -> None:
    """Start again where only our own processes are seen, as in a container; stay here where that can't be had.

    The runner looks at the processes that began after a callback: on a busy machine that are everybody's.
    """
    if MARK in os.environ or shutil.which(OWN_NAMESPACE[0]) is None:
        return
    if subprocess.run([*OWN_NAMESPACE, "true"], capture_output=True).returncode == 0:
        command = [*OWN_NAMESPACE, sys.executable, "-m", "benchmarks", *arguments]
        os.execvpe(command[0], command, {**os.environ, MARK: "1"})


def describe(python: str) -> str:
    version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    where = "in a process namespace of its own" if MARK in os.environ else "beside all other processes"
    return f"{version}, {platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} CPUs, {where}"


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    found.add_argument("--only", action="append", choices=MEASUREMENTS, help="one measurement; may be repeated")
    found.add_argument("--json", action="store_true", help="the same as JSON")
    found.add_argument("--quick", action="store_true", help="one or two repetitions: shows that it works, no more")
    found.add_argument("--full", action="store_true", help="really wait ten minutes")
    found.add_argument("--repetitions", type=int, default=15, metavar="N", help="of each measured time (default 15)")
    found.add_argument("--python", default="", help="this interpreter as it is, instead of a clean environment of ours")
    return found


if __name__ == "__main__":
    enter_namespace(sys.argv[1:])
    sys.exit(main())
