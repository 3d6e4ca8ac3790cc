"""Which users a bridge works for, when several share an external broker without shared subscriptions."""

import re
import zlib
from dataclasses import dataclass
from typing import Self

from healthsync_mqtt.errors import UsageError

_TEXT = re.compile(r"(\d{1,4})/(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` (1 to ``of``) of all users. All events of a user belong to one part, so their order is kept."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """``2/8``; the whole for an empty text."""
        if not text:
            return cls()
        match = _TEXT.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"{text!r} is no shard", hint="write the part and the number of parts: 2/8")
        return cls(int(match[1]), int(match[2]))

    @property
    def text(self) -> str:
        """As ``parse`` reads it."""
        return "" if self.of == 1 else f"{self.number}/{self.of}"

    def owns(self, user: str) -> bool:
        """Whether this part has the user; the same on every machine and in every version."""
        return self.of == 1 or zlib.crc32(user.encode()) % self.of == self.number - 1
