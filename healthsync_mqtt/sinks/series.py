"""What makes a series: values of closed sets only. Free text never does, for it would make series without end.

What our own formats and adapters write as a provider belongs here; a test compares them.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from healthsync_mqtt.model import event

#: In the set since the first version.
_FIRST = frozenset({
    "apple_health", "coros", "dexcom", "fit_file", "fitbit", "garmin", "google_fit", "health_connect", "healthkit",
    "huawei_health", "libre", "omron", "oura", "polar", "samsung_health", "strava", "suunto", "whoop", "withings",
})  # fmt: skip

#: Learned later, by the turn in which they were: a ledger that is older knows up to which row those of a turn were no
#: tag (``SinkLedger.adopted``). A new turn is a number more, and a row in a migration of the ledger.
LATER: Final[Mapping[str, int]] = {
    "garmin_fit": 0,
    **dict.fromkeys(
        ("fhir", "nightscout", "open_mhealth", "openscale", "sleep_as_android", "theengs", "xiaomi", "zepp"), 1
    ),
}

#: Providers that a device may name in ``source.provider``; an adapter's own name comes from its topic.
PROVIDERS = _FIRST | LATER.keys()

RECORDINGS = frozenset(event.RECORDINGS)


class SeriesSource(NamedTuple):
    """What decides a record's tags: the series of a type."""

    type: str
    user: str
    device: str | None
    provider: str | None
    recording: str | None
