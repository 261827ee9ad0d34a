"""The on-start program: reads its settings, wires its parts, chooses the exit code."""

from __future__ import annotations

import os
import sys

from podhooks import contract, log
from podhooks.errors import PodhooksError
from podhooks.runtime.descriptors import open_standard_descriptors
from podhooks_initcontainer.program import OnStart
from podhooks_initcontainer.stop import Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """usage: podhooks-on-start [-h] [--version]

Runs the on_start callbacks that the pod's annotations name, after a check that every on_exit callback can be imported.
It takes no arguments: the injector sets its environment. See `podhooks explain` for what runs when."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0; 1 if main must not start because of a callback or a SIGTERM; 2 for input that can't be used."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given:
        return answer(given[0])
    open_standard_descriptors()
    stop = Stop()
    stop.install()
    try:
        return OnStart.from_environ(os.environ, stop).run()
    except PodhooksError as error:
        log.error(str(error))
        return contract.EXIT_BAD_INPUT


def answer(argument: str) -> int:
    if argument in ("-h", "--help"):
        print(USAGE)
    elif argument == "--version":
        from podhooks.version import __version__

        print(f"podhooks-on-start {__version__}")
    else:
        log.error(f"podhooks-on-start takes no argument {argument!r}; see podhooks-on-start --help")
        return contract.EXIT_BAD_INPUT
    return contract.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
