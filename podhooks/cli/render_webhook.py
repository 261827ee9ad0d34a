"""Print the MutatingWebhookConfiguration that sends annotated pods to the webhook.

Without a CA bundle the operator fills its own in (or cert-manager, with --certificate).

example:
  podhooks render webhook-configuration --opt-in --failure-policy Fail | kubectl apply -f -
"""

from __future__ import annotations

import argparse
from pathlib import Path

from podhooks.errors import InputError
from podhooks.inject.shapes import Json
from podhooks.render.webhook import WebhookOptions, webhook_configuration

DEFAULTS = WebhookOptions()


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--name", default=DEFAULTS.name, help="of the configuration (default: %(default)s)")
    add(
        "--namespace", default=DEFAULTS.namespace, help="the operator's, which is never injected (default: %(default)s)"
    )
    add("--service", default=DEFAULTS.service, help="in front of the operator (default: %(default)s)")
    add("--port", type=int, default=DEFAULTS.port, help="the service's (default: %(default)s)")
    add("--url", default="", help="instead of a service: where the operator runs outside the cluster")
    add("--ca-file", default="", metavar="FILE", help="the CA bundle (PEM); by default the operator fills it in")
    add(
        "--certificate", default="", metavar="NAMESPACE/NAME", help="cert-manager's Certificate, which fills it in then"
    )
    add("--failure-policy", choices=["Ignore", "Fail"], default=DEFAULTS.failure_policy, help="default: %(default)s")
    add("--timeout", type=int, default=DEFAULTS.timeout_seconds, metavar="SECONDS", help="default: %(default)s")
    add("--opt-in", action="store_true", help="only namespaces labelled podhooks.io/injection: enabled")


def objects(args: argparse.Namespace) -> list[dict[str, Json]]:
    options = WebhookOptions(
        name=args.name,
        namespace=args.namespace,
        service=args.service,
        port=args.port,
        url=args.url,
        ca_bundle=_bundle(args.ca_file),
        certificate=args.certificate,
        failure_policy=args.failure_policy,
        timeout_seconds=args.timeout,
        opt_in=args.opt_in,
    )
    return [webhook_configuration(options)]


def _bundle(path: str) -> bytes:
    if not path:
        return b""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"--ca-file {path}: {error.strerror}") from error
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise InputError(f"--ca-file {path}: no PEM certificate in it")
    return content
