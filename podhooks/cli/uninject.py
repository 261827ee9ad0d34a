"""Take out what `podhooks inject` added, and give back the original: to the byte, if nothing else changed it.

examples:
  kubectl get job etl -o yaml | podhooks uninject
  podhooks uninject -f injected.yaml > job.yaml
"""

from __future__ import annotations

import argparse
import sys

from podhooks import contract
from podhooks.cli import with_rbac
from podhooks.cli.files import add_file_argument, joined, read_streams
from podhooks.cli.inject import rewrite, write
from podhooks.errors import ManifestError
from podhooks.inject import uninject_object
from podhooks.inject.shapes import Pod


def configure(parser: argparse.ArgumentParser) -> None:
    add_file_argument(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing of what went well")


def run(args: argparse.Namespace) -> int:
    texts, lines = [], []
    streams = []
    for given in read_streams(args.filename):
        streams.append(with_rbac.taken_out(given))
        if streams[-1] is not given:
            lines.append("Role and RoleBinding of the pods' service accounts: taken out")
    for stream in streams:
        values: list[Pod] = []
        for document in stream.documents:
            try:
                value, changed = uninject_object(document.value)
            except ManifestError as error:
                raise ManifestError(f"{stream.name}:{document.line}: {error}") from error
            values.append(value)
            lines += [f"{label}: uninjected" for label in changed]
        texts.append(rewrite(stream, values))
    write(joined(streams, texts))
    if not args.quiet:
        print("\n".join(lines) or "nothing here was injected", file=sys.stderr)
    return contract.EXIT_OK
