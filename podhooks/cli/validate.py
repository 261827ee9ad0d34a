"""Check the podhooks.io annotations of manifests, offline: no cluster is asked.

Exit code: 0 if there is no error, 2 if there is (with --strict: or a warning). The codes of the findings are stable;
docs/findings.md and docs/inject.md describe them.

examples:
  podhooks validate -f job.yaml
  podhooks validate -f manifests/ --kubernetes 1.33 --strict --format json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from podhooks import contract
from podhooks.cli.arguments import add_settings_arguments, settings_from
from podhooks.cli.files import add_file_argument, read_streams
from podhooks.cli.reports import Judged, annotated, counted, finding_lines, judge, place_of
from podhooks.inject.shapes import Json
from podhooks.inject.templates import objects


def configure(parser: argparse.ArgumentParser) -> None:
    add_file_argument(parser)
    add_settings_arguments(parser)
    parser.add_argument("--strict", action="store_true", help="warnings count as errors for the exit code")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    settings = settings_from(args)
    judged = judge(read_streams(args.filename), settings)
    result = _result(judged)
    if args.format == "json":
        print(json.dumps(result, indent=2))
    else:
        for one in judged:
            for line in finding_lines(one):
                print(line)
        found = f"{counted(result['errors'], 'error')}, {counted(result['warnings'], 'warning')}"
        print(f"{counted(result['objects'], 'object')}, {result['annotated']} with podhooks annotations: {found}")
    failed = result["errors"] or (args.strict and result["warnings"])
    return contract.EXIT_BAD_INPUT if failed else contract.EXIT_OK


def _result(judged: Sequence[Judged]) -> dict[str, Json]:
    reports = [each for one in judged for each in one.reports]
    return {
        "objects": sum(len(list(objects(one.document.value))) for one in judged),
        "annotated": len({(id(one), each.at) for one in judged for each in one.reports if annotated(each)}),
        "errors": sum(len(each.report.errors) for each in reports),
        "warnings": sum(len(each.report.warnings) for each in reports),
        "findings": [finding for one in judged for finding in _findings(one)],
    }


def _findings(one: Judged) -> list[dict[str, Json]]:
    found = []
    for each in one.reports:
        for finding in each.report.findings:
            name, line = place_of(one, each, finding)
            found.append(
                {
                    "file": name,
                    "line": line,
                    "object": each.label,
                    "code": finding.code,
                    "severity": finding.severity.value,
                    "where": finding.where,
                    "message": finding.message,
                }
            )
    return found
