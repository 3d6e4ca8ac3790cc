"""A sealed log: the person's keys go first, so that no copy of the rows can be read; also those made meanwhile."""

import asyncio
from pathlib import Path

import pytest

from bridge.embedded import EmbeddedEdge
from bridge.jobs import erasures
from bridge.service import Service
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.keys.faults import KeyDestroyedError
from healthsync_mqtt.model.erasure import ErasureStep, PersonErasure
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.unit.storage.sealed import own_ring, sealed_reader, sealed_writer

WHO = "marker-zoe"


def test_the_keys_are_destroyed_before_a_row_is_touched_and_once_more_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures, "_LATE_S", 0.0)
    data = tmp_path / "data"
    place = DataDirectory(data)
    with place.changing() as change:
        for user in (WHO, "bob"):
            change.registry.add_user(user, "*", NOW_US)
            change.registry.add_device(user, f"{user}-watch", NOW_US)
    with sealed_writer(data) as log:
        log.stage([item("a1", WHO), item("b1", "bob")], [], NOW_US)
        log.commit()
    sealed = own_ring(data).seal(WHO, b"a copy", b"")
    with place.changing() as change:
        change.registry.erase(WHO, NOW_US + 10_000_000)
    real = erasures.Erasures._leave_log
    seen = []

    async def leave_log(self: erasures.Erasures, erasure: PersonErasure) -> None:
        assert erasure.step is ErasureStep.log
        with sealed_reader(data) as reader:
            seen.append(reader.rows_of(WHO, 0, 9))
            row = reader.get(1)
            assert row is None or (row.id, row.body) == ("", b""), row
        ring = own_ring(data)
        with pytest.raises(KeyDestroyedError):
            ring.open(WHO, sealed, b"")
        ring.seal(WHO, b"what was on its way", b"")
        assert WHO.encode() in (data / "keys.db").read_bytes()
        await real(self, erasure)

    monkeypatch.setattr(erasures.Erasures, "_leave_log", leave_log)

    async def work() -> None:
        async with Service.open(load_settings(data), EmbeddedEdge.open) as service:
            assert service.erasures is not None
            await service.erasures.finish()

    asyncio.run(work())
    assert seen == [[1]], "the row was there"
    left = [each.name for each in data.rglob("*") if each.is_file() and WHO.encode() in each.read_bytes()]
    assert left == []
    with sealed_reader(data) as reader:
        assert [(row.user, row.id) for row in reader.read(0, 9)] == [("bob", "b1")]
