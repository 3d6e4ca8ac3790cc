"""The bridge's own presence: a retained status that says whether it runs, since when, and which version."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum

from healthsync_mqtt import __version__
from healthsync_mqtt.model.times import iso


class Presence(StrEnum):
    """The words of every status topic, the devices' too."""

    online = "online"
    offline = "offline"
    #: said by the will: the connection broke
    lost = "lost"


def status_message(
    presence: Presence, since_us: int, *, session: str, sinks: Sequence[Mapping[str, str]] = ()
) -> bytes:
    """A status payload. ``session`` names this run, so that a late message of an earlier one can be told apart."""
    return json.dumps(
        {
            "status": presence.value,
            "since": iso(since_us),
            "session": session,
            "version": __version__,
            "sinks": list(sinks),
        }
    ).encode()
