"""WHOOP's webhooks. They are switched on at WHOOP's developer pages, by hand: there is no call for it."""

import re
from typing import Any, Final

from healthsync_mqtt.adapters.notices import (
    FORGED,
    TAKEN,
    CloudDelivery,
    CloudNotices,
    HookOwner,
    Notice,
    NoticeAnswer,
    RecordQuestion,
    account_in,
    json_of,
    lately,
    word_in,
)
from healthsync_mqtt.adapters.signatures import fresh, signed_base64

_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_KINDS: Final = frozenset({"sleep", "recovery", "workout"})
_API: Final = "/developer/v2"


def _received(delivery: CloudDelivery, owner: HookOwner) -> NoticeAnswer:
    """Base64 of the HMAC over the time stamp, in milliseconds, and the body."""
    stamp = delivery.headers.get("x-whoop-signature-timestamp", "")
    said = delivery.headers.get("x-whoop-signature", "")
    message = stamp.encode() + delivery.body
    good = fresh(stamp, delivery.received_us, a_second=1_000) and signed_base64(owner.client_secret, message, said)
    return TAKEN if delivery.method == "POST" and good else FORGED


def _read(body: bytes, received_us: int) -> list[Notice]:
    """Ids that are numbers are of WHOOP's older model: the last days are asked for instead."""
    document = json_of(body)
    account, name = account_in(document, "user_id"), word_in(document, "id")
    kind, _, happened = word_in(document, "type").partition(".")
    if not account or kind not in _KINDS:
        return []
    if not _ID.fullmatch(name):
        return [Notice(account=account, ask=(lately(kind, received_us),))]
    if happened == "deleted":
        # A recovery goes when its sleep does.
        gone = (f"{kind} {name};", f"recovery {name};") if kind == "sleep" else (f"{kind} {name};",)
        return [Notice(account=account, gone=gone)]
    if kind == "workout":
        question = RecordQuestion(kind, f"{_API}/activity/workout/{name}", names=(f"workout {name};",))
    else:
        # The id in a notice of a recovery is that of its sleep.
        then = _recovery if kind == "recovery" else None
        names = (f"sleep {name};", f"recovery {name};")
        question = RecordQuestion("sleep", f"{_API}/activity/sleep/{name}", names=names, then=then)
    return [Notice(account=account, ask=(question,))]


def _recovery(sleep: Any) -> tuple[RecordQuestion, ...]:
    cycle = account_in(sleep, "cycle_id")
    return (RecordQuestion("recovery", f"{_API}/cycle/{cycle}/recovery"),) if cycle.isdecimal() else ()


NOTICES: Final = CloudNotices(receive=_received, read=_read)
