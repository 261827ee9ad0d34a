"""python -m tests.faults: the matrix on the embedded stand-in; with --kubeconfig on that cluster."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from podhooks.inject import Delivery, InjectSettings
from tests.faults.collector import Collector
from tests.faults.counting import markdown, rows, total
from tests.faults.faults import FAULTS, Fault
from tests.faults.field import Field, Trouble, shell
from tests.faults.matrix import Matrix, Plan
from tests.faults.standin import stand_in

COMMANDS = ("stop-kubelet", "start-kubelet", "restart-api-server", "kill-operator")


def main() -> int:
    """0: nothing lost that mustn't be, nothing wrong, nothing twice but what was counted; else 1. 2: bad input."""
    options = parsed()
    with contextlib.ExitStack() as stack:
        collector = Collector(options.collector_host if options.kubeconfig else "127.0.0.1")
        stack.callback(collector.close)
        field = stack.enter_context(on_cluster(options) if options.kubeconfig else stand_in(options.guarantees))
        stack.callback(field.close)
        runs = Matrix(plan_of(options), field, collector, lambda line: print(line, file=sys.stderr, flush=True)).run()
    found = rows(runs)
    text = f"{markdown(found)}\n{total(found)}\n"
    print(text, end="")
    for each in sorted({problem for row in found for problem in row.problems}):
        print(f"not counted: {each}", file=sys.stderr)
    if options.out:
        Path(options.out).write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n", encoding="utf-8")
    unexpected = {fault.name for fault in FAULTS if not fault.outside_only}
    bad = [
        row
        for row in found
        if row.wrong
        or (row.lost and (row.case.guarantee == "cluster" or row.case.fault in unexpected))
        or (row.case.guarantee == "cluster" and row.twice > row.counted)
    ]
    return 1 if bad else 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kubeconfig", default="", help="of a cluster; without it the matrix runs on the stand-in")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="of each cell")
    parser.add_argument("--parallel", type=int, default=12, metavar="N", help="pods at a time")
    parser.add_argument("--faults", default="", metavar="NAME,...", help="names, or parts of names (all)")
    parser.add_argument("--modes", default="native,classic", metavar="MODE,...")
    parser.add_argument("--guarantees", default="pod,cluster", metavar="NAME,...")
    parser.add_argument("--image", default="python:3.12-slim", help="main's: a shell and python3")
    parser.add_argument("--runtime-image", default=InjectSettings().image, help="ours")
    parser.add_argument("--pull-policy", default="IfNotPresent")
    parser.add_argument("--collector-host", default="", metavar="HOST", help="this machine, as pods find it")
    parser.add_argument(
        "--patience", type=float, default=240.0, metavar="SECONDS", help="for a guarantee, after the pod's end"
    )
    parser.add_argument("--away", type=float, default=150.0, metavar="SECONDS", help="how long a lost node stays away")
    parser.add_argument("--out", default="", metavar="FILE", help="the rows as JSON")
    for name in COMMANDS:
        parser.add_argument(
            f"--{name}", default="", metavar="COMMAND", help="without it the faults that need it are left out"
        )
    options = parser.parse_args()
    if options.kubeconfig and not options.collector_host:
        parser.error("--kubeconfig needs --collector-host, this machine's address as pods find it")
    options.guarantees = options.guarantees.split(",")
    wanted = [each for part in options.faults.split(",") for each in named(part)]
    options.chosen = [fault for fault in FAULTS if fault in wanted and (options.kubeconfig or not fault.real)]
    if not options.chosen:
        parser.error(f"--faults {options.faults}: no such fault; there are: {', '.join(each.name for each in FAULTS)}")
    return options


def named(part: str) -> list[Fault]:
    """The fault of that name, or all whose names have it as a part."""
    exact = [fault for fault in FAULTS if fault.name == part]
    return exact or [fault for fault in FAULTS if part in fault.name]


def plan_of(options: argparse.Namespace) -> Plan:
    return Plan(
        faults=options.chosen,
        modes=options.modes.split(","),
        guarantees=options.guarantees,
        runs=options.runs,
        parallel=options.parallel,
        image=options.image,
        pull_policy=options.pull_policy,
        settings=InjectSettings(image=options.runtime_image, delivery=Delivery.IMAGE, pull_policy=options.pull_policy),
        patience_seconds=options.patience,
        settle_seconds=10.0 if options.kubeconfig else 2.0,
    )


@contextlib.contextmanager
def on_cluster(options: argparse.Namespace) -> Iterator[Field]:
    given = {name: getattr(options, name.replace("-", "_")) for name in COMMANDS}
    commands = {name: shell(command) for name, command in given.items() if command}
    yield Field(options.kubeconfig, commands, away_seconds=options.away)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        sys.exit(f"faults: {trouble}")
