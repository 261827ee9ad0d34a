"""Add the containers that the podhooks.io annotations ask for.

Reads YAML or JSON, any number of documents and Lists, and writes the same to stdout with only the injected pods and pod
templates changed: comments, order, quotes and all other objects stay as they are. What was done is told on stderr.
With an error nothing is written.

examples:
  podhooks inject -f job.yaml | kubectl apply -f -
  helm template ./chart | podhooks inject --kubernetes 1.33 --delivery copy > all.yaml
"""

from __future__ import annotations

import argparse
import sys

from podhooks import contract
from podhooks.cli.arguments import add_settings_arguments, settings_from
from podhooks.cli.files import add_file_argument, joined, read_streams
from podhooks.cli.reports import Judged, counted, finding_lines, judge, outcome_line


def configure(parser: argparse.ArgumentParser) -> None:
    add_file_argument(parser)
    add_settings_arguments(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing of what went well")


def run(args: argparse.Namespace) -> int:
    settings = settings_from(args)
    streams = read_streams(args.filename)
    judged = judge(streams, settings)
    errors = sum(len(each.report.errors) for one in judged for each in one.reports)
    for one in judged:
        _tell(one, quiet=args.quiet, refused=errors > 0)
    if errors:
        print(f"podhooks inject: {counted(errors, 'error')}, nothing was written", file=sys.stderr)
        return contract.EXIT_BAD_INPUT
    texts = [stream.rewritten([one.result for one in judged if one.stream is stream]) for stream in streams]
    write(joined(streams, texts))
    return contract.EXIT_OK


def write(text: str) -> None:
    """UTF-8 whatever the terminal's language, and line ends as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()


def _tell(one: Judged, *, quiet: bool, refused: bool) -> None:
    for line in finding_lines(one):
        print(line, file=sys.stderr)
    if quiet or refused:
        return
    for each in one.reports:
        print(outcome_line(each), file=sys.stderr)
