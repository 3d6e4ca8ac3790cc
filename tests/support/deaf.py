"""Things of which one method has stopped working: by those a suite of a port is tried itself."""

import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

_NOTHING: Final[Mapping[Any, Callable[[], Any]]] = types.MappingProxyType(
    {int: int, str: str, bytes: bytes, bool: bool, float: float, list: list, dict: dict}
)


def members(port: type) -> list[str]:
    """The methods and properties of a port that its users use."""
    return [
        name
        for name, member in inspect.getmembers(port)
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    ]


def nothing(method: Callable[..., Any]) -> Any:
    """What a method that has nothing to say answers, by its annotation."""
    said = typing.get_type_hints(method).get("return", type(None))
    kind = typing.get_origin(said) or said
    if kind in (types.UnionType, typing.Union):
        return None
    if isinstance(kind, type) and issubclass(kind, Collection) and kind not in _NOTHING:
        return []
    return _NOTHING.get(kind, lambda: None)()


class Deaf:
    """``whole``, of whose methods ``name`` does nothing; or, ``stuck``, gives its first answer for ever."""

    def __init__(self, whole: Any, port: type, name: str, *, stuck: bool) -> None:
        self._whole, self._port, self._name, self._stuck = whole, port, name, stuck
        self._first: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name != self._name:
            return getattr(self._whole, name)
        member = getattr(self._port, name)
        if isinstance(member, property):
            assert member.fget is not None
            return getattr(self._whole, name) if self._stuck else nothing(member.fget)
        return self._again if self._stuck else self._silent

    def _silent(self, *_: Any, **__: Any) -> Any:
        return nothing(getattr(self._port, self._name))

    def _again(self, *given: Any, **named: Any) -> Any:
        if not self._first:
            self._first.append(getattr(self._whole, self._name)(*given, **named))
        return self._first[0]


def fails(clause: Callable[[], object]) -> bool:
    """Whether a clause says that a promise is broken."""
    try:
        clause()
    except (AssertionError, LookupError, TypeError, AttributeError, ValueError):
        return True
    return False


def faults(names: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Each method in each of the two ways."""
    for name in names:
        yield name, False
        yield name, True
