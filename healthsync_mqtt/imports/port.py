"""The port of a kind of archive: what somebody brings, as events that a device of theirs would have sent.

A reader decides nothing that the service decides (ranges, consent, duplicates): its events go through the broker like
everybody's. It says of everything in the archive what becomes of it: an event, or why it is left out, and where it was.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from healthsync_mqtt.formats.omissions import PassedOver
from healthsync_mqtt.formats.port import AppMessage, Event
from healthsync_mqtt.imports.source import Member
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.reasons import Reason

__all__ = ["Archive", "Event", "Item", "LeftOut", "PassedOver", "Read", "Reading", "Remark", "Remembered", "Whose"]


class LeftOut(NamedTuple):
    """What becomes no event. ``place`` is where in the archive it is, ``text`` what there is to say of it."""

    reason: Reason | PassedOver
    place: str
    text: str = ""
    count: int = 1  # type: ignore[assignment]  # the field shadows tuple.count, which nobody calls


class Read(NamedTuple):
    """An event, and where in the archive it was."""

    event: Event
    place: str = ""


class Remark(NamedTuple):
    """Something that whoever imports should know and that leaves nothing out: two totals that differ."""

    place: str
    text: str


class Remembered(NamedTuple):
    """What a kind wants to know at the next import of the same device. It is kept when this one is at its end."""

    kind: str
    state: bytes


Item = Read | LeftOut | Remark | Remembered
Reading = Iterator[Item]


class Whose(NamedTuple):
    """For whom an archive is read, what was said of it because it does not, and what kinds remember, by their names."""

    user: str
    device: str
    declared: Declared = NOTHING_DECLARED
    now_us: int = 0
    memory: Mapping[str, bytes] = MappingProxyType({})

    def message(self, payload: bytes) -> AppMessage:
        """A document of an archive as an app would send it now."""
        return AppMessage(payload, self.user, self.device, at_us=self.now_us, declared=self.declared)


class Archive(Protocol):
    """A kind of archive. Pure: the same members for the same person are the same items in the same order."""

    name: str
    summary: str

    def recognises(self, member: Member, head: bytes) -> bool:
        """Whether a member is of this kind, by its first bytes."""
        ...

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """All that its members hold; memory does not grow with them. They come in the order of their names.

        Raises nothing for what is in them: it is left out, with its place.
        """
        ...
