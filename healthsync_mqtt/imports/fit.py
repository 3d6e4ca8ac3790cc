"""Garmin's FIT files: one by one, or all of an account's export. Counters of days go on from file to file."""

from collections.abc import Iterator
from typing import Final

from healthsync_mqtt.formats.fit.counters import DayBook
from healthsync_mqtt.formats.fit.file_events import FitAside, FitNote, created_s, read_items
from healthsync_mqtt.formats.fit.wire import is_fit
from healthsync_mqtt.imports.port import Item, LeftOut, PassedOver, Read, Reading, Remark, Remembered, Whose
from healthsync_mqtt.imports.source import Member, UnreadableError

MOST_DAYS: Final = 100_000


class FitFiles:
    """FIT files, the oldest first (``port.Archive``)."""

    name = "fit"
    summary = "Garmin FIT files (.fit, .fit.gz), and the zip of an account export"

    def recognises(self, member: Member, head: bytes) -> bool:  # noqa: ARG002  # port.Archive
        """See ``is_fit``."""
        return is_fit(head)

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """All files in the order in which they were begun."""
        book = DayBook(whose.memory.get(self.name, b""), most=MOST_DAYS)
        begun = sorted(
            ((created_s(member.head()), member.name, member) for member in members), key=lambda each: each[:2]
        )
        for _, _, member in begun:
            yield from _file(member, whose, book)
        if book.state:
            yield Remembered(self.name, book.state)


def _file(member: Member, whose: Whose, book: DayBook) -> Iterator[Item]:
    try:
        content = member.whole()
    except UnreadableError as error:
        yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))
        return
    for item in read_items(content, whose.message(content), book):
        if isinstance(item, FitAside):
            yield LeftOut(item.reason, f"{member.shown}: {item.place}", item.text, item.count)
        elif isinstance(item, FitNote):
            yield Remark(f"{member.shown}: {item.place}", item.text)
        else:
            yield Read(item.event, f"{member.shown}: {item.place}")
