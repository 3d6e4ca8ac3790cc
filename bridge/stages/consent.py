"""What a user has not agreed to goes no further. Pure decisions over a snapshot of consent.

``store`` is asked once a delivery, after decoding: an event without it is rejected with ``no_consent`` and nothing of
its content is kept. ``share`` is asked for each event on its way to subscribers. Where an external broker lets clients
in, the gate knows of devices and users that may not send, too: theirs is rejected with ``not_allowed``.
"""

from __future__ import annotations

import threading
from functools import partial
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from healthsync_mqtt.identity.consent.decisions import NO_PERMISSION, NOBODY, Permission, Permissions, Purpose
from healthsync_mqtt.identity.people.senders import SenderStanding
from healthsync_mqtt.model.catalogue import GUARDED
from healthsync_mqtt.model.event import Decoded, Omitted, Rejection, omitted
from healthsync_mqtt.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from healthsync_mqtt.identity.people.senders import SenderChanges
    from healthsync_mqtt.model.origin import Origin
    from healthsync_mqtt.model.record import Record

_NOT_AGREED: Final = "the user has not agreed to data of this type being stored"

_Key = TypeVar("_Key")


class Barred(NamedTuple):
    """Why a sender's events are not taken; ``retry``: they may be, later."""

    message: str
    retry: bool = False


_UNKNOWN: Final = Barred("no such device is registered for this user")
_UNNAMED: Final = Barred("the topic does not say which device sent this: publish to the device's own events topic")
_OF_DEVICE: Final = {
    SenderStanding.removed: Barred("this device was removed"),
    SenderStanding.suspended: Barred("this device is suspended; what it sends may be taken later", retry=True),
}
_OF_USER: Final = {
    SenderStanding.suspended: Barred("this user is suspended; what is sent may be taken later", retry=True)
}
_type_of: Final = attrgetter("type")
_OURS: Final = frozenset({
    "id", "user_id", "type", "start_time", "end_time", "value", "device", "utc_offset", "source", "version", "op",
    "batch", "events",
})  # fmt: skip
"""Names of fields that say nothing of what is in them; a sender may call any other as it likes."""
_NOT_KEPT: Final = "refused, and not kept: the user has not agreed to all types being stored"


