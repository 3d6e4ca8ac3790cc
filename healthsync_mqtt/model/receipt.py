"""Receipts: what the bridge tells a sending device about each of its events."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.model.event import Rejection

TOPIC_SHOWN: Final = 128
"""Characters of the topic of a refused message that a receipt names."""


class RejectedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rejected event of a receipt: its place in the delivery, its id if readable, and why."""

    index: int
    id: str | None
    code: str
    field: str | None = None
    message: str = ""
    #: the same event may be accepted later: keep it, wait, send it again
    retry: bool = False
    #: the service keeps the event and takes it by itself when its clock allows. It has room for some only: who keeps it
    #: and sends it again now and then loses none
    held: bool = False
    #: it is a whole message that went nowhere: its topic (128 characters), and the longest packet, if it is too long
    topic: str | None = None
    limit: int | None = None


class Receipt(msgspec.Struct, frozen=True):
    """What happened to the events of one delivery, or of several that one commit took together.

    ``epoch`` names the log; ``seq`` is how far the user's own events in it are, whoever of the user's devices sent
    them. ``stored`` and ``duplicate`` are lists of ids, or counts when the delivery was a named batch.
    ``rejected[].code`` is a word of Reason, or a newer one.
    """

    epoch: str
    seq: int
    batch: str | None = None
    stored: list[str] | int = 0
    duplicate: list[str] | int = 0
    rejected: list[RejectedEvent] = []
    #: what the sender asked for and did not get: ``retain``
    ignored: list[str] = []
    #: so many more events of the batch were rejected than are listed: it was too long to say which
    unlisted: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Receipt).decode


def rejected_entry(rejection: Rejection) -> dict[str, Any]:
    """A rejection as an entry of ``rejected`` in a receipt."""
    entry: dict[str, Any] = {"index": rejection.index, "id": rejection.id, "code": rejection.reason.value}
    if rejection.field is not None:
        entry["field"] = rejection.field
    entry["message"] = rejection.message
    if rejection.retry:
        entry["retry"] = True
    if rejection.due_us is not None:
        entry["held"] = True
    return entry


def encode_entry(rejection: Rejection) -> str:
    """The same as compact JSON."""
    return _encode(rejected_entry(rejection)).decode()


def encode_receipt(  # noqa: PLR0917  # one argument a key, in their order
    epoch: str,
    seq: int,
    batch: str | None,
    stored: Sequence[str] | int,
    duplicate: Sequence[str] | int,
    rejected: Sequence[dict[str, Any]] = (),
    ignored: Sequence[str] = (),
    unlisted: int = 0,
) -> bytes:
    """One receipt message as compact JSON; ``rejected`` as made by ``rejected_entry``; no batch, no ``batch`` key."""
    receipt: dict[str, Any] = {"epoch": epoch, "seq": seq}
    if batch is not None:
        receipt["batch"] = batch
    receipt["stored"] = stored
    receipt["duplicate"] = duplicate
    receipt["rejected"] = rejected
    if ignored:
        receipt["ignored"] = ignored
    if unlisted:
        receipt["unlisted"] = unlisted
    return _encode(receipt)


def parse_receipt(payload: bytes) -> Receipt:
    """The receipt in a message; fields of newer bridges are ignored. Raises InputError when it is none."""
    try:
        return _decode(payload)
    except msgspec.MsgspecError as error:
        raise InputError(
            f"not a receipt: {error}", hint="subscribe to users/{user}/devices/{device}/receipts"
        ) from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"not a receipt: {type(error).__name__}") from None
