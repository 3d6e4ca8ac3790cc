"""Google Health's notices: our word in a header, and a signature by one of Google's keys.

A notice says which type has changed, and when; what that is, is asked for. The keys are looked at daily, and once when
something is signed by one that is not known. One subscriber is enough for the whole app: who acts for the project of
the app makes it, and Google tries our address before it is made.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode

from healthsync_mqtt.adapters.notices import (
    FORGED,
    CloudDelivery,
    CloudNotices,
    CloudSubscribed,
    HookOwner,
    HookPlace,
    Notice,
    NoticeAnswer,
    Telling,
    WindowQuestion,
    account_in,
    json_of,
    json_request,
    lately,
    word_in,
)
from healthsync_mqtt.adapters.signatures import KeyVerdict, is_keyset, same, signed_tink
from healthsync_mqtt.adapters.web import CloudRequest
from healthsync_mqtt.formats.reading.moment import moment_in
from healthsync_mqtt.model.reasons import RefusedError

_KEYS_URL: Final = "https://www.gstatic.com/googlehealthapi/webhooks/webhooks_public_keyset.json"
_VERIFIED: Final = NoticeAnswer(201)
_TAKEN: Final = NoticeAnswer(204, kept=True)
_HEADERS: Final = ("google-health-api-signature", "x-healthapi-signature")
_MARGIN_S: Final = 900
_DAY_S: Final = 86_400
_MOST: Final = 100
_MOST_PAGES: Final = 10
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_LOCKED_OUT: Final = "Google gives the service account no token: is its key still good?"
_NAME: Final = "healthsync"
_PROJECT: Final = re.compile(r"(\d{6,20})-")
WANTED: Final = (
    "sleep", "exercise", "heart-rate", "heart-rate-variability", "respiratory-rate-sleep-summary", "weight", "body-fat",
    "height", "blood-glucose", "steps", "distance", "floors", "altitude", "daily-resting-heart-rate",
    "daily-heart-rate-variability", "daily-oxygen-saturation", "daily-respiratory-rate",
    "daily-sleep-temperature-derivations",
)  # fmt: skip
"""What is fetched, and told of; of the rest Google sends nothing, and it is polled."""
_TYPES: Final = {"sleep": ("sleep",), "exercise": ("workout",)}
"""By kind: the events that are named records, of which one that does not come any more is gone."""


def _received(delivery: CloudDelivery, owner: HookOwner) -> NoticeAnswer:
    """The registration is tried with our word and without it: it fails unless both are answered as they should be."""
    said = delivery.headers.get("authorization", "").removeprefix("Bearer ")
    if delivery.method != "POST" or not same(said, owner.known.word):
        return FORGED
    signature = next((found for name in _HEADERS if (found := delivery.headers.get(name, ""))), "")
    verdict = signed_tink(owner.known.keys, delivery.body, signature)
    if verdict is not KeyVerdict.good:
        return FORGED._replace(look=verdict is KeyVerdict.unknown_key)
    return _VERIFIED if word_in(json_of(delivery.body), "type") == "verification" else _TAKEN


def _read(body: bytes, received_us: int) -> list[Notice]:
    document = json_of(body)
    found = []
    for each in (document if isinstance(document, list) else [document])[:_MOST]:
        data = each.get("data") if isinstance(each, dict) else None
        account, kind = account_in(data, "healthUserId"), word_in(data, "dataType")
        if not isinstance(data, dict) or not account or not kind:
            continue
        gone = _TYPES.get(kind, ()) if word_in(data, "operation") == "DELETE" else ()
        # What begins in the time that a deletion names may end long after it, and is asked for as well.
        margin_s = _DAY_S if gone else _MARGIN_S
        asked = tuple(
            WindowQuestion(kind, max(0, start - margin_s), end + margin_s, gone, (start, end))
            for start, end in list(_windows(data))[:_MOST]
        )
        found.append(Notice(account=account, ask=asked or (lately(kind, received_us),)))
    return found


def _windows(data: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """The times that a notice names; civil ones, of a zone that is not said, wider by a day."""
    several = data.get("intervals")
    for each in [*(several if isinstance(several, list) else []), data]:
        if not isinstance(each, dict):
            continue
        for key, margin_s in (("physicalTimeInterval", 0), ("civilIso8601TimeInterval", _DAY_S)):
            inner = each.get(key)
            if not isinstance(inner, dict):
                continue
            try:
                start, end = moment_in(inner, "startTime").us, moment_in(inner, "endTime").us
            except RefusedError:
                continue
            if 0 <= start <= end:
                yield max(0, start // 1_000_000 - margin_s), end // 1_000_000 + margin_s
            break


def _subscribed(place: HookPlace) -> Telling:
    """Google's keys first: what tries our address is signed, too. Then the subscriber, where it may be made."""
    known = place.owner.known
    answer = yield CloudRequest(method="GET", url=place.keys_url, headers={"Accept": "application/json"})
    if answer.status != 200 or not is_keyset(answer.body):
        return CloudSubscribed(f"Google's keys of webhooks cannot be read (HTTP {answer.status})")
    if known.keys != answer.body.decode():
        return CloudSubscribed(known=known._replace(keys=answer.body.decode()), more=place.app is not None)
    if place.app is None:
        return CloudSubscribed()
    project = _PROJECT.match(place.owner.client_id)
    if project is None:
        return CloudSubscribed("the client id does not begin with the number of its project: is it one of Google's?")
    token = word_in(json_of((yield place.app(_SCOPE)).body), "access_token")
    if not token:
        return CloudSubscribed(_LOCKED_OUT)
    return (yield from _one_subscriber(place, project[1], {"Authorization": f"Bearer {token}"}))


