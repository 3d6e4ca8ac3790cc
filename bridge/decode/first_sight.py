"""What is good at first sight: a delivery in which all is well, read by types alone. Pure.

Nearly every delivery is one. What is not, for whatever reason, is read again by the exact reader (``delivery``).
"""

from typing import Any

import msgspec

from bridge.decode.exact_json import InexactError, says_the_same
from bridge.decode.read_event import UnreadEnvelope, read_event
from healthsync_mqtt.model.event import Decoded, Event
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.model.text import is_clean, may_be_unclean

_DELETE = 0x7F
_WRAPPED = frozenset({b'{"batch":"', b'{"events":'})
"""How a batch in a wrapper begins."""

_encode = msgspec.json.Encoder().encode


class _Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    batch: str
    events: list[UnreadEnvelope]


_one = msgspec.json.Decoder(UnreadEnvelope).decode
_several = msgspec.json.Decoder(list[UnreadEnvelope]).decode
_batch = msgspec.json.Decoder(_Batch).decode


def at_first_sight(payload: bytes, origin: Origin, latest_us: int, limits: Limits) -> Decoded | None:
    """The short way for a delivery in which all is well, by types alone; None when it is anything else."""
    batch, size = None, len(payload)
    if size > limits.max_payload:
        return None
    try:
        if payload.startswith(b"["):
            read_as: Any = _several(payload)
            envelopes = read_as
        elif payload[:10] in _WRAPPED:
            read_as = _batch(payload)
            envelopes, batch = read_as.events, read_as.batch
            if batch_id(batch, limits) is None:
                return None
        else:
            read_as = _one(payload)
            envelopes = [read_as]
        total = len(envelopes)
        if not 0 < total <= limits.max_events or not says_the_same(payload, _encode(read_as)):
            return None
        if not (payload.isascii() and _DELETE not in payload) and may_be_unclean(payload):
            return None
        events: list[Event] = []
        for envelope in envelopes:
            events.append(read_event(envelope, len(events), origin, latest_us, limits))
    except (RefusedError, InexactError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # Twice as fast as Decoded(...), on the one path where that counts.
    return tuple.__new__(Decoded, (batch, events, [], total, size, size, None))


def batch_id(batch: object, limits: Limits) -> str | None:
    """A batch id that may be one."""
    if isinstance(batch, str) and 0 < len(batch) <= limits.max_batch_id and is_clean(batch):
        return batch
    return None
