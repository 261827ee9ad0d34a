"""The command line: `podhooks inject`, `uninject`, `validate`, `explain`, `run`."""

from podhooks.cli.main import main

__all__ = ["main"]
