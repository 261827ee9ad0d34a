"""Frozen values for code that runs in every pod.

What `dataclasses.dataclass(frozen=True)` gives, without its import: `dataclasses` pulls in `inspect` and costs more
than a bare interpreter start, which every pod would pay (benchmarks/). Type checkers see dataclasses.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the name type checkers know; `typing` costs as much as the rest of our start
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        return lambda cls: cls


@dataclass_transform(frozen_default=True, eq_default=True)
class Value:
    """Fields are the class's annotations, in order, with their defaults.

    Equality, hash and repr leave out fields whose name begins with an underscore. A Value can't be subclassed, since
    its fields are those of one class; a default that can be changed is refused, since all values would share it.
    """

    _fields: tuple[str, ...] = ()
    _public: tuple[str, ...] = ()
    if not TYPE_CHECKING:

        def __init_subclass__(cls) -> None:
            if cls.__bases__ != (Value,):
                raise TypeError(f"{cls.__name__}: a Value can't be subclassed, its fields would be lost")
            cls._fields = tuple(cls.__annotations__)
            cls._public = tuple(name for name in cls._fields if not name.startswith("_"))
            cls.__match_args__ = cls._public
            for name in cls._fields:
                default = cls.__dict__.get(name)
                if isinstance(default, (list, dict, set, bytearray)):
                    raise TypeError(f"{cls.__name__}.{name}: {default!r} can be changed, and would be for all of them")
                if isinstance(default, type(dataclass_transform)):  # a function as a default is a value, not a method
                    setattr(cls, name, staticmethod(default))

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            cls = type(self)
            if len(args) > len(cls._fields):
                raise TypeError(f"{cls.__name__} takes {len(cls._fields)} values, got {len(args)}")
            given = dict(zip(cls._fields, args, strict=False))
            for name, value in kwargs.items():
                if name not in cls._fields or name in given:
                    raise TypeError(f"{cls.__name__} got an unexpected or repeated field {name!r}")
                given[name] = value
            for name in cls._fields:
                if name not in given and name not in cls.__dict__:
                    raise TypeError(f"{cls.__name__} needs {name!r}")
            self.__dict__.update(given)

        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(f"{type(self).__name__} is frozen: can't set {name!r}")

        def __delattr__(self, name: str) -> None:
            raise AttributeError(f"{type(self).__name__} is frozen: can't delete {name!r}")

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        for name in changes:
            if name not in self._fields:
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, **changes)
        return copy

    __replace__ = replace

    def _key(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._public)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Value) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._public)})"
