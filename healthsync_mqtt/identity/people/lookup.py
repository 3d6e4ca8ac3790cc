"""Rows that several parts of the registry look up by name."""

from typing import Any

from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.identity.people.names import check_id
from healthsync_mqtt.identity.people.tables import Tables


def user_row(tables: Tables, user_id: str) -> dict[str, Any]:
    """The row of a user; NotFoundError."""
    row = tables.one("SELECT * FROM users WHERE id = ?", check_id("user id", user_id))
    if row is None:
        raise NotFoundError(f"there is no user {user_id}", hint=f"healthsync user add {user_id} --consent all")
    return row


def any_device_row(tables: Tables, user_id: str, device_id: str) -> dict[str, Any] | None:
    """The row of a device, removed or not, if there ever was one."""
    return tables.one("SELECT * FROM devices WHERE user_id = ? AND device_id = ?", user_id, device_id)


def device_row(tables: Tables, user_id: str, device_id: str) -> dict[str, Any]:
    """The row of a device that was not removed; NotFoundError."""
    user_row(tables, user_id)
    row = any_device_row(tables, user_id, check_id("device id", device_id))
    if row is None or row["removed_us"] is not None:
        raise NotFoundError(f"{user_id} has no device {device_id}", hint=f"healthsync device add {user_id} {device_id}")
    return row
