"""Taking rights away, for a while or for good: suspension of users and devices, revocation of tokens."""

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.identity.people.lookup import device_row, user_row
from healthsync_mqtt.identity.people.names import check_id
from healthsync_mqtt.identity.people.tables import Tables

_SECOND_US = 1_000_000
_LONGEST_TOKEN_S = 86_400


class Revocation:
    """Each call is one durable write that running services see within a fraction of a second."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def suspend_user(self, user_id: str, now_us: int) -> bool:
        """No device of the user may connect until ``resume_user``; whether that is new. NotFoundError."""
        with self._tables.write():
            if user_row(self._tables, user_id)["suspended_us"] is not None:
                return False
            self._tables.update("users", user_id, {"suspended_us": now_us})
            return True

    def resume_user(self, user_id: str) -> bool:
        """Undo ``suspend_user``; whether the user was suspended. NotFoundError."""
        with self._tables.write():
            if user_row(self._tables, user_id)["suspended_us"] is None:
                return False
            self._tables.update("users", user_id, {"suspended_us": None})
            return True

    def suspend_device(self, user_id: str, device_id: str, now_us: int) -> bool:
        """The device may not connect until ``resume_device``; whether that is new. NotFoundError."""
        with self._tables.write():
            if device_row(self._tables, user_id, device_id)["suspended_us"] is not None:
                return False
            self._tables.update("devices", (user_id, device_id), {"suspended_us": now_us})
            return True

    def resume_device(self, user_id: str, device_id: str) -> bool:
        """Undo ``suspend_device``; whether the device was suspended. NotFoundError."""
        with self._tables.write():
            if device_row(self._tables, user_id, device_id)["suspended_us"] is None:
                return False
            self._tables.update("devices", (user_id, device_id), {"suspended_us": None})
            return True

    def revoke_token(self, jti: str, now_us: int) -> bool:
        """One access token is void from now on, whoever holds it; whether that is new."""
        check_id("token id", jti)
        with self._tables.write():
            if self._tables.one("SELECT 1 FROM revoked_tokens WHERE jti = ?", jti):
                return False
            latest = now_us // _SECOND_US + _LONGEST_TOKEN_S + 1
            self._tables.insert("revoked_tokens", {"jti": jti, "revoked_us": now_us, "expires_s": latest})
            self._tables.delete("revoked_tokens", "expires_s < ?", now_us // _SECOND_US - _LONGEST_TOKEN_S)
            return True

    def revoke_device_tokens(self, user_id: str, device_id: str, now_us: int) -> None:
        """Every access and refresh token that a device was given up to now is void. NotFoundError."""
        with self._tables.write():
            device_row(self._tables, user_id, device_id)
            self._tables.update("devices", (user_id, device_id), {"not_before_s": after(now_us)})
            end_families(self._tables, user_id, device_id, now_us, "tokens revoked")

    def revoked(self) -> frozenset[str]:
        """The ids of revoked tokens that may not have expired yet."""
        return frozenset(row["jti"] for row in self._tables.rows("SELECT jti FROM revoked_tokens"))


def after(now_us: int) -> int:
    """The first second whose tokens are newer than ``now_us``, also those of the same second."""
    if now_us < 0:
        raise InputError("the clock is before 1970")
    return now_us // _SECOND_US + 1


def end_families(tables: Tables, user_id: str, device_id: str, now_us: int, why: str) -> None:
    """Revoke every chain of refresh tokens of a device, inside ``write()``."""
    families = tables.rows(
        "SELECT family FROM refresh_families WHERE user_id = ? AND device_id = ? AND revoked_us IS NULL",
        user_id,
        device_id,
    )
    for row in families:
        tables.update(
            "refresh_families", row["family"], {"revoked_us": now_us, "revoked_for": why, "sealed_newest": None}
        )
