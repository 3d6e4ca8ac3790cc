"""What the machine allows: decode the same bytes and insert the same rows, in one process, without a network."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import apsw
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from bridge.decode.delivery import decode
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from tests.support.workload import payloads

GROUP = 1000
ORIGIN = Origin(user="u0", device="d0", provider=None, topic="users/u0/devices/d0/events")
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Word = Annotated[str, Field(max_length=1024, pattern=r"^[^\x00-\x1f]*$")]


class Strict(BaseModel):
    """Unknown fields are refused, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HeartRate(Strict):
    """What the catalogue asks of a heart rate."""

    bpm: Annotated[float, Field(ge=20, le=300)]


class Envelope(Strict):
    """The fields of an event, with the rules of docs/reference/events.md as pydantic states them."""

    id: Id
    user_id: Id | None = None
    type: Literal["heart_rate", "hr"]
    start_time: AwareDatetime
    end_time: AwareDatetime | None = None
    value: HeartRate
    device: dict[Word, Word | float | bool | None] | None = None
    utc_offset: Annotated[int, Field(ge=-64800, le=64800)] | None = None
    source: dict[Word, Word | float | bool | None] | None = None
    version: Annotated[int, Field(ge=0)] = 0
    op: Literal["upsert", "delete"] = "upsert"


ONE_OR_MANY: TypeAdapter[Any] = TypeAdapter(Envelope | list[Envelope])
TABLE = """
CREATE TABLE log (
  seq INTEGER PRIMARY KEY, user TEXT, device TEXT, id TEXT, type TEXT, start_us INTEGER, end_us INTEGER,
  received_us INTEGER, version INTEGER, op INTEGER, body BLOB
)
"""
INSERT = "INSERT INTO log VALUES (NULL, 'u0', 'd0', ?, ?, ?, ?, ?, ?, 0, ?)"


def with_pydantic(path: Path, messages: Sequence[bytes], events_per_message: int) -> float:
    """Events a second through pydantic and plain inserts into a durable table without any index."""
    store = apsw.Connection(str(path))
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute(TABLE)
    validate = ONE_OR_MANY.validate_json
    group = max(1, GROUP // events_per_message)
    began = time.perf_counter()
    for start in range(0, len(messages), group):
        rows = []
        received_us = time.time_ns() // 1000
        for payload in messages[start : start + group]:
            found = validate(payload)
            for event in found if isinstance(found, list) else (found,):
                start_us = int(event.start_time.timestamp() * 1_000_000)
                body = event.model_dump_json(include={"value", "device", "utc_offset", "source"}).encode()
                rows.append((event.id, event.type, start_us, None, received_us, event.version, body))
        store.execute("BEGIN IMMEDIATE")
        store.executemany(INSERT, rows)
        store.execute("COMMIT")
    rate = len(messages) * events_per_message / (time.perf_counter() - began)
    store.close()
    return rate


def with_our_decoder(path: Path, messages: Sequence[bytes], events_per_message: int) -> float:
    """Events a second through the project's own decoder and store, de-duplication included."""
    log = SqliteEventLog.open(path)
    group = max(1, GROUP // events_per_message)
    began = time.perf_counter()
    for start in range(0, len(messages), group):
        now_us = time.time_ns() // 1000
        items = [
            Item(ORIGIN, event)
            for payload in messages[start : start + group]
            for event in decode(payload, ORIGIN, now_us).events
        ]
        log.stage(items, [], now_us)
        log.commit()
    rate = len(messages) * events_per_message / (time.perf_counter() - began)
    stored = log.head()
    log.close()
    assert stored == len(messages) * events_per_message, f"only {stored} events were stored"
    return rate


def measure(directory: Path, events: int, events_per_message: int, repeats: int) -> dict[str, list[float]]:
    """The rates of both floors, ``repeats`` times each, on fresh stores in ``directory``."""
    ways: dict[str, Callable[[Path, Sequence[bytes], int], float]] = {
        "floor": with_pydantic,
        "own": with_our_decoder,
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats):
        messages = list(payloads(f"f{turn}", 0, events // events_per_message, events_per_message))
        for name, way in ways.items():
            store = directory / f"{name}-{events_per_message}-{turn}"
            store.mkdir()
            rates[name].append(way(store / "events.db", messages, events_per_message))
    return rates
