"""Show, for each pod, what runs when and where, what a failure does, and how the time is shared out.

Of a manifest's pods; or of an environment, which is a LocalEnvironment or its like in a Python module.

examples:
  podhooks explain -f job.yaml
  podhooks explain etl.flows:environment
  podhooks explain -f job.yaml --delivery copy
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from podhooks import contract
from podhooks.cli import timeline
from podhooks.cli.arguments import add_settings_arguments, settings_from
from podhooks.cli.files import add_file_argument, read_streams
from podhooks.cli.reports import Judged, annotated, finding_lines, judge
from podhooks.cli.timeline import Line
from podhooks.errors import InputError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", nargs="?", metavar="MODULE:NAME", help="an environment instead of a manifest")
    add_file_argument(parser)
    add_settings_arguments(parser)


def run(args: argparse.Namespace) -> int:
    if args.environment is not None:
        return explain_environment(args.environment, args.filename)
    settings = settings_from(args)
    judged = judge(read_streams(args.filename), settings)
    errors = [each for one in judged for each in one.reports if each.report.errors]
    for one in judged:
        for line in finding_lines(one):
            print(line, file=sys.stderr)
    if errors:
        return contract.EXIT_BAD_INPUT
    lines = [line for one in judged for line in _explained(one)]
    show(lines or [Line("nothing here has podhooks.io annotations that name a callback")])
    return contract.EXIT_OK


def explain_environment(name: str, files: list[str]) -> int:
    if files:
        raise InputError(f"{name} and -f {files[0]}: explain one of them at a time")
    if ":" not in name:
        raise InputError(f"{name[:60]!r}: files are given with -f, environments as MODULE:NAME")
    from podhooks.cli import environment

    show(list(environment.explain(environment.load(name), name)))
    return contract.EXIT_OK


def _explained(one: Judged) -> Iterator[Line]:
    for each in one.reports:
        if annotated(each) and each.report.injectable:
            yield from timeline.explain(each, one.result)


def show(lines: list[Line]) -> None:
    """In colours on a terminal that has them, if rich is there; else as plain text."""
    if sys.stdout.isatty():
        try:
            from rich.console import Console
            from rich.text import Text
        except ImportError:
            pass
        else:
            console = Console(highlight=False, soft_wrap=True)
            for line in lines:
                console.print(Text(line.text, style=line.style))
            return
    for line in lines:
        print(line.text)
