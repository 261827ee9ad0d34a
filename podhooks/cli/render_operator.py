"""Print all that the operator is made of, for clusters without Helm: namespace, rights, Service, Deployment, webhook.

The chart charts/podhooks makes the same, and has values for everything else.

example:
  podhooks render operator --image registry.example.com/podhooks:0.1.0 | kubectl apply -f -
"""

from __future__ import annotations

import argparse

from podhooks.cli.arguments import add_image_argument, add_rescuer_arguments, rescue_namespaces
from podhooks.inject import Delivery, InjectSettings
from podhooks.inject.shapes import Json
from podhooks.render.operator import OperatorOptions, operator_objects

DEFAULTS = InjectSettings()


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_image_argument(parser, "the operator's and the runtime's (default: %(default)s)")
    add("--namespace", default="podhooks", help="which is made, too (default: %(default)s)")
    add("--name", default="podhooks", help="of all objects (default: %(default)s)")
    add("--replicas", type=int, default=2, help="default: %(default)s")
    deliveries = [each.value for each in Delivery]
    add("--delivery", choices=deliveries, default=DEFAULTS.delivery.value, help="of the runtime (default: %(default)s)")
    add_rescuer_arguments(parser)


def objects(args: argparse.Namespace) -> list[dict[str, Json]]:
    return operator_objects(
        OperatorOptions(
            image=args.image,
            name=args.name,
            namespace=args.namespace,
            replicas=args.replicas,
            delivery=args.delivery,
            rescuer=args.rescuer,
            rescue_namespaces=rescue_namespaces(args),
        )
    )
