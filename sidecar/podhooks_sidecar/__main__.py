"""The on-exit program: reads its settings, wires its parts, chooses the exit code."""

from __future__ import annotations

import os
import sys

from podhooks import contract, log
from podhooks.errors import PodhooksError
from podhooks.runtime.descriptors import open_standard_descriptors
from podhooks.version import __version__
from podhooks_sidecar.program import OnExit
from podhooks_sidecar.wakeup import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """usage: podhooks-on-exit [-h] [--version]

Waits until the pod's main container has ended and runs the on_exit callbacks that the pod's annotations name. It takes
no arguments: the injector sets its environment. See `podhooks explain` for what runs when."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0; 1 if a callback failed with policy `fail` (classic mode); 2 for input that can't be used."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given:
        return answer(given[0])
    open_standard_descriptors()
    wakeup = Wakeup()
    wakeup.install()  # before anything else: from here on a SIGTERM is noted and never kills
    try:
        if os.environ.get(contract.ENV_RESCUE):
            from podhooks_sidecar.rescue import Rescue  # not needed in a pod

            return Rescue.from_environ(os.environ, wakeup).run()
        return OnExit.from_environ(os.environ, wakeup).run()
    except PodhooksError as error:
        log.error(str(error))
        return contract.EXIT_BAD_INPUT
    finally:
        wakeup.retire()


def answer(argument: str) -> int:
    if argument in ("-h", "--help"):
        print(USAGE)
    elif argument == "--version":
        print(f"podhooks-on-exit {__version__}")
    else:
        log.error(f"podhooks-on-exit takes no argument {argument!r}; see podhooks-on-exit --help")
        return contract.EXIT_BAD_INPUT
    return contract.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
