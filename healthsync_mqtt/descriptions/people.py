"""Users, their devices and apps, subscribers, webhooks and admins, as they are told. None of these holds a secret."""

from typing import Any

import msgspec

from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.people.records import Admin, AppRecord, Device, Subscriber, User
from healthsync_mqtt.identity.people.sightings import Sighting
from healthsync_mqtt.identity.people.webhooks import Webhook
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso


class UserDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A user; ``consent`` are the types that may be stored now, ``withheld`` those that are left out of ``all``."""

    user_id: str
    created_at: str
    suspended_at: str | None
    devices: list[str]
    consent: list[str]
    withheld: list[str]


class DeviceDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A device, and the login that it uses; ``title`` is what people call it."""

    user_id: str
    device_id: str
    client_id: str
    username: str
    created_at: str
    suspended_at: str | None
    title: str | None


class AppDescription(msgspec.Struct, frozen=True, kw_only=True):
    """An app: the formats it sends, and what was declared because its messages do not say it."""

    user_id: str
    device_id: str
    client_id: str
    username: str
    formats: list[str]
    declared: dict[str, str | int | None]
    created_at: str
    rotated_at: str
    suspended_at: str | None
    title: str | None


class LastSighting(msgspec.Struct, frozen=True, kw_only=True):
    """When a client was last here, and from where; null where nothing is known."""

    address: str | None = None
    connected_at: str | None = None
    last_seen_at: str | None = None
    last_event_at: str | None = None
    protocol: str | None = None
    version: str | None = None


class SubscriberDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A reader of canonical events; ``*`` are all users, and all general types."""

    name: str
    client_id: str
    users: list[str] | str
    types: list[str] | str
    batches: bool
    created_at: str
    suspended_at: str | None


class AdminDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Who administers."""

    name: str
    client_id: str
    created_at: str


class WebhookDescription(msgspec.Struct, frozen=True, kw_only=True):
    """Where a subscriber's events are posted to, and how the last delivery went."""

    name: str
    subscriber: str
    url: str
    state: str
    said: str | None
    failures: int
    failing_since: str | None
    due_at: str | None
    delivered_at: str | None
    created_at: str | None


def told(described: msgspec.Struct) -> dict[str, Any]:
    """A description as commands print it."""
    made: dict[str, Any] = msgspec.to_builtins(described)
    return made


def described_user(registry: Registry, user: User, now_us: int) -> UserDescription:
    """A user with what the user agrees to at a moment."""
    about = [line for line in registry.consent.standings(user.id) if line.purpose is Purpose.store]
    stored = [line for line in about if line.holds(now_us)]
    everything = any(line.type is None for line in stored)
    return UserDescription(
        user_id=user.id,
        created_at=iso(user.created_us),
        suspended_at=moment(user.suspended_us),
        devices=[device.device_id for device in registry.devices(user.id)],
        consent=sorted(line.type or "all" for line in stored),
        withheld=sorted(line.type for line in about if line.type and everything and not line.holds(now_us)),
    )


def described_device(device: Device) -> DeviceDescription:
    """A device."""
    return DeviceDescription(
        user_id=device.user_id,
        device_id=device.device_id,
        client_id=device.client_id,
        username=device.client_id,
        created_at=iso(device.created_us),
        suspended_at=moment(device.suspended_us),
        title=device.title,
    )


def certified(registry: Registry, device: Device, now_us: int) -> dict[str, str | None]:
    """``certificate_ends_at``: when the last certificate of a device ends that is good now; None: it has none."""
    return {"certificate_ends_at": moment(registry.certificates.ends_of(device.client_id, now_us))}


def described_app(device: Device, app: AppRecord) -> AppDescription:
    """An app."""
    return AppDescription(
        user_id=device.user_id,
        device_id=device.device_id,
        client_id=device.client_id,
        username=device.client_id,
        formats=sorted(app.formats),
        declared=app.declared._asdict(),
        created_at=iso(app.created_us),
        rotated_at=iso(app.rotated_us),
        suspended_at=moment(device.suspended_us),
        title=device.title,
    )


def last_sighting(seen: Sighting | None) -> LastSighting:
    """What is known of a client's last visit."""
    if seen is None:
        return LastSighting()
    return LastSighting(
        address=seen.address,
        connected_at=moment(seen.connected_us),
        last_seen_at=iso(seen.seen_us),
        last_event_at=moment(seen.event_us),
        protocol=seen.protocol,
        version=seen.version,
    )


def described_subscriber(subscriber: Subscriber) -> SubscriberDescription:
    """A subscriber."""
    return SubscriberDescription(
        name=subscriber.name,
        client_id=subscriber.name,
        users="*" if subscriber.users is None else sorted(subscriber.users),
        types="*" if subscriber.types is None else sorted(subscriber.types),
        batches=subscriber.batches,
        created_at=iso(subscriber.created_us),
        suspended_at=moment(subscriber.suspended_us),
    )


def described_admin(admin: Admin) -> AdminDescription:
    """An admin."""
    return AdminDescription(name=admin.name, client_id=admin.name, created_at=iso(admin.created_us))


def described_webhook(webhook: Webhook) -> WebhookDescription:
    """A webhook, without its secret."""
    state = "failing" if webhook.failures else "enabled"
    return WebhookDescription(
        name=webhook.name,
        subscriber=webhook.subscriber,
        url=webhook.url,
        state="disabled" if webhook.disabled_us is not None else state,
        said=webhook.said or None,
        failures=webhook.failures,
        failing_since=moment(webhook.failing_us),
        due_at=moment(webhook.due_us or None),
        delivered_at=moment(webhook.delivered_us),
        created_at=moment(webhook.created_us),
    )


def moment(us: int | None) -> str | None:
    """A time that may not be."""
    return None if us is None else iso(us)
