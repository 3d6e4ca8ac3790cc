"""One file of FIT in memory: its messages by their kinds, whose watch it is, and how events are made of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from healthsync_mqtt.formats.fit import profile
from healthsync_mqtt.formats.fit.clock import is_set, moment_of
from healthsync_mqtt.formats.fit.products import GARMIN_PRODUCTS
from healthsync_mqtt.formats.fit.wire import FitMessage
from healthsync_mqtt.formats.omissions import PassedOver
from healthsync_mqtt.formats.port import Made
from healthsync_mqtt.formats.reading.scribe import Scribe


class FitAside(NamedTuple):
    """What becomes no event, and where it is."""

    reason: PassedOver
    place: str
    text: str = ""
    count: int = 1  # type: ignore[assignment]  # the field shadows tuple.count, which nobody calls


class FitNote(NamedTuple):
    """What whoever reads the file should know, though nothing is left out."""

    place: str
    text: str


FitItem = Made | FitAside | FitNote


class FitPart:
    """What is known of one file while it is read."""

    def __init__(self, scribe: Scribe, *, chained: bool) -> None:
        self._scribe = scribe
        self._count = 0
        self.chained = chained
        self.messages: dict[int, list[FitMessage]] = {}
        self.device: dict[str, str] = {"platform": "garmin"}
        self.offset_s: int | None = None
        self.slot = scribe.message.declared.slot
        self.created: int | None = None
        self.zone = scribe.message.declared.zone
        self.watch = ""

    def named(self, fields: Mapping[int, Any]) -> None:
        """What the file says of itself."""
        maker, product, serial = fields.get(1), fields.get(2), fields.get(3)
        if isinstance(maker, int):
            self.device["platform"] = profile.MANUFACTURERS.get(maker, f"manufacturer_{maker}")
        name = fields.get(8)
        if isinstance(name, str) and name.isprintable():
            self.device["model"] = name[:64]
        elif maker in {profile.GARMIN, None} and product in GARMIN_PRODUCTS:
            self.device["model"] = GARMIN_PRODUCTS[product]
        elif isinstance(product, int):
            self.device["model"] = f"product {product}"
        self.watch = f"{maker}/{product}/{serial}"
        created = fields.get(4)
        self.created = created if is_set(created) else None

    def of(self, kind: int) -> list[FitMessage]:
        """The messages of a kind, in their order."""
        return self.messages.get(kind, [])

    def event(
        self,
        type_: str,
        value: Mapping[str, Any],
        at_s: float,
        end_s: float | None = None,
        *,
        key: tuple[object, ...] = (),
        version: int | None = None,
        source: Mapping[str, Any] | None = None,
        place: int = 0,
    ) -> Made:
        """An event at a time of FIT. It is known by its watch, its type, its end or else its start, and ``key``."""
        at, end = moment_of(at_s, self.offset_s), None if end_s is None else moment_of(end_s, self.offset_s)
        known_by = (self.watch, (end or at).text, *key)
        event = self._scribe.event(
            type_,
            value,
            at,
            end,
            key=known_by,
            version="latest" if version is None else version,
            source={"recording": "auto", **(source or {})},
            device=self.device,
        )
        self._count += 1
        return Made(event, self._count - 1, f"byte {place}")
