"""The port of a kind of archive: what somebody brings, as events that a device of theirs would have sent.

A reader decides nothing that the service decides (ranges, consent, duplicates): its events go through the broker like
everybody's. It says of everything in the archive what becomes of it: an event, or why it is left out, and where it was.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, Protocol

from healthsync_mqtt.formats.port import AppMessage, Event
from healthsync_mqtt.imports.source import Member
from healthsync_mqtt.model.declared import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.reasons import Reason

__all__ = ["Archive", "Event", "Item", "LeftOut", "PassedOver", "Read", "Reading", "Remark", "Whose"]


class PassedOver(StrEnum):
    """Why something in an archive becomes no event though nothing is wrong with it, or with the rest of it."""

    #: A file that is none of the kinds that are read here.
    OTHER_FILE = "other_file"
    #: A measurement that is part of another event: of a blood pressure, of a meal.
    PART_OF_ANOTHER = "part_of_another"
    #: The archive says that nothing was measured.
    NOT_MEASURED = "not_measured"
    #: A statistic of a day that the app shows and no reading.
    SUMMARY = "summary"
    #: The clock of the device was not set when it was measured.
    CLOCK_NOT_SET = "clock_not_set"
    #: A time far from all others of its file.
    TIME_FAR_OFF = "time_far_off"
    #: A reading of a counter that does not fit between those before and after it.
    COUNTER_JUMPED = "counter_jumped"
    #: A counter's first reading, where nothing says since when it counts.
    NO_START = "no_start"
    #: The archive is damaged or cut: this part of it cannot be read.
    DAMAGED = "damaged"
    #: Bytes after the end of a file.
    AFTER_THE_END = "after_the_end"
    #: Of another person, or of several of whom nobody knows which is meant.
    OF_OTHERS = "of_others"


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


Item = Read | LeftOut | Remark
Reading = Iterator[Item]


class Whose(NamedTuple):
    """For whom an archive is read, and what was said of it because it does not."""

    user: str
    device: str
    declared: Declared = NOTHING_DECLARED
    now_us: int = 0

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
