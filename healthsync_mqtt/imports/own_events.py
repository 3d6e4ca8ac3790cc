"""JSON of this project: what ``events export`` writes and what devices send, an event a line or all in one."""

from collections.abc import Iterator
from typing import IO, Any, Final

import msgspec

from healthsync_mqtt.imports.port import Item, LeftOut, PassedOver, Read, Reading, Whose
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import Reason

_LONGEST_ID: Final = 128
_LONGEST_LINE: Final = 8 * 1024 * 1024
_GIVEN_BY_THE_LOG: Final = ("user_id", "device_id", "received_at", "seq", "user_seq")
"""What a log gives an event, and another log gives it anew."""
_OURS: Final = (b'"id"', b'"type"')
_EITHER: Final = (b'"start_time"', b'"op"')
_decode = msgspec.json.Decoder().decode


class OwnEvents:
    """Lines, an array, or a batch (``port.Archive``)."""

    name = "own"
    summary = "this project's own JSON: an event a line as `events export` writes them, an array, or a batch"

    def recognises(self, member: Member, head: bytes) -> bool:  # noqa: ARG002  # port.Archive
        """Text that begins with an event, or with a list of them."""
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if start[:1] not in {b"{", b"["} or b'"resourceType"' in start[:4096]:
            return False
        first = start[:8192]
        return all(key in first for key in _OURS) and any(key in first for key in _EITHER)

    def read(self, members: list[Member], whose: Whose) -> Reading:
        """Its events as they are, for another person."""
        del whose  # what an event says of its user is of the log that it comes from
        for member in members:
            yield from _read(member)


def _read(member: Member) -> Iterator[Item]:
    try:
        with member.open() as file:
            first = file.readline(_LONGEST_LINE + 1)
            if _is_line(first):
                yield from _lines(member, first, file)
                return
        yield from _document(member)
    except UnreadableError as error:
        yield LeftOut(PassedOver.DAMAGED, member.shown, str(error))


def _is_line(line: bytes) -> bool:
    """Whether a first line is an event by itself, not the beginning of a document."""
    try:
        found = _decode(line.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and "events" not in found


def _lines(member: Member, line: bytes, file: IO[bytes]) -> Iterator[Item]:
    number = 1
    while line:
        place = f"{member.shown}:{number}"
        if len(line) > _LONGEST_LINE:
            yield LeftOut(Reason.TOO_LARGE, place, f"the line is longer than {_LONGEST_LINE} bytes")
            while len(line) > _LONGEST_LINE and not line.endswith(b"\n"):
                line = file.readline(_LONGEST_LINE + 1)
        elif line.strip():
            try:
                yield _event(_decode(line.removeprefix(b"\xef\xbb\xbf")), place)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                yield LeftOut(Reason.MALFORMED, place, f"not JSON: {error}")
        line = file.readline(_LONGEST_LINE + 1)
        number += 1


def _document(member: Member) -> Iterator[Item]:
    try:
        found = _decode(member.whole().removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        yield LeftOut(Reason.MALFORMED, member.shown, f"not JSON: {error}")
        return
    inner = found["events"] if isinstance(found, dict) and "events" in found else found
    for number, each in enumerate(inner if isinstance(inner, list) else [inner]):
        yield _event(each, f"{member.shown}[{number}]")


def _event(found: Any, place: str) -> Item:
    if not isinstance(found, dict):
        return LeftOut(Reason.MALFORMED, place, "an event is a JSON object")
    event = {key: value for key, value in found.items() if key not in _GIVEN_BY_THE_LOG}
    name = event.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ID:
        return LeftOut(Reason.BAD_ID, place, "the event has no id")
    if event.get("op") == "delete":
        # A tombstone in the log has the keys that others have, with nothing in them.
        event = {key: value for key, value in event.items() if value is not None}
    return Read(event, place)
