"""How pods ended, what became of their callbacks, and what the rescuer made good.

It reads the pods themselves and needs no right but that. Rescues are shown to those who may read them.

Exit code: 0, also when callbacks failed; 1 if there is no such pod; 2 for input that can't be used.

examples:
  podhooks status etl-x7k2p
  podhooks status job/etl --watch
  podhooks status -l job-name=etl --context staging -n etl
  podhooks status -A -o json
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

from podhooks.annotations.finding import closest
from podhooks.cluster.backend import Selection, follow
from podhooks.cluster.real import RealCluster
from podhooks.cluster.request import Object
from podhooks.errors import ApiError, InputError
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, text
from podhooks.report.news import name_of
from podhooks.report.rescued import pod_of, uid_of
from podhooks.report.summary import PodSummary, summarize
from podhooks.run import display as displays
from podhooks.run.layout import summary_lines
from podhooks.run.session import is_injected, start_clock
from podhooks.yamltext.emit import document_lines

EXIT_NONE = 1
JOB_LABEL = "job-name"  # set by the Job controller, and what one types; the longer name says the same
JOB_PREFIXES = ("job/", "jobs/", "job.batch/", "jobs.batch/")
POD_PREFIXES = ("pod/", "pods/", "po/")
FORMATS = ("text", "json", "yaml")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pods", nargs="*", metavar="POD|job/JOB", help="default: every pod that Podhooks is in")
    parser.add_argument("-l", "--selector", default="", help="label selector, as for kubectl")
    parser.add_argument("-n", "--namespace", help="default: the context's")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="pods of all namespaces")
    parser.add_argument("-o", "--output", choices=FORMATS, default="text", help="default: %(default)s")
    parser.add_argument("-w", "--watch", action="store_true", help="stay, and show a pod again whenever it changes")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig (default: the current one)")
    parser.add_argument("--kubeconfig", metavar="PATH", help="default: $KUBECONFIG, ~/.kube/config")
    parser.add_argument("--plain", action="store_true", help="no colours")


def run(args: argparse.Namespace) -> int:
    if args.pods and args.selector:
        raise InputError("give names of pods or a selector (-l), not both")
    if args.namespace and args.all_namespaces:
        raise InputError("give a namespace (-n) or all of them (-A), not both")
    if args.watch and args.output != "text":
        raise InputError(f"--watch shows text: leave out -o {args.output}")
    cluster = RealCluster(args.kubeconfig, args.context)
    namespace = "" if args.all_namespaces else args.namespace or cluster.namespace
    what = Selection("Pod", namespace, labels=args.selector)
    try:
        return watch(cluster, what, args) if args.watch else once(cluster, what, args)
    except ApiError as error:
        raise InputError(str(error)) from error
    finally:
        cluster.close()


def once(cluster: RealCluster, what: Selection, args: argparse.Namespace) -> int:
    there, _ = cluster.list(what)
    rescues = {uid_of(each): each for each in cluster.rescues()}
    pods = [*chosen(there, args.pods), *gone(rescues, there, what.namespace, args)]
    show([summarize(each, rescue=rescues.get(uid(each))) for each in pods], args)
    where = f"in namespace {what.namespace}" if what.namespace else "in any namespace"
    missing = [name for name in args.pods if not any(is_named(each, name) for each in pods)]
    for name in missing:
        print(f"podhooks status: there is no pod {name} {where}: {_advice(name, there)}", file=sys.stderr)
    if not pods and not missing:
        which = f" with {args.selector}" if args.selector else ""
        elsewhere = " (-n names another namespace)" if what.namespace else ""
        print(f"podhooks status: no pod{which} {where} that Podhooks is in{elsewhere}", file=sys.stderr)
    return EXIT_NONE if missing or not pods else 0


def watch(cluster: RealCluster, what: Selection, args: argparse.Namespace) -> int:
    """Until Ctrl-C. A pod is shown when something that is told of it has changed."""
    display = displays.make(plain=args.plain, colours=True, elapsed=start_clock())
    shown: dict[str, Json] = {}
    for event in follow(cluster, what, threading.Event()):
        if event.type == "TROUBLE":
            print(f"podhooks status: {text(event.object.get('message'))}", file=sys.stderr)
            continue
        if not list(chosen([event.object], args.pods)):
            continue
        rescues = {uid_of(each): each for each in cluster.rescues()} if event.type == "DELETED" else {}
        found = summarize(event.object, gone=event.type == "DELETED", rescue=rescues.get(uid(event.object)))
        if shown.get(uid(event.object)) != found.to_json():
            shown[uid(event.object)] = found.to_json()
            for line in summary_lines(found):
                display.line(line)
    return 0


def uid(pod: Mapping[str, Json]) -> str:
    return text(mapping(pod.get("metadata")).get("uid"))


def chosen(pods: Sequence[Object], names: Sequence[str]) -> Iterator[Object]:
    """The named ones; without names those that were injected."""
    return (each for each in pods if (any(is_named(each, name) for name in names) if names else is_injected(each)))


def is_named(pod: Mapping[str, Json], name: str) -> bool:
    """By its own name, or as `job/NAME` by that of its Job."""
    for prefix in JOB_PREFIXES:
        if name.startswith(prefix):
            labels = mapping(mapping(pod.get("metadata")).get("labels"))
            return labels.get(JOB_LABEL) == name.removeprefix(prefix)
    return name_of(pod) == next((name.removeprefix(each) for each in POD_PREFIXES if name.startswith(each)), name)


def gone(
    rescues: Mapping[str, Object], there: Sequence[Object], namespace: str, args: argparse.Namespace
) -> Iterator[Object]:
    """Pods that are no more, and that the rescuer remembers. Those of a selector can't be told from their Rescues."""
    known = {uid(each) for each in there}
    if args.selector:
        return
    for of, rescue in rescues.items():
        pod = dict(pod_of(rescue))
        here = namespace in ("", text(mapping(pod.get("metadata")).get("namespace")))
        if of not in known and here and list(chosen([pod], args.pods)):
            yield pod


def _advice(name: str, pods: Sequence[Object]) -> str:
    """For a name that no pod has: it may be that of what made them, also as `job/etl`."""
    bare = name.rpartition("/")[2]
    if any(mapping(mapping(each.get("metadata")).get("labels")).get(JOB_LABEL) == bare for each in pods):
        return f"it's a Job, so name its pods with job/{bare}"
    meant = closest(bare, [name_of(each) for each in pods])
    return f"did you mean {meant}?" if meant else "without a name all are shown, -n names another namespace"


def show(found: Sequence[PodSummary], args: argparse.Namespace) -> None:
    if args.output == "json":
        print(json.dumps([each.to_json() for each in found], indent=2, ensure_ascii=False))
        return
    if args.output == "yaml":
        for each in found:
            print("---", *document_lines(dict(each.to_json()), 2), sep="\n")
        return
    display = displays.make(plain=args.plain, colours=True, elapsed=start_clock())
    for each in found:
        for line in summary_lines(each):
            display.line(line)
    display.close()
