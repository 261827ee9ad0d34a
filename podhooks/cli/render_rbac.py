"""Print what the operator needs to be allowed: its ServiceAccount, a ClusterRole, a Role, and their bindings.

example:
  podhooks render operator-rbac --namespace podhooks | kubectl apply -f -
"""

from __future__ import annotations

import argparse

from podhooks.cli.arguments import add_rescuer_arguments, rescue_namespaces
from podhooks.inject.shapes import Json
from podhooks.render.rbac import OperatorNames, operator_rbac
from podhooks.render.rescuer import rescuer_objects

DEFAULTS = OperatorNames()


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--namespace", default=DEFAULTS.namespace, help="the operator's (default: %(default)s)")
    add("--service-account", default=DEFAULTS.service_account, help="the operator's (default: %(default)s)")
    add("--role", default=DEFAULTS.role, help="name of both roles and bindings (default: %(default)s)")
    add("--webhook-configuration", default=DEFAULTS.configuration, help="default: %(default)s")
    add("--secret", default=DEFAULTS.secret, help="with its certificates (default: %(default)s)")
    add("--lease", default=DEFAULTS.lease, help="for which replica rescues pods (default: %(default)s)")
    add("--cert-manager", action="store_true", help="certificates come from cert-manager: fewer rules")
    add_rescuer_arguments(parser)


def objects(args: argparse.Namespace) -> list[dict[str, Json]]:
    names = OperatorNames(
        namespace=args.namespace,
        service_account=args.service_account,
        role=args.role,
        configuration=args.webhook_configuration,
        secret=args.secret,
        lease=args.lease,
    )
    more = rescuer_objects(names, rescue_namespaces(args)) if args.rescuer else []
    return [*operator_rbac(names, self_made=not args.cert_manager), *more]
