"""Records that several parts of the registry look up by name."""

from typing import Final

from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.identity.people.names import check_id, load_names
from healthsync_mqtt.identity.people.records import Admin, Device, Subscriber, User
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

PEOPLE: Final = statements("people", "people")


def any_user(tables: Tables, user_id: str) -> User | None:
    """A user, removed or not, if there ever was one."""
    row = tables.one(PEOPLE["user"], check_id("user id", user_id))
    return None if row is None else User(**row)


def user_of(tables: Tables, user_id: str) -> User:
    """A user who was not removed; NotFoundError."""
    found = any_user(tables, user_id)
    if found is None or found.removed_us is not None:
        raise NotFoundError(f"there is no user {user_id}", hint=f"healthsync user add {user_id} --consent all")
    return found


def any_device(tables: Tables, user_id: str, device_id: str) -> Device | None:
    """A device, removed or not, if there ever was one."""
    row = tables.one(PEOPLE["device"], user_id, device_id)
    return None if row is None else Device(**row)


def device_of(tables: Tables, user_id: str, device_id: str) -> Device:
    """A device that was not removed; NotFoundError."""
    user_of(tables, user_id)
    found = any_device(tables, user_id, check_id("device id", device_id))
    if found is None or found.removed_us is not None:
        raise NotFoundError(f"{user_id} has no device {device_id}", hint=f"healthsync device add {user_id} {device_id}")
    return found


def any_subscriber(tables: Tables, name: str) -> Subscriber | None:
    """A subscriber, removed or not, if there ever was one."""
    row = tables.one(PEOPLE["subscriber"], check_id("subscriber name", name))
    return None if row is None else subscriber_from(row)


def subscriber_of(tables: Tables, name: str) -> Subscriber:
    """A subscriber that was not removed; NotFoundError."""
    found = any_subscriber(tables, name)
    if found is None or found.removed_us is not None:
        raise NotFoundError(f"there is no subscriber {name}", hint=f"healthsync subscriber add {name} --users ...")
    return found


def subscriber_from(row: dict[str, object]) -> Subscriber:
    """A subscriber as its row says."""
    users, types = load_names(str(row["users"])), load_names(str(row["types"]))
    values = {**row, "users": users, "types": types, "batches": bool(row["batches"])}
    return Subscriber(**values)  # type: ignore[arg-type]


def member_of(tables: Tables, client_id: str) -> Device | Subscriber | Admin | None:
    """Who may connect under a client id now, if anybody."""
    row = tables.one(PEOPLE["active_device_of_client"], client_id)
    if row is not None:
        return Device(**row)
    row = tables.one(PEOPLE["subscriber"], client_id)
    if row is not None:
        found = subscriber_from(row)
        return found if found.removed_us is None and found.suspended_us is None else None
    row = tables.one(PEOPLE["admin"], client_id)
    return None if row is None else Admin(**row)
