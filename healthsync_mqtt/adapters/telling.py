"""Links to clouds as they are told: by `adapter status`, and over HTTP."""

from typing import Final

import msgspec

from healthsync_mqtt.adapters.link_state import CloudLinkState
from healthsync_mqtt.adapters.links import CloudLink
from healthsync_mqtt.model.times import iso

_SOON_US: Final = 14 * 86_400_000_000


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


def hint_of(link: CloudLink) -> str:
    """What is to be done about a link: what is wrong with it, or by when the user has to agree again."""
    if link.hint or link.state is not CloudLinkState.ok or not 0 < link.until_us < link.synced_us + _SOON_US:
        return link.hint
    return f"the provider lets us in until {iso(link.until_us)[:10]}: healthsync adapter link USER PROVIDER before that"


def described_link(link: CloudLink) -> LinkDescription:
    """A link, without its tokens."""
    return LinkDescription(
        user_id=link.user,
        provider=link.provider,
        state=link.state.value,
        hint=hint_of(link),
        scopes=link.scopes.replace(",", " ").split(),
        paused=link.paused,
        linked_at=iso(link.linked_us),
        synced_at=iso(link.synced_us) if link.synced_us else None,
    )
