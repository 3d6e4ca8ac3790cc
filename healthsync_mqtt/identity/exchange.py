"""Codes and refresh tokens are exchanged for credentials: the one place, whoever carries the request.

An exchange, the token that it hands out and its note for the audit log are one transaction: one that fails has cost
its client nothing.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from healthsync_mqtt.errors import HealthSyncError, NotFoundError, TokenError
from healthsync_mqtt.identity.audit.delivery import deliver
from healthsync_mqtt.identity.audit.log import AuditLog, subject_of
from healthsync_mqtt.identity.login.refresh import Refreshed, Reused, ReuseError
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.identity.people.records import Device
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.telemetry.log import get_logger

ACCESS_LIFETIME_S: Final = 3600
"""Seconds that an access token from here lives: its holder can get the next one by itself."""

log = get_logger("identity")


class DeviceName(NamedTuple):
    """The device that a request is known to come from."""

    user_id: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedTokens:
    """What a device gets: its names, an access token until ``expires_at`` (epoch seconds), the next refresh token."""

    user_id: str
    device_id: str
    client_id: str
    token: str = field(repr=False)
    expires_at: int
    refresh: Refreshed

    def as_json(self) -> dict[str, Any]:
        """Credentials as ``device add --json`` prints them, and the refresh token."""
        return {
            "user_id": self.user_id,
            "device_id": self.device_id,
            "client_id": self.client_id,
            "username": self.client_id,
            "token": self.token,
            "expires_at": iso(self.expires_at * 1_000_000),
            "refresh_token": self.refresh.token,
            "refresh_expires_at": iso(self.refresh.expires_us),
        }


class TokenExchange:
    """Every call blocks for some milliseconds: a durable write in the registry, and one in the audit log."""

    def __init__(
        self, registry: Registry, issuer: TokenIssuer, audit: AuditLog, *, lifetime_s: int = ACCESS_LIFETIME_S
    ) -> None:
        self._registry = registry
        self._issuer = issuer
        self._audit = audit
        self._lifetime_s = lifetime_s

    def enrol(self, handle: str, now: float, client_id: str) -> GrantedTokens:
        """Use up the code with this handle, which was checked at the login. TokenError for all but the first.

        A device that is there already gets new credentials, and its older ones end. One whose answer was lost may ask
        again for a minute under its ``client_id``, as long as it used nothing of it.
        """
        now_us = int(now * 1_000_000)
        registry = self._registry
        with registry.write():
            user_id, device_id = self._redeemed(handle, now_us, client_id)
            if registry.user(user_id).suspended_us is not None:
                raise TokenError("the user is suspended")
            try:
                known = registry.device(user_id, device_id)
            except NotFoundError:
                device = registry.add_device(user_id, device_id, now_us)
            else:
                if known.suspended_us is not None:
                    raise TokenError("the device is suspended")
                registry.revocation.revoke_device_tokens(user_id, device_id, now_us)
                device = registry.device(user_id, device_id)
            refresh = registry.refresh_tokens.begin(user_id, device_id, now_us)
            granted = self._granted(device, refresh, now, "device.enrolled")
        self._carry_notes()
        return granted

    def exchange(self, token: str, now: float, holder: DeviceName | None = None) -> GrantedTokens:
        """A new access token and the next refresh token for a refresh token, of ``holder`` where it is known.

        TokenError when it is worth nothing, or another device's. ReuseError when it was used before: its family is
        revoked, and the audit log and the service's log say so.
        """
        now_us = int(now * 1_000_000)
        tokens = self._registry.refresh_tokens
        with self._registry.write(quiet=True):
            found = tokens.holder(token)
            if found is None or (holder is not None and found != holder):
                raise TokenError("no refresh token of this device")
            device = self._active(DeviceName(*found))
            turned = tokens.turn(token, now_us)
            if isinstance(turned, Reused):
                self._note("token.refresh_reused", turned.user_id, turned.device_id, now_us)
            else:
                granted = self._granted(device, turned, now, "token.refreshed")
        self._carry_notes()
        if isinstance(turned, Reused):
            log.error("identity.refresh_token_reused", user_id=turned.user_id, device_id=turned.device_id)
            raise ReuseError(turned.user_id, turned.device_id)
        return granted

    def _redeemed(self, handle: str, now_us: int, client_id: str) -> tuple[str, str]:
        enrolments = self._registry.enrolments
        again = enrolments.again(handle, now_us, client_id)
        if again is None:
            return enrolments.redeem(handle, now_us, client_id)
        if not self._registry.refresh_tokens.is_unused(*again):
            raise TokenError("the code was used")
        return again

    def _active(self, holder: DeviceName) -> Device:
        try:
            device = self._registry.device(*holder)
            user = self._registry.user(holder.user_id)
        except NotFoundError:
            raise TokenError("the refresh token's device was removed") from None
        if device.suspended_us is not None or user.suspended_us is not None:
            raise TokenError("the refresh token's device is suspended")
        return device

    def _granted(self, device: Device, refresh: Refreshed, now: float, action: str) -> GrantedTokens:
        issued = self._issuer.issue(device.principal, lifetime_s=self._lifetime_s, now=now, epoch=device.token_epoch)
        self._note(action, device.user_id, device.device_id, int(now * 1_000_000), jti=issued.jti)
        return GrantedTokens(
            user_id=device.user_id,
            device_id=device.device_id,
            client_id=device.client_id,
            token=issued.token,
            expires_at=issued.expires_at,
            refresh=refresh,
        )

    def _note(self, action: str, user_id: str, device_id: str, now_us: int, **detail: str) -> None:
        subject = subject_of(self._audit, user_id, device_id)
        self._registry.audit_outbox.note(
            action, actor=subject or "service", now_us=now_us, subject=subject, detail=detail
        )

    def _carry_notes(self) -> None:
        try:
            deliver(self._registry.audit_outbox, self._audit)
        except HealthSyncError as error:  # the notes are safe where they are, and go with the next ones
            log.error("identity.audit_delayed", error=error)  # noqa: TRY400  # no traceback
