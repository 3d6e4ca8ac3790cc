"""Whoever follows with a small window has each row read about once, and is given nothing that was purged since."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from healthsync_mqtt.storage.memory import MemoryEventLog, MemoryLogReader
from tests.unit.bridge.bench import until
from tests.unit.bridge.follow.test_publish import Line, Stand, standing
from tests.unit.bridge.follow.test_shared_feed import ALICE, ALL, grown

NAMES = [f"e{number:04}" for number in range(3_000)]


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    async with standing(MemoryEventLog()) as made:
        yield made


def read(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of rows that the reader gives from now on."""
    given: list[str] = []
    stretch, get = MemoryLogReader.stretch, MemoryLogReader.get

    def stretched(reader: MemoryLogReader, *said: Any, **more: Any) -> Any:
        found = stretch(reader, *said, **more)
        given.extend(record.id for record in found[0])
        return found

    def got(reader: MemoryLogReader, seq: int) -> Any:
        found = get(reader, seq)
        given.extend([found.id] if found is not None else [])
        return found

    monkeypatch.setattr(MemoryLogReader, "stretch", stretched)
    monkeypatch.setattr(MemoryLogReader, "get", got)
    return given


async def take_all(line: Line, ids: list[str], most: int = 7) -> None:
    """Acknowledge a few at a time."""
    assert line.session is not None
    done = 0
    while len(line.ids()) < len(ids):
        for packet in line.packets[done : done + most]:
            line.session.on_puback(packet.packet_id)
        done = min(len(line.packets), done + most)
        line.flush()
        line.wanted()
        before = len(line.packets)
        await until(lambda: len(line.packets) > before or done < len(line.packets))  # noqa: B023
    assert line.ids() == ids


@pytest.mark.parametrize("topic_filter", [None, ALL, ALICE], ids=["alone", "group", "group of one user"])
async def test_each_row_is_read_about_once(
    stand: Stand, topic_filter: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.store(*NAMES)
    given = read(stand, monkeypatch)
    if topic_filter is None:
        line = stand.connect()
        assert line.session is not None
        stand.publisher.detach(line.session)
        line.session.position = 0
        stand.publisher.attach(line.session)
    else:
        line = grown(stand, "a", topic_filter, since="earliest")
    await take_all(line, NAMES)
    assert len(given) <= len(NAMES) * 1.2


@pytest.mark.parametrize("shared", [False, True])
async def test_what_was_purged_after_it_was_read_is_not_handed_out(stand: Stand, *, shared: bool) -> None:
    stand.store(*NAMES[:400])
    if shared:
        line = grown(stand, "a", since="earliest")
    else:
        line = stand.connect()
        assert line.session is not None
        stand.publisher.detach(line.session)
        line.session.position = 0
        stand.publisher.attach(line.session)
    await until(lambda: len(line.packets) == 100)  # the window; 400 were read
    stand.log.purge("heart_rate", 1 << 62, range(1, 300))
    stand.log.commit()
    stand.publisher.purged()
    await take_all(line, [*NAMES[:100], *NAMES[299:400]])
