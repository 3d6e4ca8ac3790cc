"""Times as exports write them, ``2024-10-25 07:04:44 -0500``: millions of them, a few hours at a time."""

from typing import Final, NamedTuple

from healthsync_mqtt.formats.reading.moment import moment

_OF_AN_HOUR: Final = frozenset(f":{each // 60:02d}:{each % 60:02d}" for each in range(3600))


class AppleTime(NamedTuple):
    """A time in UTC as events write it, and the offset of the phone's clock in seconds."""

    text: str
    offset_s: int


class AppleClock:
    """Reads times; what an hour was in UTC is looked up once."""

    def __init__(self) -> None:
        self._hours: dict[str, AppleTime] = {}

    def read(self, text: str) -> AppleTime:
        """A time. Raises RefusedError."""
        if len(text) != 25:
            return self._slowly(text)
        hour = self._hours.get(text[:13] + text[19:])
        if hour is None:
            found = self._slowly(text)
            if found.offset_s % 3600 == 0:
                if len(self._hours) > 50_000:
                    self._hours.clear()
                self._hours[text[:13] + text[19:]] = AppleTime(found.text[:13], found.offset_s)
            return found
        rest = text[13:19]
        if rest in _OF_AN_HOUR:
            return AppleTime(f"{hour.text}{rest}.000000Z", hour.offset_s)
        return self._slowly(text)

    @staticmethod
    def _slowly(text: str) -> AppleTime:
        found = moment(text)
        return AppleTime(found.text, found.offset_s or 0)