def _one_subscriber(place: HookPlace, project: str, bearer: dict[str, str]) -> Telling:
    """What is there as it should be is left alone; what is not is changed, and tried by Google anew."""
    url = f"{place.base_url}/v4/projects/{project}/subscribers"
    known, found, page = place.owner.known, list[Any](), ""
    for _ in range(_MOST_PAGES):
        asked = url + (f"?{urlencode({'pageToken': page})}" if page else "")
        answer = yield CloudRequest(method="GET", url=asked, headers=bearer | {"Accept": "application/json"})
        document = json_of(answer.body)
        if answer.status != 200 or not isinstance(document, dict):
            return CloudSubscribed(_refused(place, answer.status))
        several = document.get("subscribers")
        found += several if isinstance(several, list) else []
        page = word_in(document, "nextPageToken")
        if not page:
            break
    ours = [each for each in found if _is_ours(each, known.subscription, place.url)]
    for each in ours[1:]:
        yield CloudRequest(method="DELETE", url=f"{place.base_url}/v4/{_path(each)}", headers=bearer)
    wanted = {
        "endpointUri": place.url,
        "subscriberConfigs": [{"dataTypes": list(WANTED), "subscriptionCreatePolicy": "AUTOMATIC"}],
        "endpointAuthorization": {"secret": f"Bearer {known.word}"},
    }
    if ours and word_in(ours[0], "endpointUri") == place.url and _is_whole(ours[0]):
        return CloudSubscribed(known=known._replace(subscription=word_in(ours[0], "name")))
    if ours:
        query = urlencode({"updateMask": ",".join(wanted)})
        answer = yield json_request("PATCH", f"{place.base_url}/v4/{_path(ours[0])}?{query}", bearer, wanted)
        name = word_in(ours[0], "name")
    else:
        answer = yield json_request("POST", f"{url}?{urlencode({'subscriberId': _NAME})}", bearer, wanted)
        name = f"projects/{project}/subscribers/{_NAME}"
    document = json_of(answer.body)
    if answer.status != 200 or (isinstance(document, dict) and document.get("error")):
        return CloudSubscribed(_refused(place, answer.status))
    return CloudSubscribed(known=known._replace(subscription=name))


def _unsubscribed(place: HookPlace) -> Telling:
    """Nobody is linked any more. One that is not there is gone, too."""
    known = place.owner.known
    if not known.subscription or place.app is None:
        return CloudSubscribed()
    token = word_in(json_of((yield place.app(_SCOPE)).body), "access_token")
    if not token:
        return CloudSubscribed(_LOCKED_OUT)
    url = f"{place.base_url}/v4/{quote(known.subscription)}"
    answer = yield CloudRequest(method="DELETE", url=url, headers={"Authorization": f"Bearer {token}"})
    if answer.status not in {200, 204, 404}:
        return CloudSubscribed(f"Google does not take its subscriber away (HTTP {answer.status})")
    return CloudSubscribed(known=known._replace(subscription=""))


def _refused(place: HookPlace, status: int) -> str:
    return (
        f"Google does not send to {place.url} (HTTP {status}): it has to reach it, and the service account has to have"
        " the role that changes subscribers in the app's project"
    )


def _is_ours(subscriber: Any, name: str, url: str) -> bool:
    said = word_in(subscriber, "name")
    return bool(said) and (said == name or said.endswith(f"/{_NAME}") or word_in(subscriber, "endpointUri") == url)


def _is_whole(subscriber: dict[str, Any]) -> bool:
    """Whether it sends all that is wanted, and has not been turned off."""
    if word_in(subscriber, "state") in {"UNVERIFIED", "INACTIVE"}:
        return False
    configs = subscriber.get("subscriberConfigs")
    here: set[str] = set()
    for each in configs if isinstance(configs, list) else []:
        types = each.get("dataTypes") if isinstance(each, dict) else None
        here |= {name for name in types if isinstance(name, str)} if isinstance(types, list) else set()
    return here >= set(WANTED)


def _path(subscriber: Any) -> str:
    return quote(word_in(subscriber, "name"))


NOTICES: Final = CloudNotices(
    receive=_received,
    read=_read,
    subscribe=_subscribed,
    unsubscribe=_unsubscribed,
    by_app=True,
    keys_url=_KEYS_URL,
)
