"""Who a connection is: the role and what it is bound to. Made by identity, read by every access decision."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared

EVERY_PROVIDER: Final = "*"
"""The provider of an adapter that works for all of them: no topic has a level like it."""


class Role(StrEnum):
    """What a principal may be; the words of ``topics.yaml`` and of the token's ``role`` claim."""

    device = "device"
    subscriber = "subscriber"
    admin = "admin"
    adapter = "adapter"
    bridge = "bridge"
    #: holds a one-time code or a refresh token, and may exchange it for an access token
    enroll = "enroll"
    #: the HTTP gateway: publishes on the topics of devices what they sent to it, and whom it has let in it decides
    gateway = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated identity.

    A device is bound to ``user`` and ``device``; a subscriber to ``users`` and ``types``; an adapter to ``provider``
    (EVERY_PROVIDER: all of them) and ``users``; a bridge to ``users`` where it names some. None means all users or all
    types and has to be said: what is left out grants nothing.
    """

    role: Role
    client_id: str
    user: str | None = None
    device: str | None = None
    provider: str | None = None
    users: frozenset[str] | None = frozenset()
    types: frozenset[str] | None = frozenset()
    named: frozenset[str] = frozenset()
    """Where ``types`` is None: the types beside the general ones, which are asked for by name."""
    formats: frozenset[str] = frozenset()
    """Of a device: the payload formats in which it may send messages, beside our own events."""
    declared: Declared = NOTHING_DECLARED
    """Of a device: what its login says of these messages, because they do not."""
    batches: bool = False
    """Whether canonical events come as arrays where several wait; otherwise each is a message of its own."""
