"""Run a manifest to its end: on this machine, or with --context on a cluster.

The file's Pod, Job or CronJob (one Job is made of it) is injected and run, with the ConfigMaps, Secrets and the like
that are in the file too. What happens is shown as it happens; then how main ended and what became of every callback.
Everything that was created is deleted afterwards. Without --context nothing but this machine is needed: containers run
as local processes, so their programs and modules must be here. Modules beside FILE can be imported.

Exit code: main's own (128+n for signal n); 1 if main has none and didn't succeed; 2 for input that can't be used, then
nothing was started; 124 after --timeout; 130 after Ctrl-C, which deletes the run and lets on_exit finish.

examples:
  podhooks run job.yaml
  podhooks run job.yaml -e ROWS=10 --timeout 10m
  podhooks run job.yaml --context staging -n etl
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from podhooks import contract
from podhooks.annotations.durations import parse_duration
from podhooks.cli.arguments import DEFAULTS, add_image_argument
from podhooks.cli.files import STDIN, read_streams
from podhooks.cli.reports import finding_lines, judge
from podhooks.cluster.backend import Backend
from podhooks.cluster.request import Request, label_of, request, with_variables
from podhooks.errors import InputError
from podhooks.inject import Delivery, InjectSettings, inject_object
from podhooks.inject.shapes import Json
from podhooks.pod.object import mapping, text
from podhooks.render.pod_rbac import NAME, pod_rbac
from podhooks.run import display as displays
from podhooks.run.session import Options, is_injected, start_clock, try_out
from podhooks.run.session import run as run_session
from podhooks.yamltext.stream import Stream

VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Prepared:
    """The request as it was written, and with its pod injected."""

    written: Request
    injected: Request


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="manifest: a file, a directory, or - for stdin")
    parser.add_argument("-f", "--filename", action="append", default=[], metavar="FILE", help="the same")
    parser.add_argument("--only", metavar="KIND/NAME", help="which one to run, if there are several")
    parser.add_argument("-n", "--namespace", help="for objects that name none")
    parser.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME=VALUE", help="set for main, repeatable"
    )
    parser.add_argument("--timeout", metavar="TIME", help="delete the run after this time, like 10m (default: never)")
    parser.add_argument("--keep", action="store_true", help="delete nothing afterwards; locally: keep volumes and logs")
    parser.add_argument("--plain", action="store_true", help="plain lines, as they are written into a pipe")
    parser.add_argument("--no-color", action="store_true", help="no colours (the variable NO_COLOR does the same)")
    cluster = parser.add_argument_group("on a cluster")
    cluster.add_argument("--context", metavar="NAME", help="of the kubeconfig")
    cluster.add_argument("--kubeconfig", metavar="PATH", help="default: $KUBECONFIG, ~/.kube/config")
    cluster.add_argument(
        "--grant", action="store_true", help="let the pods' service account see how main ended, for this run"
    )
    delivery = parser.add_argument_group("how the runtime gets there")
    delivery.add_argument(
        "--delivery",
        choices=[each.value for each in Delivery],
        help="see podhooks inject -h (default: image on a cluster, or if a pod names an interpreter; else installed)",
    )
    add_image_argument(delivery, "where it comes from (default: %(default)s)")
    delivery.add_argument("--pull-policy", choices=["Always", "IfNotPresent", "Never"], help="for that image")


def run(args: argparse.Namespace) -> int:
    elapsed = start_clock()
    names = [*args.files, *args.filename]
    if not names:
        raise InputError("nothing to run: podhooks run FILE (- for stdin)")
    options = Options(timeout_seconds=parse_duration(args.timeout) if args.timeout else None, keep=args.keep)
    variables, streams = parse_variables(args.env), read_streams(names)
    settings = settings_from(args, names_interpreter=names_interpreter(streams))
    _written(streams, args, "default")  # what is wrong with the file is said before anybody is asked
    if print_findings(streams, settings):
        print("podhooks run: nothing was started", file=sys.stderr)
        return contract.EXIT_BAD_INPUT
    backend = connect(args, settings, directory_of(names))
    try:
        written = _written(streams, args, backend.namespace)
        written = replace(written, run=with_variables(written.run, variables))
        prepared = Prepared(written, replace(written, run=inject_object(written.run, settings)[0]))
        if args.grant:
            prepared = replace(prepared, injected=granted(prepared.injected))
        try_out(prepared.injected, backend)
        display = displays.make(plain=args.plain, colours=not args.no_color, elapsed=elapsed)
        try:
            introduce(prepared, backend, display)
            return run_session(prepared.injected, backend, display, elapsed, options)
        finally:
            display.close()
    finally:
        backend.close()


def _written(streams: Sequence[Stream], args: argparse.Namespace, usual_namespace: str) -> Request:
    documents = [each.value for stream in streams for each in stream.documents]
    name = ", ".join(stream.name for stream in streams)
    return request(documents, name, namespace=args.namespace, usual_namespace=usual_namespace, only=args.only)


def names_interpreter(streams: Sequence[Stream]) -> bool:
    """Whether a pod asks for an interpreter of its own. Nothing of ours is installed for that one."""
    values = [each.value for stream in streams for each in stream.documents]
    return any(_python_of(each) for each in values)


def _python_of(value: Json) -> bool:
    if isinstance(value, list):
        return any(map(_python_of, value))
    if not isinstance(value, Mapping):
        return False
    given = mapping(mapping(value.get("metadata")).get("annotations")).get(contract.PYTHON)
    return given not in (None, contract.DEFAULT_PYTHON) or any(map(_python_of, value.values()))


def settings_from(args: argparse.Namespace, *, names_interpreter: bool = False) -> InjectSettings:
    """On this machine the runtime is installed, for the interpreter that runs us; any other one gets it mounted."""
    usual = Delivery.IMAGE if on_cluster(args) or names_interpreter else Delivery.INSTALLED
    delivery = Delivery(args.delivery) if args.delivery else usual
    if args.grant and not on_cluster(args):
        raise InputError("--grant needs a cluster (--context): on this machine on_exit sees how main ended anyway")
    if delivery is Delivery.COPY and not on_cluster(args):
        raise InputError("--delivery copy needs a cluster (--context): there are no images to copy from here")
    rescuer = None if on_cluster(args) else False
    return DEFAULTS.replace(delivery=delivery, image=args.image, pull_policy=args.pull_policy, rescuer=rescuer)


def granted(injected: Request) -> Request:
    """With a Role and its binding that are there as long as the run: without them on_exit hears Unknown. Their name is
    their own, so that another run's, or the administrator's, stay."""
    account = text(mapping(injected.pod.get("spec")).get("serviceAccountName")) or "default"
    name = f"{NAME}-{secrets.token_hex(4)}"
    role = pod_rbac(name=name, account=account, namespace=injected.namespace)
    return replace(injected, companions=(*injected.companions, *role))


def on_cluster(args: argparse.Namespace) -> bool:
    return args.context is not None or args.kubeconfig is not None


def connect(args: argparse.Namespace, settings: InjectSettings, directory: Path) -> Backend:
    if on_cluster(args):
        from podhooks.cluster.real import RealCluster

        return RealCluster(args.kubeconfig, args.context)
    from podhooks.cluster.stand_in import StandIn

    return StandIn(directory, settings, keep=args.keep)


def directory_of(names: Sequence[str]) -> Path:
    """Where the first file is; where we are for stdin."""
    first = Path.cwd() if names[0] == STDIN else Path(names[0]).resolve()
    return first if first.is_dir() else first.parent


def parse_variables(given: Sequence[str]) -> Mapping[str, str]:
    """InputError for what isn't NAME=VALUE."""
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not VARIABLE.fullmatch(name):
            raise InputError(f"--env {each[:60]!r}: write NAME=VALUE")
        found[name] = value
    return found


def print_findings(streams: Sequence[Stream], settings: InjectSettings) -> int:
    """How many are errors."""
    judged = judge(streams, settings)
    for one in judged:
        for line in finding_lines(one):
            print(line, file=sys.stderr)
    return sum(len(each.report.errors) for one in judged for each in one.reports)


def introduce(prepared: Prepared, backend: Backend, display: displays.Display) -> None:
    """The first lines: what is run, where, and what to know about it."""
    injected = prepared.injected
    display.line([(injected.label, "bold"), (f" in {injected.namespace}, {backend.where}", "")])
    if others := [label_of(each) for each in injected.companions]:
        display.line([(f"  with {', '.join(others)}", "dim")])
    if not is_injected(injected.pod):
        display.line([("  no podhooks.io annotations ask for callbacks: main runs alone", "yellow")])
    for line in backend.notices(prepared.written, injected):
        display.line([(f"  {line}", "yellow")])
    display.line([])
