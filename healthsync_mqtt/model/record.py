"""One row of the event log, and the canonical event that is made of it."""

from typing import Any, NamedTuple

import msgspec

from healthsync_mqtt.model.times import iso

_quote = msgspec.json.Encoder().encode
_parse = msgspec.json.Decoder().decode

#: The words of Op, by its number.
OP_WORDS = ("upsert", "delete")


class Record(NamedTuple):
    """One row of the event log. ``body`` as in Event; ``received_us`` is the bridge's clock when the event came in.

    ``user`` and ``device`` are ids of the topic grammar and ``type`` is a name of the catalogue: none needs escapes.
    ``seq`` is the row's place in the log, for those who may see all of it; ``position`` its place among its user's.
    """

    seq: int
    user: str
    device: str | None
    provider: str | None
    id: str
    type: str
    start_us: int
    end_us: int | None
    received_us: int
    version: int
    op: int
    body: bytes
    position: int


def canonical_json(record: Record) -> bytes:
    """The canonical event as compact JSON.

    ``seq`` is the position among the user's own events: it counts up for each reader and tells nothing of other users.

    Keys in order: seq, id, user_id, device_id, type, start_time, end_time, value, device, utc_offset, source, version,
    op, received_at. ``value`` is null for a delete, and so is ``start_time`` where the delete named none; device,
    utc_offset and source are absent where the sender gave none. Times are UTC with microseconds.
    """
    _, user, device, _, event_id, type_name, start_us, end_us, received_us, version, op, body, position = record
    device_text = "null" if device is None else f'"{device}"'
    start_text = "null" if op and not start_us else f'"{iso(start_us)}"'
    end_text = "null" if end_us is None else f'"{iso(end_us)}"'
    detail = body[1:-1].decode()
    if not detail.startswith('"value":'):
        detail = f'"value":null,{detail}' if detail else '"value":null'
    return (
        f'{{"seq":{position},"id":{_quote(event_id).decode()},"user_id":"{user}","device_id":{device_text},'
        f'"type":"{type_name}","start_time":{start_text},"end_time":{end_text},{detail},'
        f'"version":{version},"op":"{OP_WORDS[op]}","received_at":"{iso(received_us)}"}}'
    ).encode()


def canonical_dict(record: Record) -> dict[str, Any]:
    """The canonical event as JSON values, the same keys in the same order as ``canonical_json``."""
    event: dict[str, Any] = _parse(canonical_json(record))
    return event


def admin_json(record: Record) -> bytes:
    """The canonical event for those who may see the whole log: ``seq`` is the place in it, ``user_seq`` the user's."""
    rest = canonical_json(record).removeprefix(b'{"seq":%d' % record.position)
    return b'{"seq":%d,"user_seq":%d%b' % (record.seq, record.position, rest)


def admin_dict(record: Record) -> dict[str, Any]:
    """The same as JSON values."""
    event: dict[str, Any] = _parse(admin_json(record))
    return event
