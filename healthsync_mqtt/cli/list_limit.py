"""What ``--limit`` leaves of a list, in its one meaning: the newest, oldest first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def newest(items: Sequence[T], limit: int | None, when: Callable[[T], str] | None = None) -> Sequence[T]:
    """So many of a list, the newest by ``when``, oldest first; without ``when`` it is in that order. None: all."""
    if limit is None:
        return items
    return (items if when is None else sorted(items, key=when))[-limit:]


def created(item: Mapping[str, Any]) -> str:
    """When something that is listed was added, as text that sorts by time."""
    return str(item["created_at"]).removesuffix("Z")
