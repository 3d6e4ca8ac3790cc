"""What is kept of a person, as the parts of one archive: events, consents, devices, days, what was done."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.exports.person import ArchivePart
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.model.record import canonical_json
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.storage.opening import has_log, open_reader
from healthsync_mqtt.summaries.day import day_dict
from healthsync_mqtt.summaries.file import SummaryFile

_PAGE: Final = 1000
_LAST: Final = 10_000_000


class PersonFiles(NamedTuple):
    """Where everything about a person is; ``links`` are the person's to clouds, as they are told."""

    data: Path
    registry: Registry
    audit: AuditLog
    links: Iterable[Mapping[str, Any]]


def person_parts(files: PersonFiles, user: str) -> Iterator[ArchivePart]:
    """The parts of a person's archive, read as they are written. No secret is in them."""
    data, registry, audit, links = files
    yield ArchivePart("events.jsonl", "Every event, with versions that newer ones replaced", _events(data, user))
    yield ArchivePart("refused.jsonl", "What was refused or is held, and why; raw is base64", _refused(data, user))
    yield ArchivePart("days.jsonl", "What days came to over all devices", _days(data, user))
    yield ArchivePart("insights.jsonl", "What was found of these days", _insights(data, user))
    yield ArchivePart("consents.jsonl", "What was agreed to and withdrawn, in order", _consents(registry, user))
    yield ArchivePart(
        "devices.jsonl", "Devices and apps, removed ones too, and when each was last here", _devices(registry, user)
    )
    yield ArchivePart("links.jsonl", "Links to clouds, and which account each is of, without tokens", links)
    yield ArchivePart("passkeys.jsonl", "Passkeys by their names, without keys", _passkeys(registry, user))
    yield ArchivePart(
        "preferences.jsonl", "Preferred sources; what Home Assistant is shown", _preferences(registry, user)
    )
    yield ArchivePart("carers.jsonl", "Whom this person lets see which types, until when", _carers(registry, user))
    yield ArchivePart("sessions.jsonl", "Sessions of this person in the web, ended ones too", _sessions(registry, user))
    yield ArchivePart("audit.jsonl", "Who did what about this person and these devices", _audit(registry, audit, user))


def _events(data: Path, user: str) -> Iterator[bytes]:
    if not has_log(data):
        return
    with open_reader(data) as log:
        after = 0
        while rows := log.read(after, _PAGE, user=user, history=True):
            yield from (canonical_json(row) for row in rows)
            after = rows[-1].seq


def _refused(data: Path, user: str) -> Iterator[dict[str, Any]]:
    if not has_log(data):
        return
    with open_reader(data) as log:
        after = 0
        while rows := log.rejected(after, _PAGE, user=user):
            for row in rows:
                told = row._asdict() | {"raw": b64encode(row.raw).decode(), "received_at": iso(row.received_us)}
                yield {key: value for key, value in told.items() if not key.endswith("_us") and key != "no"}
            after = rows[-1].no


def _days(data: Path, user: str) -> Iterator[dict[str, Any]]:
    file = SummaryFile.read(DataPaths(root=data).summaries_db)
    if file is None:
        return
    try:
        found = file.days(user, 0, _LAST)
        yield from (day_dict(day, found[day], user=user) for day in sorted(found))
    finally:
        file.close()


def _insights(data: Path, user: str) -> Iterator[dict[str, Any]]:
    file = InsightFile.read(DataPaths(root=data).insights_db)
    if file is None:
        return
    with file:
        yield from file.between(user, 0, _LAST)


def _consents(registry: Registry, user: str) -> Iterator[dict[str, Any]]:
    for each in registry.consent.history(user):
        yield _plain(asdict(each))


def _devices(registry: Registry, user: str) -> Iterator[dict[str, Any]]:
    apps = registry.apps.all()
    seen = registry.sightings.all()
    for device in registry.devices(user, removed=True):
        app, sighting = apps.get(device.client_id), seen.get(device.client_id)
        yield {
            "device_id": device.device_id,
            "title": device.title,
            "client_id": device.client_id,
            "added_at": iso(device.created_us),
            "removed_at": None if device.removed_us is None else iso(device.removed_us),
            "formats": [] if app is None else sorted(app.formats),
            "last_seen": None if sighting is None else _plain(asdict(sighting)),
        }


def _passkeys(registry: Registry, user: str) -> Iterator[dict[str, Any]]:
    for each in registry.passkeys.of(SessionRole.user, user):
        yield {
            "id": each.id,
            "name": each.name,
            "created_at": iso(each.created_us),
            "used_at": None if each.used_us is None else iso(each.used_us),
        }


def _preferences(registry: Registry, user: str) -> Iterator[dict[str, Any]]:
    if order := registry.sources.of(user):
        yield {"sources": list(order)}
    if (dashboard := registry.dashboards.of(user)) is not None:
        yield {"homeassistant": sorted(dashboard.listed)}


def _carers(registry: Registry, user: str) -> Iterator[dict[str, Any]]:
    for each in registry.carers.of(user):
        told = _plain(asdict(each))
        del told["user_id"]
        yield told | {"types": ["*"] if each.types is None else sorted(each.types)}


def _sessions(registry: Registry, user: str) -> Iterator[dict[str, Any]]:
    return (_plain(asdict(each)) for each in registry.sessions.of(SessionRole.user, user))


def _audit(registry: Registry, audit: AuditLog, user: str) -> Iterator[dict[str, Any]]:
    devices = [each.device_id for each in registry.devices(user, removed=True)]
    about = {audit.pseudonym("user", user): user}
    about |= {audit.pseudonym("device", user, device): f"{user}/{device}" for device in devices}
    for subject, named in about.items():
        after = 0
        while rows := audit.rows(after=after, limit=_PAGE, subject=subject):
            for row in rows:
                yield {
                    "at": iso(row.at_us),
                    "action": row.action,
                    "about": named,
                    "by": row.actor,
                    "detail": row.detail,
                }
            after = rows[-1].no


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON has it: times as text, sets as sorted lists."""
    told: dict[str, Any] = {}
    for key, value in values.items():
        if key.endswith("_us"):
            told[f"{key.removesuffix('_us')}_at"] = None if value is None else iso(value)
        else:
            told[key] = sorted(value) if isinstance(value, frozenset | set | tuple) else value
    return told
