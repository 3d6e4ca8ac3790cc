"""Strava's webhooks: one subscription for the whole app. Whether all are signed is disputed, so that is a setting."""

from typing import Any, Final
from urllib.parse import urlencode

from healthsync_mqtt.adapters.notices import (
    FORBIDDEN,
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
    form_request,
    json_of,
    word_in,
)
from healthsync_mqtt.adapters.signatures import fresh, same, signed_hex
from healthsync_mqtt.adapters.web import CloudRequest

_DIGITS: Final = 20
STREAM_KEYS: Final = "time,heartrate,watts,cadence,velocity_smooth"


def _received(delivery: CloudDelivery, owner: HookOwner) -> NoticeAnswer:
    """A challenge is repeated to who knows our word; of another subscription than ours nothing is kept."""
    if delivery.method == "GET":
        known = same(delivery.query.get("hub.verify_token", ""), owner.known.word)
        challenge = {"hub.challenge": delivery.query.get("hub.challenge", "")}
        return NoticeAnswer(200, challenge) if known else FORBIDDEN
    if delivery.method != "POST" or not _good(delivery, owner):
        return FORGED
    ours = owner.known.subscription
    return IGNORED if ours and account_in(json_of(delivery.body), "subscription_id") != ours else TAKEN


def _good(delivery: CloudDelivery, owner: HookOwner) -> bool:
    said = delivery.headers.get("x-strava-signature", "")
    if not said and not owner.signed:
        # Whoever has it knows the number of our subscription; it is no more than a hint to ask Strava.
        known = owner.known.subscription
        return same(account_in(json_of(delivery.body), "subscription_id"), known)
    parts = dict(each.strip().partition("=")[::2] for each in said.split(","))
    stamp = parts.get("t", "")
    message = f"{stamp}.".encode() + delivery.body
    return fresh(stamp, delivery.received_us) and signed_hex(owner.client_secret, message, parts.get("v1", ""))


def _read(body: bytes, _received_us: int) -> list[Notice]:
    """What was changed is asked for: the values in a notice are no data."""
    document = json_of(body)
    account, name = account_in(document, "owner_id"), account_in(document, "object_id")
    if not account:
        return []
    if word_in(document, "object_type") == "athlete":
        return [Notice(account=account, check=True)]
    if word_in(document, "object_type") != "activity" or not is_number(name):
        return []
    if word_in(document, "aspect_type") == "delete":
        return [Notice(account=account, gone=(f"activity {name};",))]
    return [Notice(account=account, ask=(activity_question(name),))]


def is_number(name: str) -> bool:
    """Whether this is an id of an activity."""
    return name.isascii() and name.isdecimal() and len(name) <= _DIGITS


def activity_question(name: str) -> RecordQuestion:
    """An activity with its laps, then its streams. One that is not there was deleted, or is not ours to show."""
    path = f"/api/v3/activities/{name}"

    def streams(_activity: Any) -> tuple[RecordQuestion, ...]:
        return (RecordQuestion("streams", f"{path}/streams", {"keys": STREAM_KEYS, "key_by_type": "true"}),)

    return RecordQuestion(
        "activities", path, {"include_all_efforts": "false"}, names=(f"activity {name};",), then=streams
    )


def _subscribed(place: HookPlace) -> Telling:
    app = {"client_id": place.owner.client_id, "client_secret": place.owner.client_secret}
    url = f"{place.base_url}/api/v3/push_subscriptions"
    answer = yield CloudRequest(method="GET", url=f"{url}?{urlencode(app)}", headers={"Accept": "application/json"})
    found = json_of(answer.body)
    if answer.status != 200 or not isinstance(found, list):
        return CloudSubscribed(f"Strava does not say what it sends (HTTP {answer.status})")
    known = place.owner.known
    for each in found:
        if word_in(each, "callback_url") == place.url:
            return CloudSubscribed(known=known._replace(subscription=account_in(each, "id")))
        if name := account_in(each, "id"):  # one per app: that of an address where we are no more
            yield CloudRequest(method="DELETE", url=f"{url}/{name}?{urlencode(app)}")
    wanted = app | {"callback_url": place.url, "verify_token": known.word}
    made = yield form_request("POST", url, {}, wanted)
    name = account_in(json_of(made.body), "id")
    if made.status not in {200, 201} or not name:
        return CloudSubscribed(
            f"Strava does not send to {place.url} (HTTP {made.status}): it has to reach it within 2 s"
        )
    return CloudSubscribed(known=known._replace(subscription=name))


def _unsubscribed(place: HookPlace) -> Telling:
    known = place.owner.known
    if not known.subscription:
        return CloudSubscribed()
    app = {"client_id": place.owner.client_id, "client_secret": place.owner.client_secret}
    url = f"{place.base_url}/api/v3/push_subscriptions/{known.subscription}?{urlencode(app)}"
    answer = yield CloudRequest(method="DELETE", url=url)
    if answer.status not in {200, 204, 404}:
        return CloudSubscribed(f"Strava does not take its subscription away (HTTP {answer.status})")
    return CloudSubscribed(known=known._replace(subscription=""))


NOTICES: Final = CloudNotices(receive=_received, read=_read, subscribe=_subscribed, unsubscribe=_unsubscribed)
