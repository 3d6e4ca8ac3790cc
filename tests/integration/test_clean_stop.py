"""A clean stop: what was acknowledged is in the log, and nothing waits behind what hangs."""

import asyncio
import contextlib
import signal
from pathlib import Path

from healthsync_mqtt.mqtt.codec.packets import Puback, Publish
from healthsync_mqtt.storage.opening import open_reader
from tests.support.inprocess import opened
from tests.support.patience import until
from tests.support.peer import Identity, Peer, event
from tests.support.service import Service, run_cli


async def _publish_for_ever(peer: Peer, who: Identity, acknowledged: set[str]) -> None:
    """More than is ever acknowledged, until the connection ends."""

    async def listen() -> None:
        while True:
            if isinstance(packet := await peer.next(), Puback):
                acknowledged.add(f"{who.user}-{packet.packet_id}")

    listening = asyncio.create_task(listen())
    number = 0
    while not listening.done() and not peer.writer.is_closing():
        for _ in range(50):
            number = number % 65_535 + 1
            peer.send(Publish(who.events.encode(), event(f"{who.user}-{number}"), 1, False, False, number))
        with contextlib.suppress(ConnectionError):
            await peer.writer.drain()
        await asyncio.sleep(0)
    await asyncio.gather(listening, return_exceptions=True)


async def test_a_stop_while_devices_publish_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    data = tmp_path / "data"
    devices = []
    for name in ("alice", "bob", "carol"):
        run_cli(data, "user", "add", name, "--consent", "all")
        (who,) = run_cli(data, "device", "add", name, "watch")
        devices.append(Identity(client_id=who["client_id"], token=who["token"], user=name, device="watch"))
    acknowledged: set[str] = set()
    with Service(data) as service:
        working = []
        for device in devices:
            peer = await Peer.open(service.ready["mqtt"])
            await peer.connect(device)
            working.append(asyncio.create_task(_publish_for_ever(peer, device, acknowledged)))
        await until(lambda: len(acknowledged) >= 500)
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*working)
        assert await asyncio.to_thread(service.process.wait, 60) == 0
    with open_reader(data) as reader:
        stored = {record.id for record in reader.read(0, 1_000_000)}
    assert acknowledged <= stored


async def test_sinks_are_told_to_end_before_anything_is_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as house:
        service = house.service
        shipping = service.tasks._tasks["ship"]
        told: list[bool] = []
        close = service.pipeline.close

        async def noted(within_s: float) -> None:
            told.append(bool(shipping.cancelling()) or shipping.done())
            await close(within_s)

        service.pipeline.close = noted  # type: ignore[method-assign]
        await service.stop()
        assert told == [True]
