"""What openScale exports: a table of weighings, read as the history that openScale-sync sends."""

from typing import Any, Final

import msgspec

from healthsync_mqtt.formats.openscale import Openscale
from healthsync_mqtt.formats.port import Gone, Made
from healthsync_mqtt.imports.port import Item, LeftOut, PassedOver, Read, Reading, Remembered, Whose
from healthsync_mqtt.imports.rows import Row, header_of, number_in, rows_of, time_in
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import RefusedError

_UNITS: Final = {
    "weight": "kg", "fat": "%", "water": "%", "muscle": "%", "bone": "kg", "lbm": "kg", "waist": "cm", "hip": "cm",
    "visceralfat": "", "bmi": "kg/m2", "bmr": "kcal/d",
}  # fmt: skip
"""The columns that are read, and their units, which are always these."""
_NAMES: Final = {"visceralfat": "visceral_fat"}
_TIMES: Final = ("datetime", "date")
_AT_ONCE: Final = 200


class OpenscaleTable:
    """A table of weighings (``port.Archive``)."""

    name = "openscale_csv"
    summary = "openScale's CSV"

    def recognises(self, member: Member, head: bytes) -> bool:  # noqa: ARG002  # port.Archive
        """A time, a weight, and two of what only a scale says."""
        names = set(header_of(head))
        return "weight" in names and bool(names & set(_TIMES)) and len(names & {"fat", "water", "muscle", "bone"}) >= 2

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """All weighings, some at a time; which of them are one weighing is remembered as for messages."""
        state = whose.memory.get(Openscale.name, b"")
        for member in members:
            batch: list[tuple[Row, list[Any]]] = []
            names = [each for each in header_of(member.head()) if each in _UNITS]
            try:
                for row in rows_of(member):
                    place = f"{member.shown}:{row.line}"
                    try:
                        batch.append((row, _cells(row, names, whose)))
                    except RefusedError as refusal:
                        yield LeftOut(refusal.code, place, str(refusal))
                    if len(batch) >= _AT_ONCE:
                        state = yield from _told(member, names, batch, whose, state)
                        batch = []
                state = yield from _told(member, names, batch, whose, state)
            except UnreadableError as error:
                yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))
        if state:
            yield Remembered(Openscale.name, state)


def _cells(row: Row, names: list[str], whose: Whose) -> list[Any]:
    time = next((name for name in _TIMES if row.cells.get(name)), _TIMES[0])
    cells = row.cells
    if time == "date" and cells.get("time"):
        cells = {**cells, "date": f"{cells['date']} {cells['time']}"}
    at = time_in(cells, time, whose.declared.zone)
    return [at.us // 1000, *(number_in(row.cells, name) for name in names)]


def _told(member: Member, names: list[str], batch: list[tuple[Row, list[Any]]], whose: Whose, state: bytes) -> Any:
    """The events of some rows; returns what is remembered then."""
    if not batch:
        return state
    history = {
        "fields": ["date", *(_NAMES.get(name, name) for name in names)],
        "units": {_NAMES.get(name, name): _UNITS[name] for name in names},
        "rows": [cells for _, cells in batch],
    }
    message = whose.message(msgspec.json.encode(history))._replace(topic="openScaleSync/measurements/history")
    fold = Openscale().fold(state, message)
    while True:
        try:
            outcome = next(fold)
        except StopIteration as end:
            return end.value
        yield _item(member, batch, outcome)


def _item(member: Member, batch: list[tuple[Row, list[Any]]], outcome: Any) -> Item:
    if isinstance(outcome, Gone):
        return LeftOut(PassedOver.WITHDRAWN, member.shown)
    place = f"{member.shown}:{batch[min(outcome.index, len(batch) - 1)][0].line}"
    if isinstance(outcome, Made):
        return Read(outcome.event, place)
    return LeftOut(outcome.reason, place, outcome.text)
