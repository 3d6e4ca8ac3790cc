"""What the gateway asks of a bridge on an external broker, and what it is answered. Pure.

There a PUBACK says that the broker has a message. So the gateway sends what a device brought with a mark of its own,
and the bridge answers after the commit with what its PUBACK says on the broker that is built in.

A call is a line of JSON and, behind the line feed, the bytes as the device sent them: nobody but who decodes events
reads those.
"""

from typing import Annotated, Final, NamedTuple

import msgspec

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.mqtt.links.port import Answer
from healthsync_mqtt.mqtt.replies import Said
from healthsync_mqtt.topics.grammar import ID_MAX, TOPIC_MAX_BYTES

CALL_BYTES: Final = 1_024
"""What a call has beside the bytes that it carries, with its packet's header, at most."""

_MARK = Annotated[str, msgspec.Meta(pattern=f"^[A-Za-z0-9_-]{{1,{ID_MAX}}}$")]


class _CallHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    call: _MARK
    topic: Annotated[str, msgspec.Meta(max_length=TOPIC_MAX_BYTES)]
    traceparent: Annotated[str, msgspec.Meta(max_length=64)] = ""


class _AnswerBody(msgspec.Struct, frozen=True, omit_defaults=True):
    call: _MARK
    code: int = 0
    why: str = ""
    said: tuple[tuple[str, str], ...] = ()


class GatewayCall(NamedTuple):
    """``payload`` belongs on ``topic``; ``call`` is the mark that its answer carries."""

    call: str
    topic: str
    payload: bytes
    traceparent: str = ""


class CallAnswer(NamedTuple):
    """The answer to a call."""

    call: str
    answer: Answer


_encode = msgspec.json.Encoder().encode
_head = msgspec.json.Decoder(_CallHead).decode
_body = msgspec.json.Decoder(_AnswerBody).decode


def encode_call(call: GatewayCall) -> bytes:
    """The call as a payload."""
    return _encode(_CallHead(call.call, call.topic, call.traceparent)) + b"\n" + call.payload


def read_call(data: bytes) -> GatewayCall:
    """The call in a payload. InputError when it is none."""
    end = data.find(b"\n", 0, CALL_BYTES)
    try:
        head = _head(data[: max(0, end)])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InputError("not a gateway's call", hint="gateway and bridge have to be of the same release") from None
    return GatewayCall(head.call, head.topic, data[end + 1 :], head.traceparent)


def encode_answer(call: str, said: Said) -> bytes:
    """What became of the events of a call, as a payload."""
    return _encode(_AnswerBody(call, int(said.reason), said.string, said.about))


def read_answer(data: bytes) -> CallAnswer:
    """The answer in a payload. InputError when it is none."""
    try:
        body = _body(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InputError("not an answer to a call", hint="gateway and bridge have to be of the same release") from None
    return CallAnswer(body.call, Answer(body.code, body.said, body.why))
