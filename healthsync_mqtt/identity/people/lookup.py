"""Records that several parts of the registry look up by name."""

import json
from dataclasses import replace
from typing import Any, Final

from healthsync_mqtt.errors import Noun, UnknownNameError
from healthsync_mqtt.identity.people.names import check_id, load_names
from healthsync_mqtt.identity.people.records import Admin, AppRecord, Device, Subscriber, User
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements
from healthsync_mqtt.model.declaration import Declared

PEOPLE: Final = statements("people", "people")
APPS: Final = statements("people", "apps")


def any_user(tables: Tables, user_id: str) -> User | None:
    """A user, removed or not, if there ever was one."""
    return tables.record(User, PEOPLE["user"], check_id("user id", user_id))


def user_of(tables: Tables, user_id: str) -> User:
    """A user who was not removed; NotFoundError."""
    found = any_user(tables, user_id)
    if found is None or found.removed_us is not None:
        raise no_user(user_id)
    return found


def no_user(user_id: str) -> UnknownNameError:
    """What is to be said of a user who is not there."""
    add = f"healthsync user add {user_id} --consent all"
    return UnknownNameError(Noun.user, user_id, f"there is no user {user_id}", hint="healthsync user list", add=add)


def any_device(tables: Tables, user_id: str, device_id: str) -> Device | None:
    """A device, removed or not, if there ever was one."""
    return tables.record(Device, PEOPLE["device"], user_id, device_id)


def device_of(tables: Tables, user_id: str, device_id: str) -> Device:
    """A device that was not removed; NotFoundError."""
    user_of(tables, user_id)
    found = any_device(tables, user_id, check_id("device id", device_id))
    if found is None or found.removed_us is not None:
        raise UnknownNameError(
            Noun.device,
            device_id,
            f"{user_id} has no device {device_id}",
            hint=f"healthsync device list --user {user_id}",
            owner=user_id,
            add=f"healthsync device add {user_id} {device_id}",
        )
    return _with_app(tables, found)


def any_app(tables: Tables, client_id: str) -> AppRecord | None:
    """What makes the device under a client id an app, if it is one."""
    return tables.record(app_from, APPS["app"], client_id)


def app_from(
    *,
    formats: str,
    zone: str | None,
    unit: str | None,
    bucket_s: int | None,
    slot: str | None,
    longest: int | None,
    **row: Any,
) -> AppRecord:
    """An app as the columns of its row say."""
    declared = Declared(zone, unit, bucket_s, slot, longest)
    return AppRecord(formats=frozenset(json.loads(formats)), declared=declared, **row)


def _with_app(tables: Tables, device: Device) -> Device:
    app = any_app(tables, device.client_id)
    return device if app is None else replace(device, app=app)


def any_subscriber(tables: Tables, name: str) -> Subscriber | None:
    """A subscriber, removed or not, if there ever was one."""
    return tables.record(subscriber_from, PEOPLE["subscriber"], check_id("subscriber name", name))


def subscriber_of(tables: Tables, name: str) -> Subscriber:
    """A subscriber that was not removed; NotFoundError."""
    found = any_subscriber(tables, name)
    if found is None or found.removed_us is not None:
        add = f"healthsync subscriber add {name} --users USER"
        message, hint = f"there is no subscriber {name}", "healthsync subscriber list"
        raise UnknownNameError(Noun.subscriber, name, message, hint=hint, add=add)
    return found


def subscriber_from(
    *,
    name: str,
    users: str,
    types: str,
    created_us: int,
    batches: int,
    suspended_us: int | None,
    removed_us: int | None,
    token_epoch: int,
) -> Subscriber:
    """A subscriber as the columns of its row say."""
    return Subscriber(
        name=name,
        users=load_names(users),
        types=load_names(types),
        created_us=created_us,
        batches=bool(batches),
        suspended_us=suspended_us,
        removed_us=removed_us,
        token_epoch=token_epoch,
    )


def admin_of(tables: Tables, name: str) -> Admin:
    """An admin; NotFoundError."""
    found = tables.record(Admin, PEOPLE["admin"], check_id("admin name", name))
    if found is None:
        add, message = f"healthsync admin add {name}", f"there is no admin {name}"
        raise UnknownNameError(Noun.admin, name, message, hint="healthsync admin list", add=add)
    return found


def epoch_of(tables: Tables, client_id: str) -> int | None:
    """The epoch that a token or certificate of this principal has to name; None for a name that nobody has."""
    return next(iter(tables.column(int, PEOPLE["epoch"], client_id)), None)


def member_of(tables: Tables, client_id: str) -> Device | Subscriber | Admin | None:
    """Who may connect under a client id now, if anybody."""
    device = tables.record(Device, PEOPLE["active_device_of_client"], client_id)
    if device is not None:
        return _with_app(tables, device)
    subscriber = tables.record(subscriber_from, PEOPLE["subscriber"], client_id)
    if subscriber is not None:
        return subscriber if subscriber.removed_us is None and subscriber.suspended_us is None else None
    return tables.record(Admin, PEOPLE["admin"], client_id)
