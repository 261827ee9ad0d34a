"""How a callback is named: `package.module:function` or `/path/file.py:function`; anything else is explained."""

from __future__ import annotations

from keyword import iskeyword

FORMS = "write package.module:function, /path/file.py:function, or a mapping with exec: [command, ...]"


def split(name: str) -> tuple[str, str]:
    """The module (or absolute file) and the function of a name that has no problem.

    Either may have dots: `package.module:Class.method`.
    """
    place, _, function = name.rpartition(":")
    return place, function


def is_file(name: str) -> bool:
    """Whether the function is in a file given by its path, rather than in a module that can be imported."""
    return name.startswith("/")


def problem(name: str) -> str | None:
    """Why `name` can't be a callback's name and what to write instead; None if it can."""
    place, function = split(name)
    if is_file(name):
        right = place.endswith(".py") and place.isprintable() and ":" not in place
    else:
        right = _dotted(place) and not place.endswith(".py")
    return None if right and _dotted(function) else _explained(name)


def _dotted(text: str) -> bool:
    return all(part.isidentifier() and not iskeyword(part) for part in text.split("."))


def _explained(name: str) -> str:
    return _not_a_name(name) or (_file(name) if is_file(name) else _module(name))


def _not_a_name(name: str) -> str | None:  # a table of what people write instead
    if not name.strip():
        return f"has no name: {FORMS}"
    if name[0] in "'\"":
        return "has quotes around it: write it without them"
    if name.startswith("-"):
        return "starts with a dash: in a list, each entry begins with a dash and a blank"
    if "lambda" in name:
        return "is a lambda, which has no name to be found by: define a function and write package.module:function"
    if "<locals>" in name:
        return "is a function inside a function, which can't be imported: move it to the module's top level"
    if "(" in name:
        called = name.partition("(")[0].strip()
        meant = called if _dotted_name(called) else "package.module:function"
        return f"has parentheses: name the function without calling it, {meant}, and give arguments in `with`"
    if "://" in name:
        return f"is a URL: {FORMS}"
    return None


def _dotted_name(name: str) -> bool:
    return name.count(":") == 1 and problem(name) is None


def _file(name: str) -> str:
    path, colon, function = name.rpartition(":")
    if not colon:
        return f"doesn't name a function: write {name if name.endswith('.py') else '/path/file.py'}:function"
    if ":" in path:
        return "has more than one colon: write /path/file.py:function, and separate names by commas"
    if not path.endswith(".py"):
        return "is a file whose name doesn't end in .py: write /path/file.py:function, or exec: [command, ...]"
    return f"has no function's name behind the colon, but {function[:40]!r}: write {path[:80]}:function"


def _module(name: str) -> str:
    place, colon, function = name.partition(":")
    if "/" in name or "\\" in name or place.endswith(".py"):
        path = place.lstrip("./~") or "path/file.py"
        return f"is a relative path: write where the file is in the container, like /{path}:{function or 'function'}"
    if name.split() != [name]:
        return "has a blank in it: separate names by commas, and write a command as exec: [command, ...]"
    if "::" in name:
        return f"has two colons: write {name.replace('::', ':')}"
    if colon:
        return f"isn't package.module:function, because {_culprit(place, function)}: {FORMS}"
    module, dot, last = name.rpartition(".")
    if dot and _dotted(name):
        return f"has no colon before the function: write {module}:{last}"
    return f"doesn't say which module it is in: {FORMS}"


def _culprit(place: str, function: str) -> str:
    if ":" in function:
        return "it has more than one colon"
    if not _dotted(place):
        return f"{place[:40]!r} can't be a module's name"
    return f"{function[:40]!r} can't be a function's name"
