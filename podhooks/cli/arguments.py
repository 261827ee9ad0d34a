"""Flags that several commands have, and the settings that they make."""

from __future__ import annotations

import argparse

from podhooks.arguments.parser import image
from podhooks.errors import InputError
from podhooks.inject import Delivery, InjectSettings, parse_kubernetes_version

DEFAULTS = InjectSettings()


def add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """How the runtime reaches a pod: what every door must be told."""
    parser.add_argument(
        "--delivery",
        choices=[each.value for each in Delivery],
        default=DEFAULTS.delivery.value,
        help="how the runtime reaches your image: an image volume (Kubernetes 1.35), a copying init container (any), "
        "or installed in it already (default: %(default)s)",
    )
    add_image_argument(parser, "where the runtime comes from (default: %(default)s)")
    parser.add_argument(
        "--pull-policy", choices=["Always", "IfNotPresent", "Never"], help="for that image (default: Kubernetes')"
    )


def add_image_argument(parser: argparse._ActionsContainer, said: str) -> None:
    parser.add_argument("--image", type=image, default=DEFAULTS.image, help=said)


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    add_runtime_arguments(parser)
    parser.add_argument(
        "--kubernetes", metavar="VERSION", help="the oldest version that it must run on, to be told what it can't do"
    )


def runtime_settings_from(args: argparse.Namespace) -> InjectSettings:
    return DEFAULTS.replace(image=args.image, delivery=Delivery(args.delivery), pull_policy=args.pull_policy)


def settings_from(args: argparse.Namespace) -> InjectSettings:
    """InputError for a version that isn't one."""
    return runtime_settings_from(args).replace(
        kubernetes=parse_kubernetes_version(args.kubernetes) if args.kubernetes else None,
    )


def add_rescuer_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rescuer", action="store_true", help="with the rescuer, which keeps guarantee: cluster")
    parser.add_argument(
        "--rescue-namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="where it may do so; may be repeated (default: everywhere)",
    )


def rescue_namespaces(args: argparse.Namespace) -> tuple[str, ...]:
    """InputError where they can't mean anything."""
    if args.rescue_namespace and not args.rescuer:
        raise InputError(f"--rescue-namespace {args.rescue_namespace[0]} says nothing without --rescuer: add that")
    return tuple(args.rescue_namespace)
