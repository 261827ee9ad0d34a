"""Print the Role that injected pods need, and its binding to their service account.

on-exit asks the API how main ended, with the pod's own service account. Without this it runs all the same in native
mode, with the result Unknown.

example:
  podhooks render pod-rbac --namespace etl --service-account etl | kubectl apply -f -
"""

from __future__ import annotations

import argparse

from podhooks.inject.shapes import Json
from podhooks.render.pod_rbac import NAME, pod_rbac


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", default="default", help="of the pods (default: %(default)s)")
    parser.add_argument("--service-account", default="default", help="of the pods (default: %(default)s)")
    parser.add_argument("--name", default=NAME, help="of Role and RoleBinding (default: %(default)s)")


def objects(args: argparse.Namespace) -> list[dict[str, Json]]:
    return pod_rbac(name=args.name, account=args.service_account, namespace=args.namespace)