class ConsentGate:
    """The consent that holds now. It starts closed; ``replace`` and ``amend`` bring it up to date."""

    def __init__(self, permissions: Permissions = NOBODY) -> None:
        self.store: dict[str, Permission] = dict(permissions[Purpose.store])
        self.share: dict[str, Permission] = dict(permissions[Purpose.share])
        self.insights: dict[str, Permission] = dict(permissions[Purpose.insights])
        self.analysis: dict[str, Permission] = dict(permissions[Purpose.analysis])
        #: another number after each change
        self.version = 0
        self._devices: dict[tuple[str, str], SenderStanding] = {}
        self._users: dict[str, SenderStanding] = {}
        self._only_known = False
        #: somebody may not send, as far as it is known here
        self._bars = False
        self._changed: set[str] = set()
        self._storing_changed: set[str] = set()
        self._lock = threading.Lock()

    def replace(self, permissions: Permissions) -> None:
        """Go by a newer snapshot from now on. May be called from any thread."""
        with self._lock:
            share, store = dict(permissions[Purpose.share]), dict(permissions[Purpose.store])
            self._changed |= _different(self.share, share)
            self._storing_changed |= _different(self.store, store)
            self.store, self.share = store, share
            self.insights = dict(permissions[Purpose.insights])
            self.analysis = dict(permissions[Purpose.analysis])
            self.version += 1

    def amend(self, permissions: Permissions) -> None:
        """Go by what these users agree to from now on; the others are not looked at. May be called from any thread.

        Each user's permission is replaced whole, and the version is another one only after that: what was screened
        meanwhile is screened again.
        """
        with self._lock:
            share, store = permissions[Purpose.share], permissions[Purpose.store]
            self._changed |= {user for user, permission in share.items() if self.share.get(user) != permission}
            self._storing_changed |= {user for user, permission in store.items() if self.store.get(user) != permission}
            self.store.update(store)
            self.share.update(share)
            self.insights.update(permissions[Purpose.insights])
            self.analysis.update(permissions[Purpose.analysis])
            self.version += 1

    def bar(self, changes: SenderChanges, *, only_known: bool) -> None:
        """Go by how senders stand from now on; ``only_known``: a device that is none of these may not send either."""
        with self._lock:
            if changes.whole:
                self._devices, self._users = dict(changes.devices), dict(changes.users)
            else:
                _move(self._devices, changes.devices, keep_active=only_known)
                _move(self._users, changes.users, keep_active=False)
            self._only_known = only_known
            self._bars = only_known or bool(self._devices) or bool(self._users)
            self.version += 1

    def barred(self, user: str, device: str | None, *, by_provider: bool = False) -> Barred | None:
        """Why nothing is taken from this sender; None: it is. ``by_provider``: it is no device's, but an adapter's."""
        if not self._bars:
            return None
        why = _OF_USER.get(self._users.get(user, SenderStanding.active))
        if why is not None or (device is None and by_provider):
            return why
        if device is None:
            return _UNNAMED if self._only_known else None
        standing = self._devices.get((user, device))
        if standing is None:
            return _UNKNOWN if self._only_known else None
        return _OF_DEVICE.get(standing)

    def admit(self, decoded: Decoded, origin: Origin, now_us: int) -> Decoded:
        """The delivery, received now, as far as its sender may send at all and it may be stored."""
        why = self.barred(origin.user, origin.device, by_provider=origin.provider is not None)
        return self.screen(decoded, origin.user, now_us) if why is None else refused_whole(decoded, why)

    def changed(self) -> frozenset[str]:
        """The users whose permission to share has become another one since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return frozenset(changed)

    def storing_changed(self) -> frozenset[str]:
        """The users whose permission to store has become another one since the last call."""
        with self._lock:
            changed, self._storing_changed = self._storing_changed, set()
        return frozenset(changed)

    def screen(self, decoded: Decoded, user: str, now_us: int) -> Decoded:
        """The delivery of ``user``, received now, as far as it may be stored."""
        permission = self.store.get(user, NO_PERMISSION)
        if (
            not permission.types
            and now_us < permission.rest.until_us
            and not decoded.rejections
            and GUARDED.isdisjoint(map(_type_of, decoded.events))
        ):
            return decoded
        return stripped(decoded, permission, now_us)

    def keeps(self, user: str, type_name: str, now_us: int) -> bool:
        """Whether an event of this type that is received now may be stored."""
        return now_us < self.store.get(user, NO_PERMISSION).span(type_name).until_us

    def keeps_anything(self, user: str, now_us: int) -> bool:
        """Whether events of any type that are received now may be stored."""
        permission = self.store.get(user, NO_PERMISSION)
        return any(now_us < span.until_us for span in (permission.rest, *permission.types.values()))

    def permits(self, user: str, type: str, now_us: int) -> bool:  # noqa: A002 - named like the topic's variable
        """Whether any event of this type may go to subscribers now."""
        return now_us < self.share.get(user, NO_PERMISSION).span(type).until_us

    def shares(self, record: Record, now_us: int) -> bool:
        """Whether an event of the log may go to subscribers now."""
        permission = self.share.get(record.user, NO_PERMISSION)
        return permission.span(record.type).covers(record.received_us, now_us)


def _different(one: Mapping[str, Permission], other: Mapping[str, Permission]) -> set[str]:
    return {user for user in one.keys() | other.keys() if one.get(user) != other.get(user)}


def _move(known: dict[_Key, SenderStanding], changes: Mapping[_Key, SenderStanding], *, keep_active: bool) -> None:
    for key, standing in changes.items():
        if standing is SenderStanding.active and not keep_active:
            known.pop(key, None)
        else:
            known[key] = standing


def refused_whole(decoded: Decoded, why: Barred) -> Decoded:
    """Everything of a delivery as rejections, of whose content nothing is kept."""
    refused = partial(Rejection, reason=Reason.NOT_ALLOWED, field=None, message=why.message, raw=b"", retry=why.retry)
    rejections = [refused(event.index, event.id) for event in decoded.events]
    rejections += [refused(rejection.index, rejection.id) for rejection in decoded.rejections]
    rejections.sort(key=lambda rejection: rejection.index)
    return decoded._replace(events=[], rejections=rejections)


def stripped(decoded: Decoded, permission: Permission, now_us: int) -> Decoded:
    """``decoded`` without the content of what ``permission`` does not cover: events become rejections without bytes.

    A rejection keeps its bytes only where the decoder read them exactly and found nothing in them but a type that is
    covered (``Rejection.type``): what can be read in two ways, or has a place not of its type, might be anything. Where
    every general type is covered, it keeps them if the decoder found no other type that is not named anywhere in them
    (``Rejection.guarded``); here nobody looks at them. Of bytes that are not kept their number and digest are; of a
    sound event not even these.
    """
    withheld = None
    if permission.complete(now_us):
        withheld = frozenset(name for name in GUARDED if now_us >= permission.span(name).until_us)
    accepted = []
    rejections = [_without_content(each, permission, now_us, withheld) for each in decoded.rejections]
    for event in decoded.events:
        if now_us < permission.span(event.type).until_us:
            accepted.append(event)
        else:
            rejections.append(Rejection(event.index, event.id, Reason.NO_CONSENT, "type", _NOT_AGREED, b""))
    if len(accepted) == len(decoded.events) and all(map(is_, rejections, decoded.rejections)):
        return decoded
    rejections.sort(key=lambda rejection: rejection.index)
    return decoded._replace(events=accepted, rejections=rejections)


def _without_content(
    rejection: Rejection, permission: Permission, now_us: int, withheld: frozenset[str] | None
) -> Rejection:
    if not rejection.raw and rejection.type is None and rejection.guarded is None:
        return rejection  # nothing is in it
    omits = _omitted(rejection) if rejection.raw or rejection.omitted else None
    if rejection.type is None:
        may_name = GUARDED if rejection.guarded is None else rejection.guarded
        if withheld is not None and withheld.isdisjoint(may_name):
            return rejection
        field = _ours(rejection.field)
        return rejection._replace(field=field, message=_NOT_KEPT, raw=b"", omitted=omits, due_us=None, guarded=None)
    if now_us < permission.span(rejection.type).until_us:
        return rejection
    return Rejection(rejection.index, rejection.id, Reason.NO_CONSENT, "type", _NOT_AGREED, b"", omitted=omits)


def _ours(field: str | None) -> str | None:
    """A path as far as it is in our own words: a field that nobody knows is named by its sender."""
    name = (field or "").partition(".")[0].partition("[")[0]
    return name if name in _OURS else None


def _omitted(rejection: Rejection) -> Omitted:
    return rejection.omitted or omitted(rejection.raw)
