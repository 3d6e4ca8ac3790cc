"""What providers send of themselves: durable before it is answered, then worked off by the adapters' worker.

The gateway puts in, the worker takes out. What identical bytes say twice before somebody begins with them is one
delivery. The inbox is bounded by provider: one that sends too much is asked to come again later, and others are not.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from healthsync_mqtt.cloud_links.inbox_erasure import without
from healthsync_mqtt.cloud_links.opening import LinkFile, queries
from healthsync_mqtt.errors import StoreError, UnavailableError
from healthsync_mqtt.keys.faults import LOST

_SQL: Final = queries("inbox")
_OWNER: Final = "inbox"
_LOOK_AGAIN_US: Final = 300_000_000
MOST_ROWS: Final = 5_000
MOST_BYTES: Final = 64 * 1024 * 1024
"""Deliveries of one provider that wait, and their bytes together."""


class HookSecrets(NamedTuple):
    """What the webhooks of a provider are known by.

    ``word`` is ours: it is in secret addresses, and handshakes repeat it. ``signing`` is what the provider signs with
    where it has chosen that itself; ``subscription`` is its name of what we asked for, ``keys`` are its public keys.
    """

    word: str
    signing: str = ""
    subscription: str = ""
    keys: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery that waits."""

    id: int
    provider: str
    received_us: int
    failures: int


@dataclass(frozen=True, slots=True)
class HookStanding:
    """What is known of a provider's webhooks: a hint where they do not come, when it was looked at, when next."""

    provider: str
    hint: str
    checked_us: int
    due_us: int


