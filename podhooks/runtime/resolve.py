"""From a callback's name to a function and its arguments, or to one line that says why not.

Nothing here may run in a program's own process but `check`: importing the user's code can do anything.
"""

from __future__ import annotations

import os
import sys

from podhooks import contract
from podhooks.errors import CallbackNotFound
from podhooks.runtime import bundled, children, forked
from podhooks.runtime.children import CutOff, Watch
from podhooks.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import CodeType, ModuleType, TracebackType

    from podhooks.annotations.plan import Callback
    from podhooks.context import Json, RunContext
    from podhooks.runtime.children import Child, Ended

CHECK_TIMEOUT_SECONDS = 60.0
OWN_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def split_name(call: str) -> tuple[str, str]:
    """`module:function` or `/path/file.py:function` in two."""
    target, colon, attribute = call.rpartition(":")
    if not (target and colon and attribute):
        raise CallbackNotFound(f"{call!r} is not of the form package.module:function or /path/file.py:function")
    return target, attribute


def first_directory(call: str) -> str:
    """What is to be first on the import path: the file's own directory, as `python FILE` has it; else empty."""
    target, _ = split_name(call)
    return os.path.dirname(os.path.abspath(target)) if is_file(target) else ""


def is_file(target: str) -> bool:
    return target.endswith(".py") or "/" in target


def load(call: str) -> Callable[..., object]:
    """The function that `call` names; raises CallbackNotFound with one line: cause and next step."""
    target, attribute = split_name(call)
    found: object = import_file(target) if is_file(target) else import_module(target)
    names = attribute.split(".")
    for depth, name in enumerate(names):
        if not hasattr(found, name):
            owner = f"{target}:{'.'.join(names[:depth])}".rstrip(":")
            raise CallbackNotFound(f"{owner} has no {name!r}{did_you_mean(name, public_names(found))}")
        found = getattr(found, name)
    if not callable(found):
        raise CallbackNotFound(f"{call} is not callable: it is a {type(found).__name__}; name a function")
    return found


def import_module(name: str) -> ModuleType:
    try:
        uncover(name.partition(".")[0])
        __import__(name)
        return sys.modules[name]
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise CallbackNotFound(missing_module(name, error.name)) from error
        raise CallbackNotFound(import_failure(name, error)) from error
    except BaseException as error:
        raise CallbackNotFound(import_failure(name, error)) from error


def uncover(name: str) -> None:
    """A module of the standard library that our program has loaded must not pass for the user's of the same name."""
    loaded = sys.modules.get(name)
    if loaded is None or name not in sys.stdlib_module_names:
        return
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(name)
    if spec is not None and spec.origin != getattr(loaded, "__file__", None):
        for each in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
            del sys.modules[each]


