"""How pods ended, and what became of their callbacks. It reads the pods themselves, and needs no right but that.

Exit code: 0, also when callbacks failed; 1 if there is no such pod; 2 for input that can't be used.

examples:
  podhooks status etl-x7k2p
  podhooks status -l job-name=etl --context staging -n etl
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from podhooks.annotations.finding import closest
from podhooks.cluster.backend import Selection
from podhooks.cluster.real import RealCluster
from podhooks.cluster.request import Object
from podhooks.errors import ApiError, InputError
from podhooks.pod.object import mapping
from podhooks.report.news import name_of
from podhooks.report.summary import summarize
from podhooks.run import display as displays
from podhooks.run.layout import summary_lines
from podhooks.run.session import is_injected, start_clock

EXIT_NONE = 1
JOB_LABEL = "job-name"  # set by the Job controller, and what one types; the longer name says the same


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pods", nargs="*", metavar="POD", help="default: every pod that Podhooks is in")
    parser.add_argument("-l", "--selector", default="", help="label selector, as for kubectl")
    parser.add_argument("-n", "--namespace", help="default: the context's")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig (default: the current one)")
    parser.add_argument("--kubeconfig", metavar="PATH", help="default: $KUBECONFIG, ~/.kube/config")
    parser.add_argument("--plain", action="store_true", help="no colours")


def run(args: argparse.Namespace) -> int:
    if args.pods and args.selector:
        raise InputError("give names of pods or a selector (-l), not both")
    cluster = RealCluster(args.kubeconfig, args.context)
    namespace = args.namespace or cluster.namespace
    try:
        there, _ = cluster.list(Selection("Pod", namespace, labels=args.selector))
    except ApiError as error:
        raise InputError(str(error)) from error
    pods = list(chosen(there, args.pods))
    show(pods, plain=args.plain)
    missing = [name for name in args.pods if name not in [name_of(each) for each in pods]]
    for name in missing:
        known = f"there is no pod {name} in namespace {namespace}: {_advice(name, there)}"
        print(f"podhooks status: {known}", file=sys.stderr)
    if not pods and not missing:
        which = f" with {args.selector}" if args.selector else ""
        known = f"no pod{which} in namespace {namespace} that Podhooks is in (-n names another namespace)"
        print(f"podhooks status: {known}", file=sys.stderr)
    return EXIT_NONE if missing or not pods else 0


def chosen(pods: Sequence[Object], names: Sequence[str]) -> Iterator[Object]:
    """The named ones; without names those that were injected."""
    return (each for each in pods if (name_of(each) in names if names else is_injected(each)))


def _advice(name: str, pods: Sequence[Object]) -> str:
    """For a name that no pod has: it may be that of what made them, also as `job/etl`."""
    bare = name.rpartition("/")[2]
    if any(mapping(mapping(each.get("metadata")).get("labels")).get(JOB_LABEL) == bare for each in pods):
        return f"it's a Job, so name its pods with -l {JOB_LABEL}={bare}"
    meant = closest(bare, [name_of(each) for each in pods])
    return f"did you mean {meant}?" if meant else "without a name all are shown, -n names another namespace"


def show(pods: Sequence[Object], *, plain: bool) -> None:
    display = displays.make(plain=plain, colours=True, elapsed=start_clock())
    for each in pods:
        for line in summary_lines(summarize(each)):
            display.line(line)
    display.close()
