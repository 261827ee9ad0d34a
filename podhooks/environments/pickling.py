"""How functions reach another process: by name, or pickled in a Secret.

A function that can be imported goes by its name: the image has its module, in the version that belongs there. A
lambda, a closure, a bound method and whatever is defined in `__main__` has no such name. It becomes a Python file with
the pickle in it, that checks the interpreter's version before it unpickles; callbacks in files are nothing new to the
runtime. cloudpickle's own few files go along, so the image needs nothing.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podhooks.annotations.names import problem
from podhooks.context import Hook
from podhooks.environments import flows
from podhooks.errors import InputError
from podhooks.runtime.resolve import one_line

MOUNT = "/etc/podhooks"  # where the Secret is mounted
PREFIX = "pickled_"  # of the files' names: nothing of the user's may be hidden by them
MAX_BYTES = 1 << 20  # what the API server takes as a Secret's data


def name_of(function: object) -> str | None:
    """`package.module:function` if that leads to this very function here; None if it doesn't."""
    plain = flows.function_of(function)
    module, qualname = getattr(plain, "__module__", None), getattr(plain, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str) or module == "__main__":
        return None
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    name = f"{module}:{qualname}"
    return name if found is function and problem(name) is None else None


@dataclass(frozen=True)
class SecretFile:
    """A file of the Secret: its key there, its path below the mount, its content."""

    key: str
    path: str
    content: bytes


class PickledFunctions:
    """The pickled functions of a Job, as files of its Secret. `directory` is where the pod mounts them."""

    def __init__(self, directory: str = MOUNT) -> None:
        self.directory = directory
        self._files: dict[str, SecretFile] = {}
        self._sources: dict[str, str] = {}

    @property
    def files(self) -> tuple[SecretFile, ...]:
        """Raises InputError when they are too big together."""
        if not self._files:
            return ()
        files = (*self._files.values(), *_cloudpickle_files())
        size = sum(len(each.content) for each in files)
        if size > MAX_BYTES:
            biggest = max(self._files.values(), key=lambda each: len(each.content))
            raise InputError(
                f"{self._sources[biggest.key]} is {len(biggest.content)} bytes when it is pickled, {size} with all "
                f"that goes along, and a Secret holds {MAX_BYTES}: what does it hold on to? Load big data in the "
                "function itself, or put the function into a module of the image"
            )
        return files

    def name_for(self, function: Callable[..., object], hook: Hook) -> str:
        """The name of a callback where it will run."""
        return name_of(function) or self.add(function, hook.name.lower())

    def add(self, function: Callable[..., object], stem: str) -> str:
        """The name of a function that is pickled in any case."""
        number = sum(each.startswith(PREFIX + stem) for each in self._files) + 1
        key = f"{PREFIX}{stem}{f'_{number}' if number > 1 else ''}.py"
        attribute = getattr(flows.function_of(function), "__name__", "")
        if not attribute.isidentifier() or attribute.startswith("_"):
            attribute = "function"
        label = described(function)
        self._files[key] = SecretFile(key, key, source(pickled(function, label), attribute, label).encode())
        self._sources[key] = label
        return f"{self.directory}/{key}:{attribute}"


def described(function: object) -> str:
    plain = flows.function_of(function)
    name = getattr(plain, "__qualname__", None) or type(plain).__name__
    return f"{name} of {getattr(plain, '__module__', None) or 'nowhere'}"


def pickled(function: object, label: str) -> bytes:
    """Raises InputError: it can't be pickled, or cloudpickle isn't here."""
    try:
        import cloudpickle
    except ImportError:
        raise InputError(
            f"{label} can't be imported by a name, so it has to be pickled, and that needs cloudpickle: "
            "pip install 'podhooks[environments]', or put it into a module"
        ) from None
    try:
        return bytes(cloudpickle.dumps(function))
    except Exception as error:
        raise InputError(
            f"{label} can't be pickled: {one_line(error)}; make what it uses inside the function, "
            "or put the function into a module of the image"
        ) from error


def source(pickle: bytes, attribute: str, label: str) -> str:
    """The text of a Python file that has the function under the name `attribute`."""
    return SOURCE.format(
        attribute=attribute,
        label=label,
        version=sys.version_info[:2],
        text=base64.b64encode(pickle).decode("ascii"),
    )


SOURCE = '''"""Made by Podhooks: {label}, pickled."""
import sys

MADE_BY, HERE = {version}, tuple(sys.version_info[:2])
if HERE != MADE_BY:
    raise ImportError(
        "{label} was pickled by Python %d.%d and this is Python %d.%d: run it in an image with the same version, "
        "or put it into a module of the image" % (*MADE_BY, *HERE)
    )

import base64
import os
import pickle

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # cloudpickle is there, if the image has none

{attribute} = pickle.loads(base64.b64decode("{text}"))
'''


def _cloudpickle_files() -> list[SecretFile]:
    import cloudpickle

    directory = Path(cloudpickle.__file__).parent
    return [
        SecretFile(f"cloudpickle-{path.name}", f"cloudpickle/{path.name}", path.read_bytes())
        for path in sorted(directory.glob("*.py"))
    ]


def parameters_text(parameters: Mapping[str, Any]) -> str | None:
    """As JSON, if that is what they are; else None."""
    import json

    try:
        text = json.dumps(dict(parameters), allow_nan=False)
        return text if json.loads(text) == dict(parameters) else None
    except (TypeError, ValueError, RecursionError):
        return None