def import_file(path: str) -> ModuleType:
    """The module in a file, under the file's own name, so that what it defines can be pickled and found again."""
    import importlib.util

    if not os.path.isfile(path):
        raise CallbackNotFound(f"{path}: no such file in this container; mount it in the main container, too")
    name = os.path.splitext(os.path.basename(path))[0]
    known = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", None) == path:
            return known
        name = "podhooks_file_" + path.replace("/", "_").removesuffix(".py").replace(".", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CallbackNotFound(f"{path} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise CallbackNotFound(import_failure(path, error)) from error
    return module


def missing_module(name: str, missing: str) -> str:
    """One line for a module that isn't there, with the nearest names beside where it should be."""
    import pkgutil

    parent, _, leaf = missing.rpartition(".")
    path = getattr(sys.modules.get(parent), "__path__", []) if parent else None
    if parent and not path:
        return f"no module named {name!r}: {parent!r} is a module, not a package"
    names = (module.name for module in pkgutil.iter_modules(path))
    # `hooks` is what users call their own module: no misspelt `podhooks`
    suggestion = did_you_mean(leaf, (each for each in names if leaf[:3] == "pod" or not each.startswith("podhooks")))
    where = f"in {parent}" if parent else f"on the import path (current directory: {forked.current_directory()})"
    return f"no module named {missing!r} {where}{suggestion or not_installed()}"


def not_installed() -> str:
    if not bundled.is_bundled():
        return "; is it installed in this image?"
    return (
        f"; {contract.PYTHON}: {contract.BUNDLED_PYTHON} has Python's own modules only: name a file (/path/file.py:"
        "function), a command, or the image's own interpreter"
    )


def import_failure(name: str, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{name} can't be imported: {type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    what = "it called sys.exit" if isinstance(error, SystemExit) else one_line(error)
    return f"{name} can't be imported: {what}{place(error.__traceback__)}"


def one_line(error: BaseException) -> str:
    """Type and text of an exception in one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  the user's own __str__
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place(trace: TracebackType | None) -> str:
    """The user's innermost line in a traceback."""
    found = ""
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if is_users(filename):
            found = f" ({filename}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return found


def is_users(filename: str) -> bool:
    """Not a frame of ours, nor of the import system."""
    return not filename.startswith(("<frozen ", OWN_DIR + os.sep)) and "/importlib/" not in filename


def did_you_mean(name: str, names: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, sorted(set(names)), n=2)
    return f"; did you mean {' or '.join(repr(match) for match in near)}?" if near else ""


def public_names(found: object) -> list[str]:
    return [name for name in dir(found) if not name.startswith("__")]


class Parameter(Value):
    """What calling a function takes. `kind` is inspect's name of it."""

    name: str
    kind: str
    required: bool = False


FUNCTION = type(is_file)  # types.FunctionType
VARIABLE = ("VAR_POSITIONAL", "VAR_KEYWORD")
POSITIONAL = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")
NAMED = ("POSITIONAL_OR_KEYWORD", "KEYWORD_ONLY")
CO_VARARGS, CO_VARKEYWORDS, CO_GENERATOR, CO_ASYNC_GENERATOR = 0x04, 0x08, 0x20, 0x200  # as in inspect


def parameters(function: Callable[..., object]) -> list[Parameter] | None:
    """None when nobody can tell, as for some functions written in C.

    A plain function's are read from its code: importing `inspect` takes as long as starting an interpreter.
    """
    code = getattr(function, "__code__", None)
    if type(function) is FUNCTION and code is not None and not hasattr(function, "__wrapped__"):
        return plain_parameters(function, code)
    import inspect

    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [Parameter(p.name, p.kind.name, p.default is p.empty and p.kind.name not in VARIABLE) for p in found]


def plain_parameters(function: Callable[..., object], code: CodeType) -> list[Parameter]:
    only, positional, count = code.co_posonlyargcount, code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames
    required = positional - len(getattr(function, "__defaults__", None) or ())
    found = [Parameter(name, POSITIONAL[n >= only], n < required) for n, name in enumerate(names[:positional])]
    keywords = getattr(function, "__kwdefaults__", None) or {}
    found += [Parameter(name, "KEYWORD_ONLY", name not in keywords) for name in names[positional:count]]
    if code.co_flags & CO_VARARGS:
        found.append(Parameter(names[count], "VAR_POSITIONAL"))
    if code.co_flags & CO_VARKEYWORDS:
        found.append(Parameter("**", "VAR_KEYWORD"))
    return found


def bind(
    function: Callable[..., object], arguments: Mapping[str, Json], context: RunContext | None
) -> tuple[list[object], dict[str, object]]:
    """What to call `function` with; raises CallbackNotFound when it can't take `arguments`.

    The context goes to a parameter named `context`, else to the one positional parameter that must have a value and
    that `arguments` doesn't name.
    """
    if getattr(getattr(function, "__code__", None), "co_flags", 0) & (CO_GENERATOR | CO_ASYNC_GENERATOR):
        raise CallbackNotFound("it is a generator function, calling it would run nothing of it; take out its `yield`")
    takes = parameters(function)
    if takes is None:
        return [], dict(arguments)
    taker = context_parameter(takes, arguments)
    complain_about_arguments(takes, arguments, taker)
    if taker is None:
        return [], dict(arguments)
    if taker.kind == "POSITIONAL_ONLY":
        return [context], dict(arguments)
    return [], {taker.name: context, **arguments}


def context_parameter(takes: Sequence[Parameter], arguments: Mapping[str, Json]) -> Parameter | None:
    free = [each for each in takes if each.name not in arguments and each.kind not in VARIABLE]
    named = (each for each in free if each.name == "context")
    needed = (each for each in free if each.required and each.kind in POSITIONAL)
    return next(named, None) or next(needed, None)


def complain_about_arguments(
    takes: Sequence[Parameter], arguments: Mapping[str, Json], taker: Parameter | None
) -> None:
    names = [each.name for each in takes if each.kind in NAMED]
    if all(each.kind != "VAR_KEYWORD" for each in takes):
        for name in arguments:
            if name not in names:
                near = did_you_mean(name, names) or f"; it takes {', '.join(names) or 'none'}"
                raise CallbackNotFound(f"it takes no argument {name!r} (given in `with`){near}")
    for each in takes:
        if each.required and each is not taker and each.name not in arguments:
            raise CallbackNotFound(f"it needs an argument {each.name!r}; give it in `with`, or give it a default")


def check_command(command: Sequence[str]) -> None:
    """Raises CallbackNotFound unless the command is there and may be executed."""
    import shutil

    if shutil.which(command[0]) is None:
        where = "no such executable file" if "/" in command[0] else f"not found in PATH ({os.environ.get('PATH', '')})"
        raise CallbackNotFound(f"command {command[0]!r}: {where}")


def check_one(callback: Callback, path: Sequence[str]) -> str:
    """Empty when `callback` resolves here, else why not. Imports the user's code; `path` is sys.path without ours."""
    try:
        if callback.exec:
            check_command(callback.exec)
        else:
            sys.path[:] = forked.import_path(path, first_directory(callback.call))
            bind(load(callback.call), callback.arguments, None)
    except CallbackNotFound as error:
        return str(error)
    return ""


def check(callbacks: Sequence[Callback], timeout_seconds: float = CHECK_TIMEOUT_SECONDS) -> list[str]:
    """One line for each callback that doesn't resolve here."""
    return [f"{key}: {cause}" for key, cause in problems(callbacks, Watch(timeout_seconds)).items()]


def problems(callbacks: Sequence[Callback], watch: Watch) -> dict[str, str]:
    """By its key, why a callback doesn't resolve here.

    They are imported in one child as far as that goes well. What fails beside others is tried again alone, as it will
    be run: they may have changed the directory, or brought a module of the same name.
    """
    return Check(callbacks, watch).finish()


class Check:
    """Begins when it is made, so that the program can do something else until it wants to know."""

    def __init__(self, callbacks: Sequence[Callback], watch: Watch) -> None:
        self._rest = list(callbacks)
        self._watch = watch
        self._child = self._start()

    def _start(self) -> Child | Ended | None:
        return children.start(children.Work("check", report_each(self._rest))) if self._rest else None

    def finish(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while self._child is not None:
            ended = children.finish(self._child, self._watch, mark=b"[check] ")
            if ended.cut_off is CutOff.STOPPED:
                break
            answers = ended.report.decode("utf-8", "replace").splitlines()
            if not answers:
                how = f"took more than {self._watch.timeout_seconds:g} s" if ended.cut_off else "ended the process"
                answers.append(f"importing it {how}: {ended.message or 'exited with code 0'}")
            found |= {callback.key: answer for callback, answer in zip(self._rest, answers, strict=False) if answer}
            self._rest = self._rest[len(answers) :]
            self._child = self._start()
        return found


def report_each(callbacks: Sequence[Callback]) -> Callable[[int], int]:
    def work(report: int) -> int:
        forked.run_site()
        path = tuple(sys.path)
        for position, callback in enumerate(callbacks):
            line = " ".join(check_one(callback, path).splitlines())
            if line and position > 0:
                break  # the next child begins with it
            os.write(report, line.encode("utf-8", "replace") + b"\n")
        return 0

    return work
