"""Google Health's notices: our word in a header, and a signature by one of Google's keys.

A notice says which type has changed, and when; what that is, is asked for. The keys are looked at daily, and once when
something is signed by one that is not known.
"""

from collections.abc import Iterator
from typing import Any, Final

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
    """Google's keys. The subscriber itself is made in the project of the app, by who may change that."""
    answer = yield CloudRequest(method="GET", url=place.keys_url, headers={"Accept": "application/json"})
    if answer.status != 200 or not is_keyset(answer.body):
        return CloudSubscribed(f"Google's keys of webhooks cannot be read (HTTP {answer.status})")
    return CloudSubscribed(known=place.owner.known._replace(keys=answer.body.decode()))


NOTICES: Final = CloudNotices(receive=_received, read=_read, subscribe=_subscribed, keys_url=_KEYS_URL)
