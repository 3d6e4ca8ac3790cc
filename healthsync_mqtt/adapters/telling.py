"""Links to clouds as they are told: by `adapter status`, and over HTTP."""

import msgspec

from healthsync_mqtt.adapters.links import CloudLink
from healthsync_mqtt.model.times import iso


class LinkDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A user's link to a cloud; ``hint`` is what is to be done where it does not work."""

    user_id: str
    provider: str
    state: str
    hint: str
    scopes: list[str]
    paused: bool
    linked_at: str
    synced_at: str | None


class CloudLine(msgspec.Struct, frozen=True, kw_only=True):
    """A cloud that users can be linked to here."""

    provider: str
    title: str
    types: list[str]


def described_link(link: CloudLink) -> LinkDescription:
    """A link, without its tokens."""
    return LinkDescription(
        user_id=link.user,
        provider=link.provider,
        state=link.state.value,
        hint=link.hint,
        scopes=link.scopes.replace(",", " ").split(),
        paused=link.paused,
        linked_at=iso(link.linked_us),
        synced_at=iso(link.synced_us) if link.synced_us else None,
    )
