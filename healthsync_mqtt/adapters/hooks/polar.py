"""Polar's webhooks: one for the whole app. Polar chooses the secret that it signs with, and says it once."""

import base64
import re
from datetime import date
from typing import Final
from urllib.parse import quote

from healthsync_mqtt.adapters.notices import (
    FORGED,
    IGNORED,
    TAKEN,
    CloudDelivery,
    CloudNotices,
    CloudSubscribed,
    HookOwner,
    HookPlace,
    Notice,
    NoticeAnswer,
    RecordQuestion,
    Telling,
    account_in,
    address_of,
    json_of,
    json_request,
    word_in,
)
from healthsync_mqtt.adapters.signatures import signed_hex
from healthsync_mqtt.adapters.web import CloudRequest

EVENTS: Final = ("EXERCISE", "SLEEP", "CONTINUOUS_HEART_RATE", "ACTIVITY_SUMMARY", "PHYSICAL_INFORMATION")
_HOST: Final = "www.polaraccesslink.com"
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")


def _received(delivery: CloudDelivery, owner: HookOwner) -> NoticeAnswer:
    """A ping comes before there is a secret, and is answered whoever sends it: nothing follows on it."""
    if delivery.method != "POST":
        return FORGED
    if word_in(json_of(delivery.body), "event") == "PING":
        return IGNORED
    said = delivery.headers.get("polar-webhook-signature", "")
    return TAKEN if signed_hex(owner.known.signing, delivery.body, said) else FORGED


def _read(body: bytes, _received_us: int) -> list[Notice]:
    """What is asked is made of the ids: an address in a notice is followed by nobody."""
    document = json_of(body)
    account, event = account_in(document, "user_id"), word_in(document, "event")
    there = address_of(document, "url")
    elsewhere = word_in(document, "url") and (there is None or there.hostname != _HOST)
    if not account or event not in EVENTS or elsewhere:
        return []
    questions: tuple[RecordQuestion, ...] = ()
    if event == "EXERCISE":
        name = word_in(document, "entity_id")
        if _ID.fullmatch(name):
            questions = (exercise_question(name),)
    elif event == "PHYSICAL_INFORMATION":
        questions = (RecordQuestion("physical_info", "/v3/users/physical-info"),)
    elif on := _date(word_in(document, "date")):
        questions = {
            "SLEEP": (
                RecordQuestion("sleep", f"/v3/users/sleep/{on}"),
                RecordQuestion("nightly_recharge", f"/v3/users/nightly-recharge/{on}"),
            ),
            "CONTINUOUS_HEART_RATE": (
                RecordQuestion("continuous_heart_rate", f"/v3/users/continuous-heart-rate/{on}"),
            ),
            "ACTIVITY_SUMMARY": (
                RecordQuestion("activities", "/v3/users/activities", {"from": on, "to": on, "steps": "true"}),
            ),
        }[event]
    return [Notice(account=account, ask=questions)] if questions else []


def exercise_question(name: str) -> RecordQuestion:
    """An exercise with its samples."""
    query = {"samples": "true", "zones": "true"}
    return RecordQuestion("exercises", f"/v3/exercises/{name}", query, names=(f"exercise {name};",))


def _date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _subscribed(place: HookPlace) -> Telling:
    """One whose secret we do not hold is no use: it is made anew."""
    app = _app(place)
    url = f"{place.base_url}/v3/webhooks"
    answer = yield CloudRequest(method="GET", url=url, headers=app)
    document = json_of(answer.body)
    found = document.get("data") if isinstance(document, dict) else []
    known = place.owner.known
    for each in found if isinstance(found, list) else []:
        name = word_in(each, "id")
        active = each.get("active", True) if isinstance(each, dict) else False
        if word_in(each, "url") == place.url and known.signing and name == known.subscription:
            if active is False:  # off after days of failures
                yield CloudRequest(method="POST", url=f"{url}/activate", headers=app)
            return CloudSubscribed()
        if name:
            yield CloudRequest(method="DELETE", url=f"{url}/{quote(name, safe='')}", headers=app)
    made = yield json_request("POST", url, app, {"events": list(EVENTS), "url": place.url})
    whole = json_of(made.body)
    inner = whole.get("data") if isinstance(whole, dict) else None
    secret = word_in(inner, "signature_secret_key")
    if made.status not in {200, 201} or not secret:
        return CloudSubscribed(f"Polar does not send to {place.url} (HTTP {made.status}): it has to reach it")
    return CloudSubscribed(known=known._replace(signing=secret, subscription=word_in(inner, "id")))


def _unsubscribed(place: HookPlace) -> Telling:
    known = place.owner.known
    if not known.subscription:
        return CloudSubscribed()
    url = f"{place.base_url}/v3/webhooks/{quote(known.subscription, safe='')}"
    answer = yield CloudRequest(method="DELETE", url=url, headers=_app(place))
    if answer.status not in {200, 204, 404}:
        return CloudSubscribed(f"Polar does not take its webhook away (HTTP {answer.status})")
    return CloudSubscribed(known=known._replace(subscription="", signing=""))


def _app(place: HookPlace) -> dict[str, str]:
    both = base64.b64encode(f"{place.owner.client_id}:{place.owner.client_secret}".encode()).decode()
    return {"Authorization": f"Basic {both}"}


NOTICES: Final = CloudNotices(receive=_received, read=_read, subscribe=_subscribed, unsubscribe=_unsubscribed)
