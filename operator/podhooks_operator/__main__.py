"""`podhooks-operator`: settings from flags and environment, then serve until SIGTERM."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from podhooks import contract, log
from podhooks.errors import InputError, PodhooksError
from podhooks.runtime.access import Access

EXIT_FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        from podhooks_operator.settings import read_settings

        settings = read_settings(arguments, os.environ)
        access = Access.in_cluster(os.environ)
        import uvloop

        from podhooks_operator.server import serve

        uvloop.run(serve(settings, access))
    except ImportError as error:
        log.write_line(f"podhooks-operator: {error}: install it with pip install 'podhooks[operator]'")
        return EXIT_FAILED
    except PodhooksError as error:
        log.write_line(f"podhooks-operator: {error}")
        return contract.EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_FAILED
    return contract.EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
