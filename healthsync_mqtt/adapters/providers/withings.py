"""Withings. What its answers come to is said where they are read as an app's messages, too: the format of that name."""

from typing import Final

from healthsync_mqtt.adapters.capability import AskingBudget, AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.formats.withings import Withings

_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "measure": ("getmeas", "measures"),
    "activity": ("getactivity", "activities"),
    "activity_intraday": ("getintradayactivity", "intraday"),
    "workouts": ("getworkouts", "workout"),
    "sleep_summary": ("getsummary",),
    "sleep_detail": ("sleep", "sleep_measures"),
    "heart_list": (),
    "heart_get": (),
    "devices": (),
    "notify_list": (),
}


class WithingsMapping(Withings):
    """The same by the names of Withings' calls; an answer says by itself what it holds."""

    kind_names = tuple(_KINDS)

    def knows(self, kind: str) -> bool:
        """See ``adapters.port.Mapping``."""
        plain = kind.lower().replace("-", "_")
        return plain in _KINDS or any(plain in others for others in _KINDS.values())


MAPPING: Final = WithingsMapping()


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="withings",
            title="Withings",
            auth=AuthMethod.oauth2,
            delivery=frozenset({DeliveryWay.poll, DeliveryWay.notify}),
            budgets=(AskingBudget(120, 60),),
            history_days=730,
            again_days=3,
            scopes=("user.info", "user.metrics", "user.activity"),
            about="the limit is of the whole app",
        ),
        mapping=MAPPING,
    )
