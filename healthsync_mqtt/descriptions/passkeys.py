"""Passkeys as they are told: over HTTP, and in a person's export."""

import msgspec

from healthsync_mqtt.identity.people.passkeys import Passkey
from healthsync_mqtt.model.times import iso


class PasskeyLine(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey without its key, which is in no answer."""

    id: str
    name: str
    created_at: str
    used_at: str | None


def described_passkey(passkey: Passkey) -> PasskeyLine:
    """A passkey, without its key."""
    return PasskeyLine(
        id=passkey.id,
        name=passkey.name,
        created_at=iso(passkey.created_us),
        used_at=iso(passkey.used_us) if passkey.used_us else None,
    )
