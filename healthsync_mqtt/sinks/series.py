"""What makes a series: values of closed sets only. Free text never does, for it would make series without end.

What our own formats and adapters write as a provider belongs here; a test compares them.
"""

from typing import NamedTuple

from healthsync_mqtt.model import event

#: In the set since the first version.
_FIRST = frozenset({
    "apple_health", "coros", "dexcom", "fit_file", "fitbit", "garmin", "google_fit", "health_connect", "healthkit",
    "huawei_health", "libre", "omron", "oura", "polar", "samsung_health", "strava", "suunto", "whoop", "withings",
})  # fmt: skip

#: Learned later. A ledger that is older than them knows up to which row they were no tag (``SinkLedger.adopted``).
LATER = frozenset({"garmin_fit"})

#: Providers that a device may name in ``source.provider``; an adapter's own name comes from its topic.
PROVIDERS = _FIRST | LATER

RECORDINGS = frozenset(event.RECORDINGS)


class SeriesSource(NamedTuple):
    """What decides a record's tags: the series of a type."""

    type: str
    user: str
    device: str | None
    provider: str | None
    recording: str | None
