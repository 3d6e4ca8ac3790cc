"""What the clients saw, and whether the log agrees with it.

The rule: what was acknowledged is stored, what is stored was sent by that user's device with that value, each event
once, whatever happened to the service in between.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from healthsync_mqtt.model.receipt import Receipt
from healthsync_mqtt.model.record import Record

_value = msgspec.json.Decoder().decode


class Key(NamedTuple):
    """An event as its user names it."""

    user: str
    id: str


class Sent(NamedTuple):
    """What the sender knows about its event."""

    device: str
    bpm: int


@dataclass(slots=True)
class History:
    """Everything sent and everything heard, by all clients of a run."""

    sent: dict[Key, Sent] = field(default_factory=dict)
    acknowledged: set[Key] = field(default_factory=set)
    receipted: set[Key] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    unread: list[Key] = field(default_factory=list)

    def send(self, user: str, device: str, event_id: str, bpm: int) -> None:
        """Call before the first byte leaves: an event may be stored and its acknowledgement lost."""
        self.sent[Key(user, event_id)] = Sent(device, bpm)

    def acknowledge(self, keys: Iterable[Key]) -> None:
        """A PUBACK or PUBREC came for the message that carried these events."""
        for key in keys:
            if key not in self.acknowledged:
                self.acknowledged.add(key)
                self.unread.append(key)

    def receipt(self, user: str, device: str, receipt: Receipt) -> None:
        """A receipt came on this device's topic; batches without names are receipted by id."""
        for listed in (receipt.stored, receipt.duplicate):
            if isinstance(listed, int):
                continue
            for event_id in listed:
                key = Key(user, event_id)
                sent = self.sent.get(key)
                if sent is None or sent.device != device:
                    self.violations.append(f"{user}/{device} got a receipt for {event_id}, which it did not send")
                elif key not in self.receipted:
                    self.receipted.add(key)
                    self.unread.append(key)
        self.violations += [
            f"{user}/{device}: event {entry.id} was rejected: {entry.code} {entry.field}" for entry in receipt.rejected
        ]

    def promised(self) -> list[Key]:
        """The events that were acknowledged or receipted since the last call."""
        keys, self.unread = self.unread, []
        return keys


@dataclass(slots=True)
class LogCheck:
    """Reads the log from where it stopped the last time and compares it with the history."""

    history: History
    stored: dict[Key, int] = field(default_factory=dict)
    seq: int = 0
    epoch: str = ""

    def read(self, rows: Iterable[Record], epoch: str) -> Iterator[str]:
        """One line for each row that must not be there; ``rows`` are those after ``seq``."""
        if self.epoch and epoch != self.epoch:
            yield f"the log's epoch changed from {self.epoch} to {epoch}"
        self.epoch = epoch
        for row in rows:
            key = Key(row.user, row.id)
            if row.seq <= self.seq:
                yield f"seq {row.seq} does not follow {self.seq}"
            self.seq = row.seq
            if key in self.stored:
                yield f"{row.user}/{row.id} is stored twice: seq {self.stored[key]} and {row.seq}"
            self.stored[key] = row.seq
            sent = self.history.sent.get(key)
            if sent is None:
                yield f"seq {row.seq}: {row.user}/{row.id} was never sent by a device of this user"
            elif (row.device, _value(row.body)["value"]) != (sent.device, {"bpm": sent.bpm}):
                yield f"seq {row.seq}: {row.user}/{row.id} is stored with another device or value than it was sent with"

    def missing(self, promised: Iterable[Key]) -> Iterator[str]:
        """One line for each acknowledged event that is not in what was read so far."""
        for user, event_id in promised:
            if (user, event_id) not in self.stored:
                yield f"{user}/{event_id} was acknowledged and is not in the log"
