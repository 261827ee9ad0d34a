"""Print the base job template of a Prefect Kubernetes work pool, with callbacks as variables.

Its pods have our containers, and deployments say in their job variables what these run: on_start, on_exit and the
rest show up in Prefect's UI. With --annotations-only the webhook or the admission policy adds the containers.

examples:
  podhooks prefect base-job-template > template.json
  prefect work-pool create etl --type kubernetes --base-job-template template.json
  podhooks prefect base-job-template --on-exit podhooks.callbacks.prefect:mark_crashed --delivery copy
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from podhooks import contract
from podhooks.annotations.plan import Mode
from podhooks.cli.arguments import add_runtime_arguments, runtime_settings_from
from podhooks.errors import InputError, ManifestError
from podhooks.inject.shapes import Json
from podhooks.render.prefect_pool import PoolOptions, as_text, base_job_template, default_template

DEFAULTS = PoolOptions()


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(metavar="WHAT", dest="what", required=True)
    form = argparse.RawDescriptionHelpFormatter
    below = what.add_parser(
        "base-job-template", help="of a work pool", description=__doc__, formatter_class=form, allow_abbrev=False
    )
    add = below.add_argument
    add("--base", metavar="FILE|-", help="the template to change (default: that of prefect-kubernetes)")
    add_runtime_arguments(below)
    modes = [each.value for each in Mode]
    add(
        "--mode",
        choices=modes,
        default=DEFAULTS.mode.value,
        help="classic for before Kubernetes 1.29 (default: native)",
    )
    add("--python", default=DEFAULTS.python, help="interpreter in flows' images, or `bundled` (default: %(default)s)")
    add("--on-start", default=DEFAULTS.on_start, metavar="CALLBACKS", help="of deployments that name none")
    add("--on-exit", default=DEFAULTS.on_exit, metavar="CALLBACKS", help="of deployments that name none")
    add("--annotations-only", action="store_true", help="no containers: the webhook or the admission policy adds them")


def run(args: argparse.Namespace) -> int:
    base = _read(args.base) if args.base else default_template()
    options = PoolOptions(
        settings=runtime_settings_from(args),
        mode=Mode(args.mode),
        python=args.python,
        on_start=args.on_start,
        on_exit=args.on_exit,
        annotations_only=args.annotations_only,
    )
    try:
        text = as_text(base_job_template(base, options))
    except ManifestError as error:
        raise ManifestError(f"{args.base or 'the template of prefect-kubernetes'}: {error}") from error
    sys.stdout.write(text)
    return contract.EXIT_OK


def _read(name: str) -> dict[str, Json]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        template = json.loads(text)
    except OSError as error:
        raise InputError(f"--base {name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"--base {name}: isn't JSON, as `prefect work-pool` writes templates: {error}") from error
    if not isinstance(template, dict):
        raise InputError(f"--base {name}: isn't a template but {type(template).__name__}")
    return template
