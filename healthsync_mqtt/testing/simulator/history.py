"""What clients sent and were told, and whether log, subscribers and sinks agree with it: the promises as checks.

Every check returns sentences; none is good. G1 to G7 are those of docs/guarantees.md.
"""

import json
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from healthsync_mqtt.model.record import Record


class Key(NamedTuple):
    """An event as its user names it."""

    user: str
    id: str


class Version(NamedTuple):
    """One version of an event as it was sent: its rank decides, its value is what must be stored."""

    rank: int
    device: str
    value: Any


@dataclass(slots=True)
class History:
    """Everything that was sent and everything that was heard, by all clients of a run."""

    sent: dict[Key, dict[int, Version]] = field(default_factory=dict)
    #: what must be refused: ids of events that no log may ever hold
    bad: set[Key] = field(default_factory=set)
    #: the highest rank of each event that its sender was told is stored
    acknowledged: dict[Key, int] = field(default_factory=dict)
    #: ids that their sender was told are refused
    refused: set[Key] = field(default_factory=set)
    #: canonical events by subscriber: every (user, id, rank) that arrived
    heard: dict[str, set[tuple[str, str, int]]] = field(default_factory=dict)
    #: numbers of commands by device: what its sender was told is on its way, and what came, in the order of both
    commanded: dict[str, list[int]] = field(default_factory=dict)
    obeyed: dict[str, list[int]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def send(self, user: str, device: str, event: dict[str, Any], *, bad: bool) -> None:
        """Before the first byte leaves: an event may be stored and its acknowledgement lost."""
        key = Key(user, event["id"])
        if bad:
            self.bad.add(key)
            return
        rank = event.get("version", 0) * 2 + (event.get("op") == "delete")
        self.sent.setdefault(key, {})[rank] = Version(rank, device, event.get("value"))

    def acknowledge(self, user: str, event: dict[str, Any]) -> None:
        """The sender was told that this event is in the log (or the PUBACK of its message came)."""
        key = Key(user, event["id"])
        if key not in self.bad:
            rank = event.get("version", 0) * 2 + (event.get("op") == "delete")
            self.acknowledged[key] = max(self.acknowledged.get(key, -1), rank)

    def refuse(self, user: str, event_id: str) -> None:
        """The sender was told that this event is refused."""
        key = Key(user, event_id)
        self.refused.add(key)
        if key not in self.bad:
            self.violations.append(f"G3: {user}/{event_id} is a good event and was refused")

    def hear(self, subscriber: str, topic: str, payload: bytes, users: frozenset[str] | None) -> None:
        """A canonical message came to a subscriber who may see ``users`` (None: all)."""
        found = json.loads(payload)
        for event in found if isinstance(found, list) else [found]:
            user = event["user_id"]
            if (users is not None and user not in users) or topic.split("/")[1] != user:
                self.violations.append(f"G4: {subscriber} got an event of {user} on {topic}")
            rank = event["version"] * 2 + (event["op"] == "delete")
            self.heard.setdefault(subscriber, set()).add((user, event["id"], rank))

    # -- checks

    def log(
        self,
        rows: Iterable[Record],
        gone: AbstractSet[tuple[str, str]] = frozenset(),
        held: AbstractSet[tuple[str, str, int]] = frozenset(),
    ) -> Iterator[str]:
        """G1, G2, G3 and G5 against everything in the log.

        ``gone``: revoked devices of a restored log, which cannot send again what the backup did not have. ``held``:
        user, id and rank of what the service keeps aside until its clock allows it.
        """
        latest: dict[Key, int] = {}
        seen: set[tuple[Key, int]] = set()
        last = 0
        for row in rows:
            key, rank = Key(row.user, row.id), row.version * 2 + row.op
            if row.seq <= last:
                yield f"seq {row.seq} does not follow {last}"
            last = row.seq
            if key in self.bad:
                yield f"G3: {row.user}/{row.id} is stored and must be refused"
                continue
            version = self.sent.get(key, {}).get(rank)
            if version is None:
                yield f"G4: seq {row.seq}: {row.user}/{row.id} of rank {rank} was never sent by this user"
                continue
            if (key, rank) in seen:
                yield f"G2: {row.user}/{row.id} of rank {rank} is stored twice"
            seen.add((key, rank))
            if rank <= latest.get(key, -1):
                yield f"G5: seq {row.seq}: {row.user}/{row.id} of rank {rank} is stored after a higher one"
            latest[key] = max(rank, latest.get(key, -1))
            if row.device != version.device:
                yield f"G4: {row.user}/{row.id} is stored as of {row.device}, sent by {version.device}"
            if version.value is not None and json.loads(row.body)["value"] != version.value:
                yield f"seq {row.seq}: {row.user}/{row.id} is stored with another value than it was sent with"
        for key, rank in self.acknowledged.items():
            if latest.get(key, -1) < rank and (*key, rank) not in held and not self._of(key, gone):
                yield f"G1: {key.user}/{key.id} of rank {rank} was acknowledged and is not in the log"

    def settled(self, rows: Iterable[Record], gone: set[tuple[str, str]]) -> Iterator[str]:
        """G5 after everything was delivered: the log ends where the highest ranks say. ``gone``: revoked devices."""
        latest: dict[Key, int] = {}
        for row in rows:
            key = Key(row.user, row.id)
            latest[key] = max(latest.get(key, -1), row.version * 2 + row.op)
        for key, versions in self.sent.items():
            wanted = max(rank for rank, version in versions.items() if (key.user, version.device) not in gone or
                         rank <= latest.get(key, -1)) if any(
                (key.user, version.device) not in gone for version in versions.values()) else -1  # fmt: skip
            if latest.get(key, -1) < wanted:
                yield f"G5: {key.user}/{key.id} ends at rank {latest.get(key)}, sent was {wanted}"

    def subscriber(self, name: str, rows: Iterable[Record], after: int, users: frozenset[str] | None) -> Iterator[str]:
        """Every row after the subscription has come, or a later one of the same event."""
        heard = self.heard.get(name, set())
        best: dict[tuple[str, str], int] = {}
        for user, event_id, rank in heard:
            best[user, event_id] = max(rank, best.get((user, event_id), -1))
        for row in rows:
            mine = users is None or row.user in users
            rank = row.version * 2 + row.op
            if mine and row.seq > after and best.get((row.user, row.id), -1) < rank:
                yield f"{name} never got seq {row.seq}: {row.user}/{row.id} of rank {rank}"

    def commands(self, *, restored: bool) -> Iterator[str]:
        """What was acknowledged has come, and first came in its order; a restored file may owe less."""
        for name, numbers in self.commanded.items():
            came = list(dict.fromkeys(self.obeyed.get(name, ())))
            if came != sorted(came):
                yield f"sessions: {name} got its commands in the order {came}"
            if not restored and (lost := set(numbers) - set(came)):
                yield f"sessions: {name} never got the commands {sorted(lost)}, which were acknowledged"

    def sink(
        self, points: dict[tuple[str, str], Any], rows: Iterable[Record], gone: AbstractSet[tuple[str, str]]
    ) -> Iterator[str]:
        """G2 and G6: a sink holds the latest version of each event once, and no deleted one. ``gone`` as in ``log``."""
        latest: dict[tuple[str, str], Record] = {}
        for row in rows:
            latest[row.user, row.id] = row
        for (user, event_id), row in latest.items():
            held = points.get((user, event_id))
            if row.op:
                if held is not None:
                    yield f"G2: the sink still has {user}/{event_id}, which is deleted"
            elif held is None:
                yield f"G6: the sink never got {user}/{event_id}"
            elif held != json.loads(row.body)["value"]:
                yield f"G2: the sink has another value of {user}/{event_id} than the log"
        for user, event_id in points.keys() - latest.keys():
            if not self._of(Key(user, event_id), gone):
                yield f"G2: the sink has {user}/{event_id}, which the log has not"

    def _of(self, key: Key, devices: AbstractSet[tuple[str, str]]) -> bool:
        """Whether an event is of one of these devices."""
        return any((key.user, version.device) in devices for version in self.sent.get(key, {}).values())
