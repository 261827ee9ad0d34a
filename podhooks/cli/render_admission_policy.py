"""Print a MutatingAdmissionPolicy and its binding: the API server (1.36) injects by itself, with no server of ours.

Pods get what `podhooks inject` gives them. What this door can't do, because CEL reads no YAML:
  - tell users about mistakes while they apply: `podhooks validate` does that beforehand. A pod whose shape the
    annotations don't tell is admitted as it is, or refused with --failure-policy Fail; all other mistakes on-start
    finds in the pod, before main starts
  - read the annotation `resources` unless it is plain JSON
  - tell every timeout in a list of mappings: it may reserve more than needed, never less; the annotation `reserve`
    settles it
docs/admission-policy.md says more.

examples:
  podhooks render admission-policy | kubectl apply -f -
  podhooks render admission-policy --delivery copy --opt-in --failure-policy Fail > policy.yaml
"""

from __future__ import annotations

import argparse

from podhooks.admission_policy import PolicySettings, binding, policy
from podhooks.cli.arguments import add_runtime_arguments, runtime_settings_from
from podhooks.inject.shapes import Json

DEFAULTS = PolicySettings()


def configure(parser: argparse.ArgumentParser) -> None:
    add_runtime_arguments(parser)
    add = parser.add_argument
    add("--name", default=DEFAULTS.name, help="of policy and binding (default: %(default)s)")
    add(
        "--namespace", default=DEFAULTS.namespace, help="the operator's, which is never injected (default: %(default)s)"
    )
    add("--opt-in", action="store_true", help="only namespaces labelled podhooks.io/injection: enabled")
    add(
        "--failure-policy",
        choices=["Ignore", "Fail"],
        default=DEFAULTS.failure_policy,
        help="what becomes of a pod that can't be given its callbacks (default: %(default)s)",
    )


def objects(args: argparse.Namespace) -> list[dict[str, Json]]:
    settings = PolicySettings(
        inject=runtime_settings_from(args),
        name=args.name,
        namespace=args.namespace,
        opt_in=args.opt_in,
        failure_policy=args.failure_policy,
    )
    return [policy(settings), binding(settings)]
