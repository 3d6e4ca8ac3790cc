"""The longest packet that a broker takes which does not say so (MQTT 3.1.1): learnt from being cut off. Pure.

A broker ends the connection at a packet that is too long for it. The bridge would send the same one first on the next
connection, and nothing else would ever come through.
"""

from typing import Final

from healthsync_mqtt.mqtt.links.port import MAX_PACKET, UnansweredMessage

TIMES: Final = 5
"""So many connections in a row have to end at the same message: networks end connections, too."""
_LEAST: Final = 4_096
"""A message that is no longer than this is not why."""


class PacketLimit:
    """What is known of one broker until the bridge ends."""

    def __init__(self) -> None:
        self.most = MAX_PACKET
        self._suspect: UnansweredMessage | None = None
        self._times = 0

    def ended(self, oldest: UnansweredMessage | None) -> bool:
        """A connection is over, and this is the oldest message that it owes an answer for; whether that taught us."""
        if oldest is None or oldest.size <= _LEAST:
            self._suspect, self._times = None, 0
            return False
        if self._suspect is None or self._suspect.topic != oldest.topic:
            self._suspect, self._times = oldest, 0
        self._suspect = min(self._suspect, oldest, key=lambda each: each.size)
        self._times += 1
        if self._times < TIMES:
            return False
        self.most = min(self.most, self._suspect.size - 1)
        self._suspect, self._times = None, 0
        return True
