"""JSON documents in formats that apps send as well: read by the same code as their messages."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from healthsync_mqtt.formats.fhir import Fhir
from healthsync_mqtt.formats.fitbit import Fitbit
from healthsync_mqtt.formats.googlefit import GoogleFit
from healthsync_mqtt.formats.health_auto_export import HealthAutoExport
from healthsync_mqtt.formats.open_mhealth import OpenMhealth
from healthsync_mqtt.formats.port import Format, Made, RefusedRecord
from healthsync_mqtt.formats.withings import Withings
from healthsync_mqtt.imports.port import LeftOut, PassedOver, Read, Reading, Remembered, Whose
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import RefusedError

_START: Final = 8192
_LONGEST_LINE: Final = 16 * 1024 * 1024


class Documents:
    """Files in one format, each a document or one a line (``port.Archive``); a mark is in the beginning of each."""

    def __init__(self, form: Format, summary: str, *marks: tuple[bytes, ...], begins: bytes = b"{[") -> None:
        self.name = form.name
        self.summary = summary
        self._form = form
        self._marks = marks
        self._begins = begins

    def recognises(self, member: Member, head: bytes) -> bool:  # noqa: ARG002  # port.Archive
        """JSON whose beginning has all words of one of the marks."""
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:_START]
        return (
            start[:1] in self._begins
            and start[:1] != b""
            and any(all(word in start for word in mark) for mark in self._marks)
        )

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """Each document; what the format remembers goes on from one to the next."""
        state = whose.memory.get(self.name, b"")
        for member in members:
            try:
                for place, document in _documents(member):
                    state = yield from self._document(place, document, whose, state)
            except UnreadableError as error:
                yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))
        if state:
            yield Remembered(self.name, state)

    def _document(self, place: str, document: bytes, whose: Whose, state: bytes) -> Any:
        """The outcomes of one document; returns what the format remembers then."""
        fold = self._form.fold(state, whose.message(document))
        nothing = True
        try:
            while True:
                outcome = next(fold)
                nothing = False
                if isinstance(outcome, Made):
                    yield Read(outcome.event, _at(place, outcome.place))
                elif isinstance(outcome, RefusedRecord):
                    yield LeftOut(outcome.reason, _at(place, outcome.place), outcome.text)
                else:
                    yield LeftOut(PassedOver.WITHDRAWN, place, "its source says that it is gone")
        except StopIteration as end:
            if nothing:
                yield LeftOut(PassedOver.NOT_MEASURED, place, "nothing in it is a measurement")
            kept: bytes = end.value
            return kept
        except RefusedError as refusal:
            yield LeftOut(refusal.code, _at(place, refusal.field or ""), str(refusal))
            return state


def _at(place: str, within: str) -> str:
    return f"{place}: {within}" if within else place


def _documents(member: Member) -> Iterator[tuple[str, bytes]]:
    """The whole member, or each of its lines where the first is a document by itself."""
    with member.open() as file:
        line = file.readline(_LONGEST_LINE)
        if _is_document(line) and file.peek(1):  # type: ignore[attr-defined]  # members are buffered
            number = 1
            while line:
                if line.strip():
                    yield f"{member.shown}:{number}", line
                line = file.readline(_LONGEST_LINE)
                number += 1
            return
    yield member.shown, member.whole()


def _is_document(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


HEALTH_AUTO_EXPORT: Final = Documents(
    HealthAutoExport(),
    "Health Auto Export (JSON)",
    (b'"data"', b'"metrics"'),
    (b'"data"', b'"workouts"'),
    *((b'"data"', b'"%b"' % each) for each in (b"ecg", b"stateOfMind", b"medications", b"symptoms", b"cycleTracking")),
    (b'"metrics"', b'"units"', b'"qty"'),
)
OPEN_MHEALTH: Final = Documents(
    OpenMhealth(), "Open mHealth and IEEE 1752.1 data points", (b'"schema_id"',), (b'"effective_time_frame"',)
)
FHIR: Final = Documents(Fhir(), "FHIR R4 bundles and observations", (b'"resourceType"',))
FITBIT: Final = Documents(
    Fitbit(),
    "answers of the Fitbit Web API",
    (b'"activities-',),
    (b'"weight"', b'"logId"', b'"bmi"'),
    (b'"sleep"', b'"dateOfSleep"'),
    (b'"activities"', b'"caloriesOut"'),
    begins=b"{",
)
GOOGLE_FIT: Final = Documents(GoogleFit(), "data sets of Google Fit", (b'"dataSourceId"', b'"point"'))
WITHINGS: Final = Documents(
    Withings(),
    "answers of the Withings API",
    (b'"measuregrps"',),
    (b'"grpid"', b'"measures"'),
    *((b'"body"', b'"%b"' % each) for each in (b"activities", b"series", b"signal", b"devices", b"profiles")),
)
