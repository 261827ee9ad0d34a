"""Add the containers that the podhooks.io annotations ask for.

Reads YAML or JSON, any number of documents and Lists, and writes the same to stdout with only the injected pods and pod
templates changed: comments, order, quotes and all other objects stay as they are. What was done is told on stderr.
With an error nothing is written.

examples:
  podhooks inject -f job.yaml | kubectl apply -f -
  podhooks inject -f job.yaml --with-rbac -n etl | kubectl apply -f -
  helm template ./chart | podhooks inject --kubernetes 1.33 --delivery copy > all.yaml
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from podhooks import contract
from podhooks.cli import with_rbac
from podhooks.cli.arguments import add_settings_arguments, settings_from
from podhooks.cli.files import add_file_argument, joined, read_streams
from podhooks.cli.reports import Judged, counted, finding_lines, judge, outcome_line
from podhooks.inject.manifests import label_of
from podhooks.inject.shapes import Pod
from podhooks.yamltext.stream import Stream


def configure(parser: argparse.ArgumentParser) -> None:
    add_file_argument(parser)
    add_settings_arguments(parser)
    parser.add_argument(
        "--with-rbac", action="store_true", help="add the Role and RoleBinding that the pods' service accounts need"
    )
    parser.add_argument(
        "-n",
        "--namespace",
        default="default",
        help="with --with-rbac: of objects that name none (default: %(default)s)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing of what went well")


def run(args: argparse.Namespace) -> int:
    settings = settings_from(args)
    streams = read_streams(args.filename)
    if args.with_rbac:
        streams = [with_rbac.taken_out(stream) for stream in streams]
    judged = judge(streams, settings)
    errors = sum(len(each.report.errors) for one in judged for each in one.reports)
    for one in judged:
        for line in finding_lines(one):
            print(line, file=sys.stderr)
    if errors:
        print(f"podhooks inject: {counted(errors, 'error')}, nothing was written", file=sys.stderr)
        return contract.EXIT_BAD_INPUT
    texts = [rewrite(stream, [one.result for one in judged if one.stream is stream]) for stream in streams]
    accounts = with_rbac.accounts(judged, args.namespace) if args.with_rbac else []
    is_json = all(stream.is_json for stream in streams)
    write(with_rbac.put_in(joined(streams, texts), with_rbac.objects(accounts), is_json=is_json))
    if not args.quiet:
        _tell(judged, accounts)
    return contract.EXIT_OK


def _tell(judged: Sequence[Judged], accounts: Sequence[tuple[str, str]]) -> None:
    for one in judged:
        for each in one.reports:
            print(outcome_line(each), file=sys.stderr)
    for namespace, account in accounts:
        said = f"service account {account} may get and watch pods of namespace {namespace}: Role and RoleBinding added"
        print(said, file=sys.stderr)


def rewrite(stream: Stream, values: Sequence[Pod]) -> str:
    """The text with these objects. A document whose comments that costs is named, because nobody would look for it."""
    found = stream.rewritten(values)
    for each in found.anew:
        place = f"{stream.name}:{each.line}: {label_of(each.value)}"
        said = "is written anew, without its comments: it can't be changed place by place"
        print(f"{place}: {said}", file=sys.stderr)
    return found.text


def write(text: str) -> None:
    """UTF-8 whatever the terminal's language, and line ends as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()
