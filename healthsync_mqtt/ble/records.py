"""The Record Access Control Point (Glucose Service 1.0.1, 3.4): how a device is asked for what it has stored."""

from typing import Final, NamedTuple

from healthsync_mqtt.ble.octets import Octets, u8

_REPORT: Final = 1
_ALL, _FROM = 1, 3
_BY_SEQUENCE: Final = 1
_RESPONSE: Final = 6
_SUCCESS, _NONE_FOUND = 1, 6
_TEXTS: Final = {
    2: "it does not know the request",
    3: "the operator is invalid",
    4: "it does not know the operator",
    5: "the operand is invalid",
    7: "it was aborted before it was done",
    8: "it could not end it",
    9: "it does not know the operand",
}


class RecordsAnswer(NamedTuple):
    """What the device says of a request."""

    code: int

    @property
    def refused(self) -> bool:
        """Whether the records did not come; none being there is no refusal."""
        return self.code not in {_SUCCESS, _NONE_FOUND}

    @property
    def text(self) -> str:
        """The same for people."""
        return _TEXTS.get(self.code, f"it answers {self.code}")


def ask_all() -> bytes:
    """Report all stored records."""
    return bytes((_REPORT, _ALL))


def ask_from(sequence: int) -> bytes:
    """Report stored records from this sequence number on, it included."""
    return bytes((_REPORT, _FROM, _BY_SEQUENCE)) + sequence.to_bytes(2, "little")


def read_answer(value: bytes) -> RecordsAnswer:
    """A response to a request. RefusedError for a value that is too short."""
    octets = Octets(value)
    code, _, request, answer = u8(octets), u8(octets), u8(octets), u8(octets)
    return RecordsAnswer(answer if (code, request) == (_RESPONSE, _REPORT) else 0)
