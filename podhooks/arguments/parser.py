"""One parser for all programs, and the types of arguments that several of them have."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from podhooks import contract
from podhooks.annotations.finding import closest


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument \S+/(--\S+)", r"\1", message.replace("argument --", "--"))
        self.exit(contract.EXIT_BAD_INPUT, f"{self.prog}: {message} (see {self.prog} -h)\n")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        args, unknown = self.parse_known_args(arguments)
        if unknown:
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            meant = closest(unknown[0].partition("=")[0], flags) if unknown[0].startswith("-") else None
            hint = f": did you mean {meant}?" if meant else ""
            if not unknown[0].startswith("-") and "-f" in self._option_string_actions:
                hint = ": files are given with -f"
            self.error(f"unknown argument {unknown[0]!r}{hint}")
        return args


def image(value: str) -> str:
    """`--image "$IMAGE"` with nothing in it would give pods that can't be created."""
    if value.split() != [value] or "://" in value:
        raise argparse.ArgumentTypeError(f"{value!r} is no image: write a reference like registry/name:tag")
    return value
