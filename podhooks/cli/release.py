"""Let go of pods that the rescuer holds: drop their finalizer podhooks.io/on-exit. What they owe isn't made good then.

A held pod is released by the rescuer within seconds of its end. This is for a cluster whose rescuer is gone, and for
taking it out. The rescuer doesn't hold such a pod again.

Exit code: 0; 1 if there is no such pod, or one couldn't be released; 2 for input that can't be used.

examples:
  podhooks release etl-x7k2p -n etl
  podhooks release -l job-name=etl
  podhooks release -A                    # before `podhooks render operator | kubectl delete -f -`
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from podhooks.cluster.login import connect
from podhooks.cluster.release import guaranteed_pods, is_held, is_open, release
from podhooks.errors import ApiError, InputError
from podhooks.inject.shapes import Json
from podhooks.pod.object import text
from podhooks.runtime.client import Client

EXIT_NOT_ALL = 1


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pods", nargs="*", metavar="POD", help="names of pods")
    parser.add_argument("-l", "--selector", default="", help="label selector, as for kubectl")
    parser.add_argument("-n", "--namespace", help="default: the context's")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="every held pod of the cluster")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig (default: the current one)")
    parser.add_argument("--kubeconfig", metavar="PATH", help="default: $KUBECONFIG, ~/.kube/config")


def run(args: argparse.Namespace) -> int:
    if sum(map(bool, (args.pods, args.selector, args.all_namespaces))) != 1 and not (
        args.selector and args.all_namespaces and not args.pods
    ):
        raise InputError("say which pods: names, a selector (-l), or all of the cluster (-A)")
    if args.namespace and args.all_namespaces:
        raise InputError("give a namespace (-n) or all of them (-A), not both")
    login, _ = connect(args.kubeconfig, args.context)
    client = Client(login, names_requests=False)
    try:
        namespace = "" if args.all_namespaces else args.namespace or login.namespace
        there = list(guaranteed_pods(client, namespace, args.selector))
        return _release(client, there, args.pods)
    except ApiError as error:
        raise InputError(str(error)) from error
    finally:
        client.close()


def _release(client: Client, there: Sequence[Mapping[str, Json]], names: Sequence[str]) -> int:
    """Also those that aren't held yet: a rescuer that is about to be taken out must not begin to."""
    chosen = [each for each in there if not names or text(each.get("name")) in names]
    missing = [name for name in names if name not in [text(each.get("name")) for each in chosen]]
    failed = list(missing)
    for name in missing:
        print(f"podhooks release: no pod {name} with podhooks.io/guarantee: cluster is here", file=sys.stderr)
    count = 0
    for each in (one for one in chosen if is_held(one) or is_open(one)):
        shown = f"{text(each.get('namespace'))}/{text(each.get('name'))}"
        try:
            if release(client, each) and is_held(each):
                print(f"{shown} released")
                count += 1
        except ApiError as error:
            print(f"podhooks release: {shown}: {error}", file=sys.stderr)
            failed.append(shown)
    if not count and not failed:
        print("no pod is held", file=sys.stderr)
    return EXIT_NOT_ALL if failed else 0
