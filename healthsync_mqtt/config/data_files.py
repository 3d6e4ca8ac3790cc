"""Every file that a data directory can hold, and how it lies there. A test walks real directories against it."""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final, NamedTuple


class AtRest(StrEnum):
    """What whoever has the file alone, without ``keys`` and ``keys.db``, reads of persons' values, ids and tokens."""

    sealed = "sealed"
    """Nothing: they are under data keys, once the log is."""
    keys = "keys"
    """It is a key, or a secret that another program reads as a file; to be kept apart from the rest."""
    nothing = "nothing"
    """There are none in it."""
    readable = "readable"
    """Some, as its row says."""


class DataFile(NamedTuple):
    """Files whose path in the data directory fits one of these patterns."""

    patterns: tuple[str, ...]
    at_rest: AtRest
    what: str


_DATABASE: Final = ("", "-wal", "-shm", "-journal")


def _database(name: str, at_rest: AtRest, what: str) -> DataFile:
    return DataFile(tuple(name + ending for ending in _DATABASE), at_rest, what)


DATA_FILES: Final = (
    _database("events.db", AtRest.sealed, "the event log: bodies, ids, refused bytes, what formats remember"),
    _database("sessions.db", AtRest.sealed, "what clients are owed, retained messages, wills"),
    _database("summaries.db", AtRest.sealed, "days, and what events add to them"),
    _database("insights.db", AtRest.sealed, "what was found of days"),
    _database("homeassistant.db", AtRest.sealed, "the newest values"),
    DataFile(("sinks/pseudonyms.db", "sinks/pseudonyms.db-journal"), AtRest.keys, "salts of the names in buckets"),
    _database("sinks/*.db", AtRest.sealed, "what servers refused, ids of points that were moved"),
    _database("adapters.db", AtRest.sealed, "tokens, deliveries, accounts, what providers call records"),
    _database("keys.db", AtRest.keys, "wrapped data keys"),
    DataFile(("keys/*", "certs/*"), AtRest.keys, "signing keys, the outer key, certificates"),
    DataFile(("credentials/*",), AtRest.keys, "passwords that bridges and devices of other brokers read from there"),
    _database("registry.db", AtRest.nothing, "names, consents, digests of codes, scrypt of passwords"),
    _database("audit.db", AtRest.nothing, "who did what, under pseudonyms"),
    DataFile(("audit.head", "*.anchor", "erasures.jsonl"), AtRest.nothing, "marks by which a loss is found"),
    DataFile(("hook-logins.jsonl",), AtRest.nothing, "client ids and user names that hooks let in"),
    DataFile(("imports/uploads/*",), AtRest.sealed, "a file that was uploaded, until it is read: its key is in memory"),
    DataFile(("imports/device-*.json",), AtRest.sealed, "what kinds of archives remember of a device"),
    DataFile(("imports/*.json",), AtRest.nothing, "how far an import has come"),
    DataFile(("sinks/*.json",), AtRest.nothing, "where sinks are, and where their tokens lie"),
    DataFile(("healthsync.toml", "topics.yaml"), AtRest.nothing, "settings, topics"),
    DataFile(("formats/*", "adapters/*", "insights/*"), AtRest.nothing, "the operator's own formats and programs"),
    DataFile(("service.json", "service.sock", "*.lock"), AtRest.nothing, "the running service"),
)


def data_file(name: str) -> DataFile | None:
    """The row of a file by its path in the data directory; None: nobody has said what it is."""
    return next((row for row in DATA_FILES if any(fnmatchcase(name, each) for each in row.patterns)), None)
