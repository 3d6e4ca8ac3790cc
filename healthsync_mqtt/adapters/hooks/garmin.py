"""Garmin's pushes and pings: nobody signs them, so that the address is a secret and the app's id is compared.

The address is said at Garmin's developer pages, by hand. A push has the data of many users; a ping says where that is,
and is followed within Garmin's API alone. A file of an activity is given once.
"""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from healthsync_mqtt.adapters.notices import (
    FORGED,
    NOTHING_HERE,
    TAKEN,
    CloudDelivery,
    CloudNotices,
    HookOwner,
    Notice,
    NoticeAnswer,
    RecordQuestion,
    account_in,
    address_of,
    json_of,
    word_in,
)
from healthsync_mqtt.adapters.signatures import same
from healthsync_mqtt.formats.fit.wire import is_fit

_HOST: Final = "apis.garmin.com"
_PATHS: Final = "/wellness-api/rest/"
_MOST: Final = 100 * 1024 * 1024
_ABOUT_USERS: Final = frozenset({"deregistrations", "userPermissionsChange"})
FILES: Final = "activityFiles"
_MOST_FILE: Final = 32 * 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _received(delivery: CloudDelivery, owner: HookOwner) -> NoticeAnswer:
    if not same(delivery.word, owner.known.word):
        return NOTHING_HERE
    if delivery.method != "POST":
        return NoticeAnswer(200)
    return TAKEN if same(delivery.headers.get("garmin-client-id", ""), owner.client_id) else FORGED


def _read(body: bytes, _received_us: int) -> list[Notice]:
    document = json_of(body)
    pushed: dict[str, None] = {}
    check: dict[str, None] = {}
    asked: dict[str, list[RecordQuestion]] = {}
    for kind, several in document.items() if isinstance(document, dict) else ():
        for each in several if isinstance(several, list) else ():
            account = account_in(each, "userId")
            if not account:
                continue
            if kind in _ABOUT_USERS:
                check[account] = None
            elif "callbackURL" not in each:
                pushed[account] = None
            elif (question := _called_back(kind, each)) is not None:
                asked.setdefault(account, []).append(question)
    accounts = dict.fromkeys((*pushed, *asked, *check))
    return [
        Notice(
            account=each,
            ask=tuple(asked.get(each, ())),
            pushed="push" if each in pushed else "",
            body=body if each in pushed else b"",
            check=each in check,
        )
        for each in accounts
    ]


def _called_back(kind: str, item: Any) -> RecordQuestion | None:
    """The question of a ping, where it leads into Garmin's API; None: nobody goes there."""
    there = address_of(item, "callbackURL")
    if (
        there is None
        or there.scheme != "https"
        or there.hostname != _HOST
        or not there.path.startswith(_PATHS)
        or ".." in there.path
    ):
        return None
    query = dict(parse_qsl(there.query))
    if kind != FILES:
        return RecordQuestion(kind, there.path, query)
    name = account_in(item, "activityId")
    if word_in(item, "fileType") != "FIT" or not _NAME.fullmatch(name):
        return None  # others say where somebody was, and little else
    return RecordQuestion(kind, there.path, query, once=name, most=_MOST_FILE, is_file=is_fit)


NOTICES: Final = CloudNotices(receive=_received, read=_read, most=_MOST, secret_path=True)
