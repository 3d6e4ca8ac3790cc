"""New tokens at somebody's word, as ``device token`` issues them."""

import time
from typing import Final, NamedTuple

import msgspec

from healthsync_mqtt.gateway.registry.deeds import Deed
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.model.times import iso

_SECOND_US: Final = 1_000_000


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A login with a token, which is told once."""

    user_id: str | None
    device_id: str | None
    client_id: str
    username: str
    token: str
    expires_at: str


class TokenDesk(NamedTuple):
    """Issues tokens that live ``lifetime_s`` where nothing else is asked for."""

    issuer: TokenIssuer
    lifetime_s: int

    def issue(self, deed: Deed, principal: Principal, epoch: int, lifetime_s: int | None) -> TokenAnswer:
        """A token of a principal of this epoch, which is written down in the deed."""
        seconds = lifetime_s or self.lifetime_s
        made = self.issuer.issue(principal, lifetime_s=seconds, now=time.time(), epoch=epoch)
        deed.note(
            "token.issued",
            user=principal.user,
            device=principal.device,
            client=principal.client_id if principal.device is None else None,
            role=principal.role,
            jti=made.jti,
            lifetime_s=seconds,
        )
        return TokenAnswer(
            user_id=principal.user,
            device_id=principal.device,
            client_id=principal.client_id,
            username=principal.client_id,
            token=made.token,
            expires_at=iso(made.expires_at * _SECOND_US),
        )
