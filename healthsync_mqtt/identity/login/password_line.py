"""Passwords that wait to be checked, which takes some 40 ms each. Pure.

Whoever guesses fills no more than places of their own: a few for a name, some more for an address, and when the line is
full the address with most of them gives one up for whoever has fewer. Addresses take turns, so one password from
elsewhere is checked after one of each, however many others wait.
"""

from typing import Final, NamedTuple

_MOST: Final = 64
_MOST_OF_ADDRESS: Final = 8
_MOST_OF_NAME: Final = 2
"""Places of all, of one address, and of one name from one address."""


class Claim(NamedTuple):
    """Who says who they are from where, with the digest of a password."""

    address: str
    name: str
    digest: bytes


class PasswordLine:
    """The line. Each claim has one place in it, however often it is made."""

    def __init__(self) -> None:
        #: by address, the one whose turn is next first; of each the oldest first
        self._waiting: dict[str, dict[Claim, str]] = {}
        self._total = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._total

    def add(self, claim: Claim, text: str) -> bool:
        """Whether the password has a place now; not when the line is full of those who have no more of it."""
        own = self._waiting.get(claim.address, {})
        if claim in own:
            return True
        if len(own) >= _MOST_OF_ADDRESS or sum(each.name == claim.name for each in own) >= _MOST_OF_NAME:
            return False
        if self._total >= _MOST:
            crowd = max(self._waiting.values(), key=len)
            if len(crowd) <= len(own) + 1:
                return False
            self._drop(next(reversed(crowd)))
        self._waiting.setdefault(claim.address, own)[claim] = text
        self._total += 1
        return True

    def round(self) -> list[tuple[Claim, str]]:
        """The oldest of each address; they stay in their places until they are ``checked``."""
        return [next(iter(waiting.items())) for waiting in self._waiting.values()]

    def checked(self, claim: Claim) -> None:
        """Its place is free; the address is behind the others for its next one."""
        if claim in self._waiting.get(claim.address, {}):
            self._drop(claim)
            if (left := self._waiting.pop(claim.address, None)) is not None:
                self._waiting[claim.address] = left

    def _drop(self, claim: Claim) -> None:
        waiting = self._waiting[claim.address]
        del waiting[claim]
        self._total -= 1
        if not waiting:
            del self._waiting[claim.address]
