"""Messages of apps, as the recordings in ``shared/data/phone`` hold them, and what becomes of them.

A ``Shelf`` does what the log does with what a format makes: the same again, or an older version, is a duplicate; a
newer version, or another value of the same id, supersedes; what is said to be gone is gone.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bridge.decode.delivery import decode
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import AppMessage, Declared, Format, Gone, Made, Outcome, folded
from healthsync_mqtt.formats.reading.moment import moment
from healthsync_mqtt.model.event import LATEST
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.model.times import iso

NOW_US = 1_795_430_000_000_000  # 2026-11-23
BERLIN = Declared(zone="Europe/Berlin", bucket_s=3600)
NOTHING = Declared()
_ROOMY = Limits(max_payload=16_777_216)


class Told(NamedTuple):
    """An event as the bridge took it: its type, its value, when it was, without the day's zeros."""

    type: str
    value: Any
    start: str
    end: str | None = None


def app_message(content: Any, *, declared: Declared = NOTHING, at_us: int = NOW_US, **said: Any) -> AppMessage:
    """A message of ann's phone: bytes as they are, anything else as JSON."""
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return AppMessage(payload, "ann", "phone", at_us=at_us, declared=declared, **said)


def recorded(file: Path, root: str = "", *, declared: Declared = NOTHING) -> list[AppMessage]:
    """The messages of a recording: a body, or a line each with its time, whether it was retained, and its topic.

    Topics that are not below ``root`` do not reach a format.
    """
    if file.suffix in {".json", ".csv"} or file.name.startswith("not_json"):
        return [app_message(file.read_bytes(), declared=declared)]
    found = []
    for line in file.read_text().splitlines():
        at, _, retained, topic, payload = line.split("\t")
        if topic.startswith(root):
            said = {"topic": topic.removeprefix(root), "retained": retained == "1", "at_us": moment(at).us}
            found.append(app_message(payload.encode(), declared=declared, **said))
    return found


class Shelf:
    """What is left of messages, in the order in which they came."""

    def __init__(self, form: str | Format) -> None:
        self._form = FORMATS[form] if isinstance(form, str) else form
        self.state = b""
        self._names: dict[str, tuple[str, int]] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.refused: list[tuple[str, str]] = []
        self.counts = {"stored": 0, "duplicate": 0, "superseded": 0, "gone": 0}

    def take(self, messages: Iterable[AppMessage]) -> "Shelf":
        """The messages in turn."""
        for message in messages:
            try:
                done = folded(self._form, message, self.state)
            except RefusedError as refusal:
                self.refused.append((refusal.field or "", refusal.code))
                continue
            self.state = done.state
            for outcome in done.outcomes:
                self._take(outcome, message)
        return self

    def _take(self, outcome: Outcome, message: AppMessage) -> None:
        if isinstance(outcome, Made):
            self._put(outcome, message)
        elif isinstance(outcome, Gone):
            for id_, (name, start_us) in list(self._names.items()):
                after = outcome.from_us is None or start_us >= outcome.from_us
                before = outcome.until_us is None or start_us < outcome.until_us
                if id_ in self.events and name.startswith(outcome.prefix) and after and before:
                    del self.events[id_]
                    self.counts["gone"] += 1
        else:
            self.refused.append((outcome.place, outcome.reason))

    def _put(self, made: Made, message: AppMessage) -> None:
        origin = Origin(message.user, message.device, None, f"users/{message.user}/devices/{message.device}/events")
        decoded = decode(
            json.dumps(made.event).encode(),
            origin,
            max(message.at_us, NOW_US),
            _ROOMY,
        )
        for rejection in decoded.rejections:
            self.refused.append((made.place, rejection.reason))
        for event in decoded.events:
            new = {"type": event.type, "start_us": event.start_us, "end_us": event.end_us, **json.loads(event.body)}
            new["version"] = event.version
            old = self.events.get(event.id)
            if old is None:
                self.counts["stored"] += 1
            elif _is_no_newer(old, new):
                self.counts["duplicate"] += 1
                continue
            else:
                self.counts["superseded"] += 1
            self.events[event.id] = new
            if made.name is not None:
                self._names[event.id] = (made.name, event.start_us)

    @property
    def told(self) -> list[Told]:
        """What is there, in the order of its time."""
        return sorted(
            (_told(each) for each in self.events.values()), key=lambda each: (each.start, each.type, str(each))
        )

    def of(self, *types: str) -> list[Told]:
        """What is there of some types."""
        return [each for each in self.told if each.type in types]

    def sources(self, type_: str) -> list[Mapping[str, Any]]:
        """The sources of events of a type, in the order of their time."""
        found = [each for each in self.events.values() if each["type"] == type_]
        return [each.get("source", {}) for each in sorted(found, key=lambda each: each["start_us"])]


def _is_no_newer(old: Mapping[str, Any], new: dict[str, Any]) -> bool:
    """Whether the log takes ``new`` for a repeat: by its count, or, where its source has none, by what it says."""
    if new["version"] != LATEST:
        return bool(new["version"] <= old["version"])
    new["version"] = max(old["version"], 0) + 1
    return _said(old) == _said(new)


def _said(event: Mapping[str, Any]) -> tuple[Any, ...]:
    return event["type"], event["start_us"], event["end_us"], json.dumps(event["value"])


def _told(event: Mapping[str, Any]) -> Told:
    end = None if event["end_us"] is None else _short(event["end_us"])
    return Told(event["type"], event["value"], _short(event["start_us"]), end)


def _short(us: int) -> str:
    text = iso(us).removesuffix("Z")
    return text.removesuffix(".000000").removesuffix(":00") if text.endswith(".000000") else text
