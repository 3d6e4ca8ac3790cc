"""What waits in the inbox of who is erased, taken out of it: a delivery about others, too, keeps what is theirs.

Nothing is known here of how a provider says whose something is, but the user's id there: what names it is the user's.
"""

import re
from typing import Any, Final

import jiter
import msgspec

_DEEPEST: Final = 64


def without(body: bytes, account: str) -> bytes | None:
    """The delivery without what is about an account; None where nothing is left, the same where it names nobody."""
    named = re.compile(rf"(?<![A-Za-z0-9]){re.escape(account)}(?![A-Za-z0-9])")
    try:
        document = jiter.from_json(body, allow_inf_nan=False)
    except ValueError:
        # A form, or what nobody can read: of one user.
        return None if named.search(body.decode("utf-8", "replace")) else body
    if not _names(document, named, 0):
        return body
    left = _left(document, named, 0)
    nothing = not left or (isinstance(left, dict) and not any(left.values()))
    return None if nothing else msgspec.json.encode(left)


def _left(document: Any, named: re.Pattern[str], depth: int) -> Any:
    """None where it is about the account. Of a list what is about others is left, and what the list is in stays."""
    if isinstance(document, list):
        return [left for each in document if (left := _left(each, named, depth + 1)) is not None]
    if isinstance(document, dict):
        about = any(
            named.search(name) or (not isinstance(each, list) and _names(each, named, depth + 1))
            for name, each in document.items()
        )
        found = {name: _left(each, named, depth + 1) for name, each in document.items()}
        return None if about else found
    return None if _names(document, named, depth) else document


def _names(document: Any, named: re.Pattern[str], depth: int) -> bool:
    if depth > _DEEPEST:
        return True  # nothing that a provider sends
    if isinstance(document, dict):
        return any(named.search(name) or _names(each, named, depth + 1) for name, each in document.items())
    if isinstance(document, list):
        return any(_names(each, named, depth + 1) for each in document)
    return type(document) in {int, str} and named.search(str(document)) is not None
