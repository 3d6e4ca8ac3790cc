"""Where events of subscribers are posted to, in registry.db: the place in the log, and how the last tries went."""

from dataclasses import dataclass, replace
from typing import Any, Final

from healthsync_mqtt.errors import ConflictError, NotFoundError
from healthsync_mqtt.identity.people.lookup import subscriber_of
from healthsync_mqtt.identity.people.names import check_id
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements

_SQL: Final = statements("people", "webhooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One of them. ``epoch`` is empty until it has a place in a log; ``due_us`` is when it is tried again."""

    name: str
    subscriber: str
    url: str
    created_us: int
    generation: int = 1
    rotated_us: int = 0
    epoch: str = ""
    seq: int = 0
    failures: int = 0
    failing_us: int | None = None
    due_us: int = 0
    said: str = ""
    delivered_us: int | None = None
    disabled_us: int | None = None
    holder_epoch: int | None = None
    """That of the tokens by which its subscriber made it; None: it is an admin's."""


class WebhookBook:
    """Each writing call is one durable transaction. What deliveries come to raises no generation."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def all(self) -> list[Webhook]:
        """By name."""
        return self._tables.records(Webhook, _SQL["webhooks"])

    def of(self, name: str) -> Webhook:
        """One; NotFoundError."""
        found = self._tables.record(Webhook, _SQL["webhook"], name)
        if found is None:
            raise NotFoundError(f"there is no webhook {name}", hint="healthsync webhook list")
        return found

    def add(
        self,
        name: str,
        subscriber: str,
        url: str,
        now_us: int,
        *,
        epoch: str = "",
        seq: int = 0,
        holder_epoch: int | None = None,
    ) -> Webhook:
        """A new one, which begins behind ``seq`` of the log ``epoch``. ConflictError, NotFoundError.

        Where there is no log yet: at the end of the one that is there when it is first looked at.
        """
        check_id("webhook name", name)
        with self._tables.write():
            subscriber_of(self._tables, subscriber)
            if self._tables.record(Webhook, _SQL["webhook"], name) is not None:
                raise ConflictError(f"the webhook {name} exists already", hint=f"healthsync webhook show {name}")
            made = Webhook(
                name=name,
                subscriber=subscriber,
                url=url,
                created_us=now_us,
                epoch=epoch,
                seq=seq,
                holder_epoch=holder_epoch,
            )
            self._tables.insert("webhooks", {field: getattr(made, field) for field in Webhook.__slots__})
            return made

    def change(self, name: str, **changes: Any) -> Webhook:
        """Change some columns, for a person. NotFoundError."""
        with self._tables.write():
            before = self.of(name)
            self._tables.update("webhooks", name, changes)
            return replace(before, **changes)

    def enable(self, name: str, *, holder_epoch: int | None = None) -> Webhook:
        """Deliver again and at once, at the word of an admin, or of its subscriber by tokens of this epoch."""
        return self.change(name, disabled_us=None, failures=0, failing_us=None, due_us=0, holder_epoch=holder_epoch)

    def note(self, name: str, **changes: Any) -> None:
        """The same for what a delivery came to; one that was removed meanwhile is let go."""
        with self._tables.write(quiet=True):
            if self._tables.record(Webhook, _SQL["webhook"], name) is not None:
                self._tables.update("webhooks", name, changes)

    def remove(self, name: str) -> Webhook:
        """Forget it. NotFoundError; returns what it was."""
        with self._tables.write():
            found = self.of(name)
            self._tables.delete("webhooks", "name = ?", name)
            return found
