"""Who a connection is: the role and what it is bound to. Made by identity, read by every access decision."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a principal may be; the words of ``topics.yaml`` and of the token's ``role`` claim."""

    device = "device"
    subscriber = "subscriber"
    admin = "admin"
    adapter = "adapter"
    bridge = "bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated identity.

    A device is bound to ``user`` and ``device``; a subscriber to ``users`` and ``types`` (None = all of them);
    an adapter to ``device`` = its provider and, when it serves some users only, to ``users``.
    """

    role: Role
    client_id: str
    user: str | None = None
    device: str | None = None
    users: frozenset[str] | None = None
    types: frozenset[str] | None = None
