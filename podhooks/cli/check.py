"""Whether this cluster is fit for Podhooks, and whether Podhooks works in it. Reads only.

Exit code: 0 if nothing is wrong (warnings are allowed), 1 if something is, 2 for input that can't be used.

examples:
  podhooks check --pre                      # before installing: versions and rights
  podhooks check                            # doors, certificate, rescuer, pods, rights
  podhooks check -n etl -o json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator

from podhooks import contract
from podhooks.check.finding import Check, Mark, worst
from podhooks.check.reader import Reader
from podhooks.check.run import check, check_before
from podhooks.cluster.login import connect
from podhooks.errors import ApiError, InputError
from podhooks.runtime.client import Client

EXIT_WRONG = 1
SIGNS = {Mark.OK: "√", Mark.WARNING: "‼", Mark.ERROR: "×", Mark.SKIPPED: "?"}
PLAIN_SIGNS = {Mark.OK: "ok", Mark.WARNING: "!!", Mark.ERROR: "XX", Mark.SKIPPED: "??"}
SUMMARIES = {
    Mark.OK: "nothing is wrong",
    Mark.WARNING: "nothing is wrong, but see the warnings",
    Mark.ERROR: "something is wrong: see the lines above",
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pre", action="store_true", help="before installing: can it be installed here?")
    parser.add_argument("-n", "--namespace", default="", help="only its pods; with --pre: where to install (podhooks)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="default: %(default)s")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig (default: the current one)")
    parser.add_argument("--kubeconfig", metavar="PATH", help="default: $KUBECONFIG, ~/.kube/config")


def run(args: argparse.Namespace) -> int:
    login, _ = connect(args.kubeconfig, args.context)
    client = Client(login, names_requests=False)
    reader = Reader(client)
    try:
        made = check_before(reader, args.namespace or "podhooks") if args.pre else check(reader, args.namespace)
        found = list(made) if args.output == "json" else list(told(made))
    except ApiError as error:
        raise InputError(str(error)) from error
    finally:
        client.close()
    if args.output == "json":
        result = {"status": worst(found).value, "checks": [each.to_json() for each in found]}
        print(json.dumps(result, indent=2, ensure_ascii=False))
    return EXIT_WRONG if worst(found) is Mark.ERROR else contract.EXIT_OK


def told(checks: Iterable[Check]) -> Iterator[Check]:
    """Each is shown when it is known; the last line says how they add up."""
    signs = SIGNS if (sys.stdout.encoding or "").lower().startswith("utf") else PLAIN_SIGNS
    found: list[Check] = []
    for each in checks:
        if not found or found[-1].category != each.category:
            print(("\n" if found else "") + f"{each.category}\n{'-' * len(each.category)}")
        print(f"{signs[each.mark]} {each.said}", flush=True)
        if each.mark is not Mark.OK:
            print(f"    {each.fix}\n    see {each.link}", flush=True)
        found.append(each)
        yield each
    print(f"\nresult: {SUMMARIES[worst(found)]}")
