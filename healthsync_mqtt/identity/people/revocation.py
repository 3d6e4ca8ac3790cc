"""Taking rights away, for a while or for good: suspension, removal, revocation of tokens.

What was issued before a revocation is told from what came after it by an epoch that each revocation raises, and by no
clock: one that is set back, or was wrong, brings nothing back to life and outlaws nothing that is new.
"""

from typing import Final

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.identity.people.lookup import PEOPLE, device_of, epoch_of, subscriber_of, user_of
from healthsync_mqtt.identity.people.names import check_id
from healthsync_mqtt.identity.people.records import Device
from healthsync_mqtt.identity.people.tables import Tables

_SECOND_US: Final = 1_000_000
_LONGEST_TOKEN_S: Final = 86_400
MOST_REVOKED: Final = 100_000
"""Token ids that are remembered as revoked. The oldest go, and none because a clock says so."""


class Revocation:
    """Each call is one durable write that running services see within a fraction of a second."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def suspend_user(self, user_id: str, now_us: int) -> bool:
        """No device of the user may connect until ``resume_user``; whether that is new. NotFoundError."""
        with self._tables.write():
            if user_of(self._tables, user_id).suspended_us is not None:
                return False
            self._tables.update("users", user_id, {"suspended_us": now_us})
            return True

    def resume_user(self, user_id: str) -> bool:
        """Undo ``suspend_user``; whether the user was suspended. NotFoundError."""
        with self._tables.write():
            if user_of(self._tables, user_id).suspended_us is None:
                return False
            self._tables.update("users", user_id, {"suspended_us": None})
            return True

    def suspend_device(self, user_id: str, device_id: str, now_us: int) -> bool:
        """The device may not connect until ``resume_device``; whether that is new. NotFoundError."""
        with self._tables.write():
            if device_of(self._tables, user_id, device_id).suspended_us is not None:
                return False
            self._tables.update("devices", (user_id, device_id), {"suspended_us": now_us})
            return True

    def resume_device(self, user_id: str, device_id: str) -> bool:
        """Undo ``suspend_device``; whether the device was suspended. NotFoundError."""
        with self._tables.write():
            if device_of(self._tables, user_id, device_id).suspended_us is None:
                return False
            self._tables.update("devices", (user_id, device_id), {"suspended_us": None})
            return True

    def suspend_subscriber(self, name: str, now_us: int) -> bool:
        """The subscriber may not connect until ``resume_subscriber``; whether that is new. NotFoundError."""
        with self._tables.write():
            if subscriber_of(self._tables, name).suspended_us is not None:
                return False
            self._tables.update("subscribers", name, {"suspended_us": now_us})
            return True

    def resume_subscriber(self, name: str) -> bool:
        """Undo ``suspend_subscriber``; whether it was suspended. NotFoundError."""
        with self._tables.write():
            if subscriber_of(self._tables, name).suspended_us is None:
                return False
            self._tables.update("subscribers", name, {"suspended_us": None})
            return True

    def revoke_token(self, jti: str, now_us: int) -> bool:
        """One access token is void from now on, whoever holds it; whether that is new."""
        check_id("token id", jti)
        with self._tables.write():
            if self.is_revoked(jti):
                return False
            latest = now_us // _SECOND_US + _LONGEST_TOKEN_S + 1
            self._tables.insert("revoked_tokens", {"jti": jti, "revoked_us": now_us, "expires_s": latest})
            for oldest in self._tables.column(str, PEOPLE["oldest_revoked_tokens"], MOST_REVOKED):
                self._tables.delete("revoked_tokens", "jti = ?", oldest)
            return True

    def revoke_device_tokens(self, user_id: str, device_id: str, now_us: int) -> None:
        """Every token, refresh token and certificate that a device was given up to now is void. NotFoundError."""
        with self._tables.write():
            device = device_of(self._tables, user_id, device_id)
            outdate(self._tables, device, now_us)
            end_families(self._tables, user_id, device_id, now_us, "tokens revoked")

    def revoke_subscriber_tokens(self, name: str) -> None:
        """Every token and certificate that a subscriber was given up to now is void. NotFoundError."""
        with self._tables.write():
            subscriber_of(self._tables, name)
            raise_epoch(self._tables, name)

    def is_revoked(self, jti: str) -> bool:
        """Whether this token is one of the ``revoked``."""
        return bool(self._tables.column(str, PEOPLE["revoked_token"], jti))

    def revoked(self) -> frozenset[str]:
        """The ids of revoked tokens that may not have expired yet."""
        return frozenset(self._tables.column(str, PEOPLE["revoked_tokens"]))


def after(now_us: int) -> int:
    """The first second whose tokens are newer than ``now_us``, also those of the same second."""
    if now_us < 0:
        raise InputError("the clock is before 1970")
    return now_us // _SECOND_US + 1


def raise_epoch(tables: Tables, client_id: str) -> None:
    """Whatever was issued to this principal is void, inside ``write()``."""
    epoch = epoch_of(tables, client_id)
    assert epoch is not None
    tables.update("principals", client_id, {"token_epoch": epoch + 1})


def outdate(tables: Tables, device: Device, now_us: int) -> None:
    """Whatever was issued to this device is void, also tokens of releases that knew no epochs; inside ``write()``."""
    raise_epoch(tables, device.client_id)
    earliest = max(device.not_before_s, after(now_us))
    tables.update("devices", (device.user_id, device.device_id), {"not_before_s": earliest})


def end_families(tables: Tables, user_id: str, device_id: str, now_us: int, why: str) -> None:
    """Revoke every chain of refresh tokens of a device, inside ``write()``."""
    for family in tables.column(str, PEOPLE["families_of_device"], user_id, device_id):
        tables.update("refresh_families", family, {"revoked_us": now_us, "revoked_for": why, "sealed_newest": None})
