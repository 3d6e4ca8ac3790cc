"""Erasures in registry.db: who is erased, which step is next, who has to confirm, and how a name is forgotten."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from healthsync_mqtt.identity.people.lookup import any_user, no_user
from healthsync_mqtt.identity.people.names import ERASED
from healthsync_mqtt.identity.people.tables import Tables
from healthsync_mqtt.identity.sql import statements
from healthsync_mqtt.model.erasure import NEXT, ErasureStep, Errand, PersonErasure

_SQL: Final = statements("people", "erasures")

#: Rows that name a user, and rows that name a client id, in an order that no reference stands in the way of.
_OF_CLIENT: Final = ("sightings", "refused_logins", "apps")
_OF_USER: Final = ("refresh_families", "enrolments", "dashboards", "source_preferences", "devices", "consent_decisions")


class ErasureBook:
    """The erasures of an installation."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def begin(self, user_id: str, now_us: int, *, id: str | None = None) -> PersonErasure:  # noqa: A002
        """Write down that a user is erased, inside ``Registry.write``; one that is under way is that one.

        The user's logins and consents have to end in the same transaction. NotFoundError. ``id``: a ledger's.
        """
        known = self.of_user(user_id)
        if known is not None:
            return known
        if any_user(self._tables, user_id) is None or user_id == ERASED:
            raise no_user(user_id)
        key = id or secrets.token_hex(8)
        row = {"user_id": user_id, "step": ErasureStep.ledger.value, "requested_us": now_us, "done_us": None}
        if self.get(key) is None:
            self._tables.insert("erasures", {"id": key} | row)
        else:  # an older log was put back under the registry of after it
            self._tables.update("erasures", key, row)
        # Followers copy it into files of their own, which an early step clears: none may copy it again after that.
        self._tables.delete("source_preferences", "user_id = ?", user_id)
        found = self.of_user(user_id)
        assert found is not None
        return found

    def open(self) -> list[PersonErasure]:
        """Those that are not done, the oldest first."""
        return [self._whole(each) for each in self._tables.records(_erasure, _SQL["open"])]

    def of_user(self, user_id: str) -> PersonErasure | None:
        """The one of a user, while the name is known."""
        found = self._tables.record(_erasure, _SQL["of_user"], user_id)
        return None if found is None else self._whole(found)

    def erased_among(self, users: Iterable[str]) -> set[str]:
        """Those of them who are erased now, or are nobody any more."""
        return set(self._tables.column(str, _SQL["erased_among"], json.dumps(list(users))))

    def erased_clients(self, clients: Iterable[str]) -> set[str]:
        """Those of these client ids that nobody has, and nobody had who is still known: the others were erased."""
        return set(self._tables.column(str, _SQL["erased_clients"], json.dumps(list(clients))))

    def get(self, erasure_id: str) -> PersonErasure | None:
        """One of them."""
        found = self._tables.record(_erasure, _SQL["one"], erasure_id)
        return None if found is None else self._whole(found)

    def done(self) -> tuple[str, ...]:
        """The ids of those that are complete here."""
        return tuple(self._tables.column(str, _SQL["done"]))

    def advance(self, erasure: PersonErasure, now_us: int) -> PersonErasure:
        """A step is done: the next one."""
        step = NEXT[erasure.step]
        with self._tables.write(quiet=True):
            self._tables.update(
                "erasures", erasure.id, {"step": step.value, "done_us": now_us if step is ErasureStep.done else None}
            )
        found = self.get(erasure.id)
        assert found is not None
        return found

    def begin_again(self, erasure: PersonErasure) -> None:
        """Something that a step had been through was put back as it was before: the first step is next."""
        with self._tables.write(quiet=True):
            self._tables.update("erasures", erasure.id, {"step": ErasureStep.ledger.value})

    def users(self) -> dict[str, int]:
        """Everybody whom the registry knows, removed ones too, and since when."""
        return dict(self._tables.tuples(_SQL["every_user"]))

    # -- errands

    def errands(self) -> list[Errand]:
        """What is not confirmed."""
        return self._tables.records(Errand, _SQL["errands"])

    def pending(self, erasure_id: str) -> list[str]:
        """The places that did not confirm an erasure yet."""
        return self._tables.column(str, _SQL["errands_of"], erasure_id)

    def send(self, errand: Errand) -> None:
        """A place has to confirm."""
        with self._tables.write(quiet=True):
            row = {"erasure": errand.erasure, "place": errand.place, "subject": errand.subject}
            self._tables.replace("errands", row)

    def confirm(self, errand: Errand) -> None:
        """It did."""
        with self._tables.write(quiet=True):
            self._tables.delete("errands", "erasure = ? AND place = ?", errand.erasure, errand.place)

    # -- the name

    def forget(self, erasure: PersonErasure, now_us: int) -> None:
        """Take every row that names the person out, in one transaction; the next step is in it.

        A keyed hash is kept of each client id, so that a token of then is good for nobody who gets the name.
        """
        user = erasure.user_id
        assert user is not None
        assert erasure.step is ErasureStep.registry
        tables = self._tables
        with tables.write():
            clients = tables.column(str, _SQL["clients"], user)
            newest = tables.number(_SQL["newest_decision"])
            for client in clients:
                epoch = tables.number(_SQL["epoch_of"], client) + 1
                tables.replace("erased_names", {"mark": self._mark(client), "token_epoch": epoch})
                tables.execute(_SQL["void_certificates"], client, now_us)
                for table in _OF_CLIENT:
                    tables.delete(table, "client_id = ?", client)
            for table in _OF_USER:
                tables.delete(table, "user_id = ?", user)
            tables.delete("carers", "user_id = ? OR carer_id = ?", user, user)
            for table in ("sessions", "invites", "passkeys"):
                tables.delete(table, "role = 'user' AND holder = ?", user)
            for client in clients:
                tables.delete("principals", "client_id = ?", client)
            tables.delete("users", "id = ?", user)
            self._out_of_lists(user)
            tables.delete("consent_decisions", "user_id = ?", ERASED)
            tables.execute(_SQL["mark_decision"], newest + 1, now_us)
            # Names are in there; whoever follows reads everything once.
            tables.delete("changes", "1 = 1")
            tables.update("erasures", erasure.id, {"user_id": None, "step": NEXT[ErasureStep.registry].value})

    def epoch_of_erased(self, client_id: str) -> int:
        """The epoch that tokens of a new principal of this name begin with: 0 but for a name that was erased."""
        return next(iter(self._tables.column(int, _SQL["erased_epoch"], self._mark(client_id))), 0)

    def scrub(self) -> None:
        """Write the file anew: what was deleted is in no free page of it."""
        self._tables.rewrite()

    def _out_of_lists(self, user: str) -> None:
        for name, users in self._tables.tuples(_SQL["subscribers_of"]):
            listed = json.loads(users)
            if user in listed:
                self._tables.update(
                    "subscribers", name, {"users": json.dumps([each for each in listed if each != user])}
                )

    def _mark(self, name: str) -> str:
        (key,) = self._tables.column(bytes, _SQL["key"])
        return hmac.digest(key, name.encode(), hashlib.sha256).hex()

    def _whole(self, found: PersonErasure) -> PersonErasure:

        clients = () if found.user_id is None else tuple(self._tables.column(str, _SQL["clients"], found.user_id))
        return replace(found, clients=clients)


def _erasure(*, id: str, user_id: str | None, step: str, requested_us: int) -> PersonErasure:  # noqa: A002
    return PersonErasure(id=id, user_id=user_id, step=ErasureStep(step), requested_us=requested_us)
