"""Withings' notifications: forms that nobody signs, to a secret address, subscribed to for each user and each kind."""

from typing import Final

from healthsync_mqtt.adapters.notices import (
    IGNORED,
    NOTHING_HERE,
    TAKEN,
    CloudDelivery,
    CloudNotices,
    CloudSubscribed,
    HookOwner,
    HookPlace,
    Notice,
    NoticeAnswer,
    Telling,
    WindowQuestion,
    form_of,
    form_request,
    json_of,
    word_in,
)
from healthsync_mqtt.adapters.signatures import same

_MARGIN_S: Final = 3_600
_DAY_S: Final = 86_400
_LAST_S: Final = 4_102_444_800
_KINDS: Final = {
    "1": ("measure",), "2": ("measure",), "4": ("measure",), "16": ("activity", "workouts"),
    "44": ("sleep_summary", "sleep_detail"), "54": ("heart_list",), "58": ("measure",),
}  # fmt: skip
"""By Withings' number of a kind of notification (``appli``): what is asked for then."""
_USER: Final = "46"
WANTED: Final = (*_KINDS, _USER)
_BAD_URL: Final = 293


def _received(delivery: CloudDelivery, owner: HookOwner) -> NoticeAnswer:
    """The address is probed before it is used. What is said is asked for: a forged one leads to a question, no more."""
    if not same(delivery.word, owner.known.word):
        return NOTHING_HERE
    return TAKEN if delivery.method == "POST" else IGNORED


def _read(body: bytes, received_us: int) -> list[Notice]:
    form = form_of(body)
    account, appli = form.get("userid", ""), form.get("appli", "")
    if not account:
        return []
    if appli == _USER:
        return [Notice(account=account, check=True)] if form.get("action") in {"delete", "unlink"} else []
    start, end = _seconds(form.get("startdate", "")), _seconds(form.get("enddate", ""))
    if not 0 < start <= end < _LAST_S:  # a day alone, of a zone that is not said: what was changed since is enough
        end = received_us // 1_000_000
        start = end - 2 * _DAY_S
    questions = tuple(WindowQuestion(kind, start - _MARGIN_S, end + _MARGIN_S) for kind in _KINDS.get(appli, ()))
    return [Notice(account=account, ask=questions)] if questions else []


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else 0


def _subscribed(place: HookPlace) -> Telling:
    """Withings drops subscriptions without a word: what is missing is asked for again."""
    bearer = {"Authorization": f"Bearer {place.access}"}
    url = f"{place.base_url}/notify"
    answer = yield form_request("POST", url, bearer, {"action": "list"})
    document = json_of(answer.body)
    inner = document.get("body") if isinstance(document, dict) else None
    profiles = inner.get("profiles") if isinstance(inner, dict) else None
    if not isinstance(profiles, list):
        return CloudSubscribed("Withings does not say what it sends")
    here = {
        str(each.get("appli"))
        for each in profiles
        if isinstance(each, dict) and word_in(each, "callbackurl") == place.url
    }
    hint = ""
    for appli in WANTED:
        if appli in here:
            continue
        form = {"action": "subscribe", "callbackurl": place.url, "appli": appli, "comment": "healthsync"}
        made = json_of((yield form_request("POST", url, bearer, form)).body)
        status = made.get("status") if isinstance(made, dict) else None
        if status == _BAD_URL:
            return CloudSubscribed("Withings cannot use the address: it has to be https on port 443, and answer HEAD")
        if status != 0:
            hint = f"Withings does not send kind {appli} (status {status})"
    return CloudSubscribed(hint)


NOTICES: Final = CloudNotices(receive=_received, read=_read, secret_path=True, subscribe_user=_subscribed)
