"""Print objects for a cluster administrator to apply.

examples:
  podhooks render webhook-configuration --namespace podhooks | kubectl apply -f -
  podhooks render operator-rbac --namespace podhooks | kubectl apply -f -
  podhooks render admission-policy | kubectl apply -f -
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from podhooks import contract
from podhooks.inject.shapes import Json
from podhooks.yamltext.emit import document_lines


@dataclass(frozen=True)
class Renderer:
    """One thing to render. Its module has `configure` and `objects`."""

    name: str
    module: str
    summary: str


RENDERERS = (
    Renderer(
        "admission-policy", "podhooks.cli.render_admission_policy", "a MutatingAdmissionPolicy, instead of the webhook"
    ),
    Renderer("webhook-configuration", "podhooks.cli.render_webhook", "the MutatingWebhookConfiguration"),
    Renderer("pod-rbac", "podhooks.cli.render_pod_rbac", "the Role that injected pods need, and its binding"),
    Renderer("operator", "podhooks.cli.render_operator", "all of the operator, for clusters without Helm"),
    Renderer("operator-rbac", "podhooks.cli.render_rbac", "the operator's ServiceAccount, roles and bindings"),
)


class RendererModule(Protocol):
    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def objects(self, args: argparse.Namespace) -> Sequence[dict[str, Json]]: ...


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(metavar="WHAT", dest="what", required=True)
    for each in RENDERERS:
        module = cast(RendererModule, import_module(each.module))
        form = argparse.RawDescriptionHelpFormatter
        below = what.add_parser(
            each.name, help=each.summary, description=module.__doc__, formatter_class=form, allow_abbrev=False
        )
        module.configure(below)
        below.add_argument("--format", choices=["yaml", "json"], default="yaml", help="default: %(default)s")
        below.set_defaults(objects=module.objects)


def run(args: argparse.Namespace) -> int:
    objects: Sequence[dict[str, Json]] = args.objects(args)
    sys.stdout.write(as_json(objects) if args.format == "json" else as_yaml(objects))
    return contract.EXIT_OK


def as_yaml(objects: Sequence[dict[str, Json]]) -> str:
    return "---\n".join("\n".join(document_lines(each, 2)) + "\n" for each in objects)


def as_json(objects: Sequence[dict[str, Json]]) -> str:
    """One object by itself, several as a List."""
    whole = objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    return json.dumps(whole, indent=2) + "\n"
