"""The bodies of requests that change what is registered, as values."""

from typing import Annotated, Any, Literal

import msgspec

from healthsync_mqtt.identity.people.names import TITLE_MAX
from healthsync_mqtt.topics.grammar import ID_MAX

Id = Annotated[str, msgspec.Meta(pattern=f"^[A-Za-z0-9_-]{{1,{ID_MAX}}}$")]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Words = Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=200)]
PurposeName = Literal["store", "share", "insights", "analysis"]
Purposes = Annotated[tuple[PurposeName, ...], msgspec.Meta(min_length=1, max_length=4)]
USUAL: tuple[PurposeName, ...] = ("store", "share", "insights")
_DAY_S = 86_400


class UserRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new user, and the types that the user agrees to: names, or ``all``; none is ``[]``."""

    user_id: Id
    consent: Annotated[tuple[Word, ...], msgspec.Meta(max_length=200)]
    purposes: Purposes = USUAL


class InviteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A link that opens a session once."""

    lifetime_s: Annotated[int, msgspec.Meta(ge=60, le=30 * _DAY_S)] = _DAY_S


class DeviceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new device."""

    device_id: Id


class TitleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What people call a device; an empty text takes that away."""

    title: Annotated[str, msgspec.Meta(max_length=TITLE_MAX)]


class TokenWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new token."""

    lifetime_s: Annotated[int, msgspec.Meta(ge=1, le=_DAY_S)] | None = None


class AppRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new app: what it sends, and what its messages do not say."""

    device_id: Id
    formats: Words
    zone: Word | None = None
    unit: Word | None = None
    bucket_s: Annotated[int, msgspec.Meta(ge=1, le=31 * _DAY_S)] | None = None
    slot: Word | None = None
    longest: Annotated[int, msgspec.Meta(ge=1_024, le=268_435_455)] | None = None


class ConsentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A decision about types (names, or ``all``: the general ones).

    Without ``purposes`` a withdrawal is for all of them, and a grant for all but analysis, which is agreed to by name.
    """

    action: Literal["grant", "withdraw"]
    types: Words
    purposes: Purposes | None = None
    expires_at: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    text_version: Word | None = None


class SubscriberRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new subscriber. ``*`` among users are all of them, among types the general ones."""

    name: Id
    users: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=1_000)]
    types: Words = ("*",)
    batches: bool = False


class WebhookRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new webhook of a subscriber."""

    name: Id
    subscriber: Id
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2_048)]


class AdminRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new admin."""

    name: Id


class PurgeWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was refused last before a time is to go, of one user or of everybody."""

    before: Annotated[str, msgspec.Meta(max_length=64)]
    user_id: Id | None = None


class SourceOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sources count first, the best first; none: no order of the user's own."""

    sources: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=256)], ...], msgspec.Meta(max_length=200)]


class ErasureWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The user's id once more, and why: kept in the audit log, so without names."""

    confirm: Id
    reason: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class LinkWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The cloud that a user wants to be linked to."""

    provider: Id


class PasskeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A passkey that an authenticator has made: the name that the person knows it by, and what the browser gave."""

    name: Word
    credential: dict[str, Any]


class SignInRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the browser gave for a passkey that has signed."""

    credential: dict[str, Any]


REQUESTS: tuple[type[msgspec.Struct], ...] = (
    UserRequest,
    InviteRequest,
    DeviceRequest,
    TitleRequest,
    TokenWish,
    AppRequest,
    ConsentRequest,
    SubscriberRequest,
    WebhookRequest,
    AdminRequest,
    PurgeWish,
    SourceOrder,
    ErasureWish,
    LinkWish,
    PasskeyRequest,
    SignInRequest,
)
