"""`podhooks COMMAND`: finds the command, turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from podhooks import contract
from podhooks.annotations.finding import closest
from podhooks.arguments.parser import Parser
from podhooks.errors import InputError, PodhooksError
from podhooks.version import __version__


@dataclass(frozen=True)
class Command:
    """One subcommand. Its module is imported only when it is called, and has `configure` and `run`.

    One that isn't `lasting` reads, writes and ends: its objects have no circles, so looking for some is a third of its
    time with a large manifest.
    """

    name: str
    module: str
    summary: str
    lasting: bool = False


COMMANDS = (
    Command("inject", "podhooks.cli.inject", "add the containers that annotations ask for"),
    Command("uninject", "podhooks.cli.uninject", "take them out again"),
    Command("validate", "podhooks.cli.validate", "check annotations, offline"),
    Command("explain", "podhooks.cli.explain", "show what runs when, and what a failure does"),
    Command("run", "podhooks.cli.run", "run a manifest to its end, here or on a cluster", lasting=True),
    Command("status", "podhooks.cli.status", "how pods ended, and what became of their callbacks"),
    Command("release", "podhooks.cli.release", "let go of pods that the rescuer holds"),
    Command("check", "podhooks.cli.check", "whether a cluster is fit for Podhooks, and Podhooks works in it"),
    Command("prefect", "podhooks.cli.prefect", "print a Prefect work pool's template with callbacks as variables"),
    Command("render", "podhooks.cli.render", "print objects for a cluster administrator to apply"),
)

EXAMPLES = """\
examples:
  podhooks validate -f job.yaml
  podhooks inject -f job.yaml | kubectl apply -f -
  podhooks explain -f job.yaml
  podhooks run job.yaml

podhooks COMMAND -h tells more about each."""

EXIT_FAILED = 1
EXIT_SIGNAL = 128  # and the signal's number, as shells have it
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class CommandModule(Protocol):
    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code. Nothing but an error of ours leaves a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _open_missing_streams()
        code = _dispatch(arguments)
        sys.stdout.flush()
    except PodhooksError as error:
        print(f"podhooks: {error}", file=sys.stderr)
        return contract.EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_FAILED
    except RecursionError:
        print("podhooks: something in this input is nested too deeply", file=sys.stderr)
        return contract.EXIT_BAD_INPUT
    except BrokenPipeError:
        _stop_writing()
        return EXIT_SIGNAL + signal.SIGPIPE
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        _stop_writing()
        print(f"podhooks: can't write: {error.strerror}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_SIGNAL + signal.SIGINT
    return code


def _open_missing_streams() -> None:
    """For callers that closed them (`<&-`): stdin is empty then, stderr goes nowhere. Without stdout there is no use.

    In the order of their numbers, because a file that is opened gets the lowest one that is free.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  open to the end
    if closed := sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if closed:
        raise InputError("stdout is closed: send it to a file, or to /dev/null")


def _stop_writing() -> None:
    """The interpreter's last flush goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(arguments: Sequence[str]) -> int:
    command = next((each for each in COMMANDS if arguments and each.name == arguments[0]), None)
    if command is None:
        return _top_level(arguments)
    module = cast(CommandModule, import_module(command.module))
    parser = Parser(
        prog=f"podhooks {command.name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    args = parser.parse(arguments[1:])
    if command.lasting:
        return module.run(args)
    gc.disable()
    try:
        return module.run(args)
    finally:
        gc.enable()


def _top_level(arguments: Sequence[str]) -> int:
    width = max(len(each.name) for each in COMMANDS)
    listed = "\n".join(f"  {each.name:<{width}}  {each.summary}" for each in COMMANDS)
    parser = Parser(
        prog="podhooks",
        usage="podhooks COMMAND [options]",
        description=f"Runs your callbacks at both ends of a Kubernetes pod.\n\ncommands:\n{listed}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"podhooks {__version__}")
    if not arguments:
        parser.print_help(sys.stderr)
        return contract.EXIT_BAD_INPUT
    if not arguments[0].startswith("-"):
        names = [each.name for each in COMMANDS]
        meant = closest(arguments[0], names)
        advice = f"did you mean {meant}?" if meant else f"commands are {', '.join(names)}"
        raise InputError(f"{arguments[0][:60]!r} is no command: {advice}")
    parser.parse(arguments)
    return contract.EXIT_OK
