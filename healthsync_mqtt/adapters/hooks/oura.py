"""Oura's webhooks: a subscription for each type of data and each thing that happens to it, renewed before it ends."""

import re
from typing import Final
from urllib.parse import quote

from healthsync_mqtt.adapters.notices import (
    FORBIDDEN,
    FORGED,
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
    json_of,
    json_request,
    lately,
    word_in,
)
from healthsync_mqtt.adapters.signatures import fresh, same, signed_hex
from healthsync_mqtt.adapters.web import CloudRequest
from healthsync_mqtt.formats.reading.moment import moment_in
from healthsync_mqtt.model.reasons import RefusedError

COLLECTIONS: Final = {
    "sleep": "sleep", "daily_sleep": "daily_sleep", "daily_readiness": "daily_readiness",
    "daily_activity": "daily_activity", "daily_spo2": "daily_spo2",
    "daily_cardiovascular_age": "daily_cardiovascular_age", "vo2_max": "vO2_max", "workout": "workout",
    "session": "session",
}  # fmt: skip
"""By the type of data as notices say it: the collection in paths. Heart rates cannot be subscribed to."""
_HAPPENS: Final = ("create", "update", "delete")
_BY_KIND: Final = frozenset({"sleep", "workout", "session"})
"""Kinds whose records are named together with their kind."""
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")
_RENEW_US: Final = 14 * 86_400_000_000


def _received(delivery: CloudDelivery, owner: HookOwner) -> NoticeAnswer:
    """A challenge is repeated to who knows our word; what is sent is signed over its time stamp and body."""
    if delivery.method == "GET":
        known = same(delivery.query.get("verification_token", ""), owner.known.word)
        return NoticeAnswer(200, {"challenge": delivery.query.get("challenge", "")}) if known else FORBIDDEN
    stamp = delivery.headers.get("x-oura-timestamp", "")
    said = delivery.headers.get("x-oura-signature", "")
    message = stamp.encode() + delivery.body
    good = fresh(stamp, delivery.received_us) and signed_hex(owner.client_secret, message, said)
    return TAKEN if delivery.method == "POST" and good else FORGED


def _read(body: bytes, received_us: int) -> list[Notice]:
    document = json_of(body)
    account, kind, name = (word_in(document, key) for key in ("user_id", "data_type", "object_id"))
    if not account or kind not in COLLECTIONS:
        return []
    if not _ID.fullmatch(name):
        return [Notice(account=account, ask=(lately(kind, received_us),))]
    names = (f"{kind} {name};" if kind in _BY_KIND else f"{name};",)
    if word_in(document, "event_type") == "delete":
        return [Notice(account=account, gone=names)]
    path = f"/v2/usercollection/{COLLECTIONS[kind]}/{name}"
    return [Notice(account=account, ask=(RecordQuestion(kind, path, names=names),))]


def _subscribed(place: HookPlace) -> Telling:
    app = {"x-client-id": place.owner.client_id, "x-client-secret": place.owner.client_secret}
    url = f"{place.base_url}/v2/webhook/subscription"
    answer = yield CloudRequest(method="GET", url=url, headers=app)
    found = json_of(answer.body)
    if answer.status != 200 or not isinstance(found, list):
        return CloudSubscribed(f"Oura does not say what it sends (HTTP {answer.status})")
    here = {
        (word_in(each, "event_type"), word_in(each, "data_type")): each
        for each in found
        if word_in(each, "callback_url") == place.url
    }
    hint = ""
    for kind in COLLECTIONS:
        for happens in _HAPPENS:
            known = here.get((happens, kind))
            if known is not None:
                if not _ends_soon(known, place.now_us):
                    continue
                again = f"{url}/renew/{quote(word_in(known, 'id'), safe='')}"
                if (yield CloudRequest(method="PUT", url=again, headers=app)).status in {200, 201}:
                    continue
            said = {"event_type": happens, "data_type": kind}
            wanted = {"callback_url": place.url, "verification_token": place.owner.known.word} | said
            made = yield json_request("POST", url, app, wanted)
            if made.status not in {200, 201}:
                hint = f"Oura does not send {kind} to {place.url} (HTTP {made.status}): it has to reach it"
    return CloudSubscribed(hint)


def _ends_soon(known: dict[str, object], now_us: int) -> bool:
    try:
        return moment_in(known, "expiration_time").us < now_us + _RENEW_US
    except RefusedError:
        return True


def _unsubscribed(place: HookPlace) -> Telling:
    app = {"x-client-id": place.owner.client_id, "x-client-secret": place.owner.client_secret}
    url = f"{place.base_url}/v2/webhook/subscription"
    answer = yield CloudRequest(method="GET", url=url, headers=app)
    found = json_of(answer.body)
    if answer.status != 200 or not isinstance(found, list):
        return CloudSubscribed(f"Oura does not say what it sends (HTTP {answer.status})")
    hint = ""
    for each in found:
        name = word_in(each, "id")
        if name and word_in(each, "callback_url") == place.url:
            gone = yield CloudRequest(method="DELETE", url=f"{url}/{quote(name, safe='')}", headers=app)
            if gone.status not in {200, 204, 403, 404}:
                hint = f"Oura does not take its subscriptions away (HTTP {gone.status})"
    return CloudSubscribed(hint)


NOTICES: Final = CloudNotices(receive=_received, read=_read, subscribe=_subscribed, unsubscribe=_unsubscribed)
