"""What a file comes to when it is imported, for tests."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from bridge.decode.delivery import decode
from healthsync_mqtt.imports.catalogue import read_all
from healthsync_mqtt.imports.port import LeftOut, Read, Remark, Remembered, Whose
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin

NOW_US = 1_795_430_000_000_000
ORIGIN = Origin("alice", "phone", None, "users/alice/devices/phone/events")


class Told:
    """The events of a file, what was left out, and what is remembered."""

    def __init__(self, path: Path, memory: dict[str, bytes] | None = None, **declared: Any) -> None:
        whose = Whose("alice", "phone", Declared(**declared), NOW_US, memory or {})
        items = list(read_all(path, whose))
        self.events = [each.event for each in items if isinstance(each, Read)]
        self.places = [each.place for each in items if isinstance(each, Read)]
        self.asides = [each for each in items if isinstance(each, LeftOut)]
        self.remarks = [each.text for each in items if isinstance(each, Remark)]
        self.memory = {each.kind: each.state for each in items if isinstance(each, Remembered)}
        self.left = Counter[str]()
        for each in self.asides:
            self.left[each.reason.value] += each.count
        self.types = Counter(each["type"] for each in self.events)

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["type"] == type_]

    def values(self, type_: str) -> list[Any]:
        return [each["value"] for each in self.of(type_)]

    def refused(self) -> list[str]:
        """What the service would not take of them."""
        found: list[str] = []
        for start in range(0, len(self.events), 50):
            decoded = decode(json.dumps(self.events[start : start + 50]).encode(), ORIGIN, NOW_US, Limits())
            found += [f"{each.reason}: {each.message}" for each in decoded.rejections]
        return found
