"""Times as exports write them, ``2024-10-25 07:04:44 -0500``: millions of them, a few hours at a time."""

from typing import Final

from healthsync_mqtt.formats.reading.moment import moment

_OF_AN_HOUR: Final = frozenset(f":{each // 60:02d}:{each % 60:02d}" for each in range(3600))


class AppleClock:
    """Reads times; what an hour was in UTC is looked up once."""

    def __init__(self) -> None:
        self._hours: dict[str, tuple[str, int]] = {}

    def read(self, text: str) -> tuple[str, int]:
        """A time in UTC as events write it, and the offset of the phone's clock in seconds. Raises RefusedError."""
        if len(text) != 25:
            return self._slowly(text)
        try:
            hour, offset_s = self._hours[text[:13] + text[19:]]
        except KeyError:
            found, offset_s = self._slowly(text)
            if offset_s % 3600 == 0:
                if len(self._hours) > 50_000:
                    self._hours.clear()
                self._hours[text[:13] + text[19:]] = found[:13], offset_s
            return found, offset_s
        rest = text[13:19]
        return (f"{hour}{rest}.000000Z", offset_s) if rest in _OF_AN_HOUR else self._slowly(text)

    @staticmethod
    def _slowly(text: str) -> tuple[str, int]:
        found = moment(text)
        return found.text, found.offset_s or 0
