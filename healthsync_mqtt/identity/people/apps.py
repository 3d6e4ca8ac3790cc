"""Apps: devices with a password that does not end, the formats they send, and what is declared for their messages."""

import json
from collections.abc import Iterable

from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.identity.people.lookup import APPS, any_app, app_from
from healthsync_mqtt.identity.people.records import AppRecord, Device
from healthsync_mqtt.identity.people.revocation import raise_epoch
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.model.declaration import Declared


class AppBook:
    """The apps of a registry. Their devices are added and removed as all devices are."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def add(self, device: Device, formats: Iterable[str], declared: Declared, secret: str, now_us: int) -> AppRecord:
        """Make a device that was just added an app. ``secret`` is what is kept of its password."""
        row = {"client_id": device.client_id, "formats": json.dumps(sorted(formats)), "secret": secret}
        with self._tables.write():
            self._tables.replace("apps", row | declared._asdict() | {"created_us": now_us, "rotated_us": now_us})
            return self.of(device.client_id)

    def find(self, client_id: str) -> AppRecord | None:
        """The app under a client id, if it is one."""
        return any_app(self._tables, client_id)

    def of(self, client_id: str) -> AppRecord:
        """The same; NotFoundError."""
        found = self.find(client_id)
        if found is None:
            raise NotFoundError(f"{client_id} is no app", hint="healthsync app list")
        return found

    def all(self) -> dict[str, AppRecord]:
        """Every app by its client id."""
        return {app.client_id: app for app in self._tables.records(app_from, APPS["apps"])}

    def rotate(self, client_id: str, secret: str, now_us: int) -> AppRecord:
        """Give an app another password; the old one is void at once, and who is connected with it is thrown out."""
        with self._tables.write():
            self.of(client_id)
            self._tables.update("apps", client_id, {"secret": secret, "rotated_us": now_us})
            raise_epoch(self._tables, client_id)
            return self.of(client_id)

    def declarations(self) -> dict[tuple[str, str], Declared]:
        """What is declared, by user and device."""
        rows = self._tables.tuples(APPS["declarations"])
        return {(user, device): Declared(*declared) for user, device, *declared in rows}