class NoticeInbox:
    """The deliveries in adapters.db. Calls block for a file read or one fsync."""

    def __init__(self, file: LinkFile, *, rows: int = MOST_ROWS, most: int = MOST_BYTES) -> None:
        """Use ``open``."""
        self._file = file
        self._db = file.connection
        self._ring = file.ring
        self._rows = rows
        self._most = most

    @classmethod
    def open(cls, data: Path, *, rows: int = MOST_ROWS, most: int = MOST_BYTES) -> Self:
        """Open or create the file of a data directory. StoreError, ConfigError."""
        return cls(LinkFile.open(data), rows=rows, most=most)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # -- deliveries

    def put(self, provider: str, body: bytes, now_us: int) -> None:
        """Keep a delivery, durably. UnavailableError: too much of this provider waits."""
        self._ring.refresh()
        mark = self._ring.mark_service(_OWNER, body)
        sealed = self._ring.seal_service(_OWNER, body, _body(provider))
        with self._file.transaction():
            rows, size = self._db.execute(_SQL["waiting_of"], (provider,)).fetchone()
            if rows >= self._rows or size + len(sealed) > self._most:
                raise UnavailableError(f"too much of {provider} waits in the inbox", hint="healthsync adapter status")
            self._db.execute(_SQL["put"], (provider, mark, sealed, now_us))

    def due(self, now_us: int, most: int) -> list[Delivered]:
        """Those whose time has come, of each provider the first so many: one that is slow keeps no other waiting."""
        found = []
        for (provider,) in self._db.execute(_SQL["providers"]).fetchall():
            rows = self._db.execute(_SQL["due"], (provider, now_us, most))
            found += [Delivered(*row) for row in rows]
        return found

    def begin(self, delivered: Delivered) -> bytes:
        """Its bytes; the same that come from now on are another delivery. StoreError where the key is gone."""
        with self._file.transaction():
            row = self._db.execute(_SQL["begin"], (delivered.id,)).fetchone()
        if row is None:
            raise StoreError("this delivery is worked off")
        return self._ring.open_service(_OWNER, row[0], _body(delivered.provider))

    def body(self, delivered: Delivered) -> bytes | None:
        """Its bytes, without beginning with it; None where it is worked off, or nobody can open it again."""
        row = self._db.execute(_SQL["body"], (delivered.id,)).fetchone()
        try:
            return None if row is None else self._ring.open_service(_OWNER, row[0], _body(delivered.provider))
        except LOST:
            return None

    def failed_before(self, delivered: Delivered) -> list[Delivered]:
        """Earlier ones of the same provider that could not be worked off yet."""
        rows = self._db.execute(_SQL["failed_before"], (delivered.provider, delivered.id))
        return [Delivered(*row) for row in rows]

    def done(self, delivered: Delivered) -> None:
        """It is worked off."""
        with self._file.transaction():
            self._db.execute(_SQL["remove"], (delivered.id,))

    def again(self, delivered: Delivered, due_us: int, *, failed: bool = True) -> None:
        """It could not be worked off: once more then. Not ``failed``: it only waits for something."""
        with self._file.transaction():
            self._db.execute(_SQL["later"], (due_us, int(failed), delivered.id))

    def withdraw(self, provider: str, account: str) -> None:
        """What waits about one account is gone; of a delivery about several users what is about others stays."""
        with self._file.transaction():
            withdraw(self._file, provider, account)

    def waiting(self) -> dict[str, int]:
        """How many wait, by provider."""
        return dict(self._db.execute(_SQL["waiting"]))

    # -- what hooks are known by

    def secrets(self, provider: str) -> HookSecrets:
        """Those of a provider; a word is made at the first time."""
        self._ring.refresh()
        row = self._db.execute(_SQL["hook_secrets"], (provider,)).fetchone()
        if row is None:
            fresh = HookSecrets(secrets.token_urlsafe(24))
            with self._file.transaction():
                self._db.execute(_SQL["add_hook"], (provider, self._sealed(provider, fresh)))
            row = self._db.execute(_SQL["hook_secrets"], (provider,)).fetchone()
        return HookSecrets(*msgspec.json.decode(self._ring.open_service(_OWNER, row[0], _hooks(provider))))

    def keep(self, provider: str, found: HookSecrets) -> None:
        """What a provider said, durable before it is used."""
        with self._file.transaction():
            self._db.execute(_SQL["keep_secrets"], (self._sealed(provider, found), provider))

    def looked(self, provider: str, *, hint: str, now_us: int, due_us: int) -> None:
        """What came of a look at a provider's webhooks, and when the next one is."""
        self.secrets(provider)
        with self._file.transaction():
            self._db.execute(_SQL["looked"], (hint, now_us, due_us, provider))

    def want_look(self, provider: str, now_us: int) -> None:
        """Look at a provider's webhooks soon, unless that was done a moment ago: strangers can ask for it."""
        with self._file.transaction():
            self._db.execute(_SQL["want_look"], (now_us, provider, now_us, now_us - _LOOK_AGAIN_US))

    def standings(self) -> list[HookStanding]:
        """What is known of each provider's."""
        rows = self._db.execute(_SQL["standings"])
        return [HookStanding(*row) for row in rows]

    def _sealed(self, provider: str, found: HookSecrets) -> bytes:
        return self._ring.seal_service(_OWNER, msgspec.json.encode(list(found)), _hooks(provider))


def withdraw(file: LinkFile, provider: str, account: str) -> None:
    """See ``NoticeInbox.withdraw``, in the caller's transaction. One that nobody can open again goes, too."""
    connection, ring = file.connection, file.ring
    ids = connection.execute(_SQL["of_provider"], (provider,)).fetchall() if account else []
    for (number,) in ids:
        row = connection.execute(_SQL["body"], (number,)).fetchone()
        if row is None:
            continue  # the same as what was left of one before it
        try:
            body = ring.open_service(_OWNER, row[0], _body(provider))
        except LOST:
            left = None
        else:
            left = without(body, account)
            if left == body:
                continue
        if left is None:
            connection.execute(_SQL["remove"], (number,))
        else:
            found = ring.seal_service(_OWNER, left, _body(provider))
            mark = ring.mark_service(_OWNER, left)
            connection.execute(_SQL["put_back"], (found, mark, number))


def _body(provider: str) -> bytes:
    return f"adapters:inbox:{provider}".encode()


def _hooks(provider: str) -> bytes:
    return f"adapters:hooks:{provider}".encode()
