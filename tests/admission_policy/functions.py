"""The functions that Kubernetes adds to CEL, as far as the policy uses them, and those that the translation needs.

Their types are Kubernetes' own, so that an argument of another type is an error here as it is there. Source:
https://github.com/kubernetes/kubernetes/tree/master/staging/src/k8s.io/apiserver/pkg/cel/library
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import re2
from cel_expr_python import cel
from kubernetes import utils

from tests.admission_policy.translation import ENTRIES, MILLISECONDS, PAIRS

TEXT, NUMBER, TRUTH, ANY = cel.Type.STRING, cel.Type.INT, cel.Type.BOOL, cel.Type.DYN
TEXTS, NUMBERS = cel.Type.List(TEXT), cel.Type.List(NUMBER)
QUANTITY = cel.Type.BYTES  # any type that the policy has no other use for: one of our own can't be given to the engine


def functions() -> list[Any]:
    return [cel.FunctionDecl(name, [overload]) for name, overload in _overloads()]


def _overloads() -> Iterator[tuple[str, Any]]:
    yield "sum", _method(sum, NUMBER, NUMBERS)
    yield "min", _method(min, NUMBER, NUMBERS)
    yield "max", _method(max, NUMBER, NUMBERS)
    yield "find", _method(_find, TEXT, TEXT, TEXT)
    yield "findAll", _method(_find_all, TEXTS, TEXT, TEXT)
    yield "quantity", _function(_quantity, QUANTITY, TEXT)
    yield "isQuantity", _function(_is_quantity, TRUTH, TEXT)
    yield "isGreaterThan", _method(_is_greater, TRUTH, QUANTITY, QUANTITY)
    yield "jsonpatch.escapeKey", _function(_escape_key, TEXT, TEXT)
    yield MILLISECONDS, _method(_milliseconds, NUMBER, cel.Type.DURATION)
    yield PAIRS, _method(dict, cel.Type.Map(TEXT, TEXT), cel.Type.List(TEXTS))
    yield ENTRIES, _method(_merged, cel.Type.Map(TEXT, TEXT), cel.Type.List(cel.Type.Map(TEXT, TEXT)))


def _method(function: Callable[..., Any], gives: Any, *takes: Any) -> Any:
    return cel.Overload(f"{function.__name__}_method", gives, list(takes), True, function)


def _function(function: Callable[..., Any], gives: Any, *takes: Any) -> Any:
    return cel.Overload(f"{function.__name__}_function", gives, list(takes), False, function)


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _find(text: str, pattern: str) -> str:
    found = re2.search(pattern, text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str) -> list[str]:
    return [found[0] for found in re2.finditer(pattern, text)]


def _quantity(text: str) -> bytes:
    _amount(text)
    return text.encode()


def _is_quantity(text: str) -> bool:
    try:
        _amount(text)
    except ValueError:
        return False
    return True


def _is_greater(one: bytes, other: bytes) -> bool:
    return _amount(one.decode()) > _amount(other.decode())


def _amount(text: str) -> Decimal:
    made: Decimal = utils.parse_quantity(text)  # type: ignore[no-untyped-call]
    return made


def _escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _merged(entries: list[dict[str, str]]) -> dict[str, str]:
    """A key that comes twice is an error, as in CEL."""
    made: dict[str, str] = {}
    for each in entries:
        ((key, value),) = each.items()
        if key in made:
            raise ValueError(f"insert failed: key {key} already exists")
        made[key] = value
    return made
