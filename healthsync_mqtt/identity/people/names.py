"""Ids and sets of names as the registry takes and keeps them."""

import json
from collections.abc import Iterable
from typing import Final

from healthsync_mqtt.errors import ConflictError, InputError
from healthsync_mqtt.topics.grammar import ID_MAX, is_id

ALL: Final = frozenset({"all", "*"})
"""Words that mean every user or every type where a list of names is expected."""


ERASED: Final = "_erased_"
"""No user: decisions about consent that went with a user leave their number to this name."""

CANARY_NAMES: Final = "healthsync-canary-"
"""What names of those begin with who try an external broker's rules; nobody else has such a name."""

EVERY: Final = "*"
"""In a set of types: the general ones."""


def check_id(what: str, value: object) -> str:
    """``value`` when it is an id; InputError naming ``what`` otherwise. The value itself is not repeated."""
    if not isinstance(value, str) or not is_id(value):
        raise InputError(f"the {what} is not an id", hint=f"use 1 to {ID_MAX} of A-Z a-z 0-9 - _")
    return value


def refuse_kept(user_id: str) -> None:
    """ConflictError for a name that no user may have."""
    kept = ""
    if user_id == ERASED:
        kept = f"the name {ERASED} is kept for users who were erased"
    elif user_id.startswith(CANARY_NAMES):
        kept = f"names that begin with {CANARY_NAMES} are kept for who tries the rules of an external broker"
    if kept:
        raise ConflictError(kept, hint="choose another name")


TITLE_MAX: Final = 64


def checked_title(title: str) -> str | None:
    """What people call something, without spaces around it; None for an empty one. InputError."""
    kept = title.strip()
    if len(kept) > TITLE_MAX or not kept.isprintable():
        raise InputError("this is no title", hint=f"use up to {TITLE_MAX} characters that can be printed, on one line")
    return kept or None


def checked_names(what: str, names: str | Iterable[str] | None) -> frozenset[str] | None:
    """The checked set of names, None for all. A text is "all", "*" or one name."""
    if names is None or (isinstance(names, str) and names in ALL):
        return None
    listed = frozenset([names] if isinstance(names, str) else names)
    if listed and listed <= ALL:
        return None
    if not listed:
        raise InputError(f"no {what} is named", hint="name at least one, or * for all")
    return frozenset(check_id(what, name) for name in listed)


def checked_types(types: str | Iterable[str] | None) -> frozenset[str] | None:
    """The same for types, which may be named beside ``*``: that is in the set then."""
    if types is None or isinstance(types, str):
        return checked_names("type", types)
    listed = frozenset(types)
    if not listed & ALL or listed <= ALL:
        return checked_names("type", listed)
    return frozenset({EVERY}).union(check_id("type", name) for name in listed - ALL)


def dump_names(names: frozenset[str] | None) -> str:
    """A set of names as a column of text."""
    return "*" if names is None else json.dumps(sorted(names))


def load_names(text: str) -> frozenset[str] | None:
    """The set of names in a column of text."""
    return None if text == "*" else frozenset(json.loads(text))
