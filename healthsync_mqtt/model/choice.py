"""Which rows of the log somebody asks for, beside user, type and the time from which on."""

import math
import re
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.record import Record

_parse: Final = msgspec.json.Decoder().decode
_RANGE: Final = re.compile(r"(?:([a-z0-9_]+):)?(-?\d+(?:\.\d+)?)?\.\.(-?\d+(?:\.\d+)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRange:
    """Numbers of a field from ``low`` to ``high``, both included; field None: the first number of each type."""

    field: str | None
    low: float
    high: float

    @classmethod
    def of(cls, text: str) -> Self | None:
        """``bpm:100..180``, ``bpm:100..``, ``..50``; None: it is none."""
        found = _RANGE.fullmatch(text)
        if found is None or (found[2] is None and found[3] is None):
            return None
        low = -math.inf if found[2] is None else float(found[2])
        high = math.inf if found[3] is None else float(found[3])
        return cls(field=found[1], low=low, high=high)

    def holds(self, type_name: str, value: Any) -> bool:
        """Whether a number of the field, or one of the samples of a series, is in the range."""
        event_type = CATALOGUE.get(type_name)
        if event_type is None or not event_type.quantities or not isinstance(value, dict):
            return False
        first = event_type.quantities[0].field
        field = self.field or first
        number = value.get(field)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return self.low <= number <= self.high
        samples = value.get("samples")
        return (
            field == first
            and isinstance(samples, list)
            and any(self.low <= sample[1] <= self.high for sample in samples if _is_sample(sample))
        )


def _is_sample(sample: Any) -> bool:
    return isinstance(sample, list) and len(sample) > 1 and isinstance(sample[1], int | float)


_SAME_PROVIDER: Final = {"googlefit": "google_fit"}
"""Words that were written for a provider before there was one for each; rows that have them keep them."""


def one_word(provider: object) -> object:
    """The one word for a provider, however a row or a person spells it."""
    return _SAME_PROVIDER.get(provider, provider) if isinstance(provider, str) else provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What rows say inside: who they come from, which app made them, and a number in a range. None: whatever it is.

    ``provider``: whom an adapter fetched it from, or what the event itself says, in any word.
    """

    provider: str | None = None
    app: str | None = None
    value: ValueRange | None = None

    def __contains__(self, record: Record) -> bool:
        body = _parse(record.body) if record.body else {}
        source = body.get("source") or {}
        return (
            self.is_from(record.provider, source.get("provider"))
            and self.app in {None, source.get("app")}
            and (self.value is None or self.value.holds(record.type, body.get("value")))
        )

    def is_from(self, *providers: object) -> bool:
        """Whether one of these is the provider that is asked for."""
        return self.provider is None or one_word(self.provider) in map(one_word, providers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Rows that started before ``until_us``, of this device and version, that say inside what is asked for.

    None: whatever it is.
    """

    until_us: int | None = None
    device: str | None = None
    version: int | None = None
    contents: Contents | None = None

    @property
    def rows(self) -> dict[str, Any]:
        """What a reader of the log chooses by (``LogReader.read``)."""
        return {
            "until_us": self.until_us, "device": self.device, "version": self.version, "contents": self.contents,
        }  # fmt: skip

    def __contains__(self, record: Record) -> bool:
        if self.until_us is not None and record.start_us >= self.until_us:
            return False
        if self.device not in {None, record.device} or self.version not in {None, record.version}:
            return False
        return self.contents is None or record in self.contents
