"""Withings. What its answers come to is said where they are read as an app's messages, too: the format of that name."""

from collections.abc import Callable
from typing import Any, Final

from healthsync_mqtt.adapters import revocation_endpoints
from healthsync_mqtt.adapters.capability import AskingBudget, AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.cloud import (
    Asked,
    Cloud,
    CloudEndpoint,
    CloudFault,
    Failed,
    Question,
    TokenManners,
    judged,
)
from healthsync_mqtt.adapters.hooks.withings import NOTICES
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.formats.withings import Withings
from healthsync_mqtt.formats.withings.measures import MEASURES

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


def _asked_since(action: str, path: str, **more: str) -> Callable[[Asked], Question]:
    """A question by the time of change: what was revised comes again, however old it is."""

    def question(asked: Asked) -> Question:
        form = {"action": action, "lastupdate": str(asked.start), **more}
        return path, {}, form | ({"offset": asked.page} if asked.page else {})

    return question


def _asked_between(action: str, path: str, **more: str) -> Callable[[Asked], Question]:
    def question(asked: Asked) -> Question:
        form = {"action": action, "startdate": str(asked.start), "enddate": str(asked.end), **more}
        return path, {}, form | ({"offset": asked.page} if asked.page else {})

    return question


def _next_offset(document: Any, _asked: Asked) -> str:
    body = document.get("body") if isinstance(document, dict) else None
    if not isinstance(body, dict) or not body.get("more"):
        return ""
    return str(body.get("offset") or "")


def _judged(answer: CloudAnswer, document: Any) -> Failed | None:
    """HTTP says 200 whatever it is: the status is in the body."""
    failed = judged(answer, document)
    status = document.get("status") if isinstance(document, dict) else None
    if failed is not None or type(status) is not int:
        return failed or Failed(CloudFault.retry)
    if status == 0:
        return None
    if status in _UNAUTHORISED:
        return Failed(CloudFault.unauthorised)
    if status == _TOO_MANY:
        return Failed(CloudFault.rate_limited, 60.0)
    if status == _NOT_GRANTED:
        return Failed(CloudFault.not_granted)
    return Failed(CloudFault.retry, hint=f"Withings answers with status {status}")


_UNAUTHORISED: Final = frozenset({100, 101, 102, 200, 401})
_TOO_MANY: Final = 601
_NOT_GRANTED: Final = 403
_MEASURES: Final = ",".join(str(each) for each in (*MEASURES, 9, 10, 130))
_NIGHT_FIELDS: Final = (
    "total_sleep_time,total_timeinbed,wakeupduration,lightsleepduration,deepsleepduration,remsleepduration,"
    "sleep_latency,sleep_efficiency,wakeupcount,hr_average,hr_min,rr_average,snoring,sleep_score,apnea_hypopnea_index"
)
_STAGE_FIELDS: Final = "hr,rr,rmssd,sdnn_1"
_DAY_FIELDS: Final = "steps,distance,elevation,soft,moderate,intense,calories,totalcalories,hr_average,hr_min,hr_max"
_WORKOUT_FIELDS: Final = (
    "calories,distance,steps,elevation,strokes,hr_average,hr_min,hr_max,pause_duration,manual_calories,"
    "manual_distance,hr_zone_0,hr_zone_1,hr_zone_2,hr_zone_3"
)

CLOUD: Final = Cloud(
    base_url="https://wbsapi.withings.net",
    auth_url="https://account.withings.com/oauth2_user/authorize2",
    token_url="https://wbsapi.withings.net/v2/oauth2",  # noqa: S106  # an address
    endpoints=(
        CloudEndpoint(
            kind="measure",
            question=_asked_since("getmeas", "/measure", meastypes=_MEASURES, category="1"),
            following=_next_offset,
            by_change=True,
        ),
        CloudEndpoint(
            kind="activity",
            question=_asked_since("getactivity", "/v2/measure", data_fields=_DAY_FIELDS),
            following=_next_offset,
            by_change=True,
        ),
        CloudEndpoint(
            kind="workouts",
            question=_asked_since("getworkouts", "/v2/measure", data_fields=_WORKOUT_FIELDS),
            following=_next_offset,
            by_change=True,
        ),
        CloudEndpoint(
            kind="sleep_summary",
            question=_asked_since("getsummary", "/v2/sleep", data_fields=_NIGHT_FIELDS),
            following=_next_offset,
            by_change=True,
        ),
        CloudEndpoint(
            kind="sleep_detail",
            question=_asked_between("get", "/v2/sleep", data_fields=_STAGE_FIELDS),
            slice_s=86_400,
        ),
        CloudEndpoint(kind="heart_list", question=_asked_between("list", "/v2/heart"), following=_next_offset),
    ),
    tokens=TokenManners(form={"action": "requesttoken"}, inside="body", account=("body", "userid"), separator=","),
    judge=_judged,
    notices=NOTICES,
    leave=revocation_endpoints.withings,
)


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
        cloud=CLOUD,
    )
