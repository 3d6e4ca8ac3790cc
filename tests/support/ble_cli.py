"""``healthsync`` on a machine with a radio: the command line as it is, and a scale, a meter and a strap in the air.

Each wakes when it is heard of, says what it has when somebody listens, and sleeps again. The strap goes on beating.
"""

import asyncio
import contextlib
import sys
import threading
from concurrent.futures import Future
from typing import Any

from bumble.gatt import Characteristic

import healthsync_mqtt.cli.ble
from healthsync_mqtt.ble.assigned_numbers import RECORD_ACCESS_CONTROL_POINT
from healthsync_mqtt.cli.main import main
from tests.support.virtual_ble import Air, Gadget, air, records_of

SCALE, METER, STRAP = "C8:2B:96:01:02:03", "C8:2B:96:01:02:04", "C8:2B:96:01:02:05"
NOTIFY, INDICATE = Characteristic.Properties.NOTIFY, Characteristic.Properties.INDICATE
_WEIGHING = bytes.fromhex("06 9038 ea07 0b14 07 0c 21 01")
_GLUCOSE = bytes.fromhex("03 0500 ea07 0b14 06 0a 00 3c00 62b0 11")
_BEAT_S = 0.02


async def _live(ready: "Future[Air]", ends: asyncio.Event) -> None:
    async with air() as made:
        scale = await made.gadget({0x181D: {0x2A9D: INDICATE}}, name="Scale", address=SCALE)
        await made.gadget(
            {0x1808: {0x2A18: NOTIFY, 0x2A34: NOTIFY, RECORD_ACCESS_CONTROL_POINT: INDICATE | Characteristic.WRITE}},
            name="Meter",
            address=METER,
            records=records_of([(5, _GLUCOSE)]),
        )
        strap = await made.gadget({0x180D: {0x2A37: NOTIFY}}, name="Strap", address=STRAP)
        ready.set_result(made)
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(_weighs(scale)), group.create_task(_beats(strap))]
            await ends.wait()
            for each in lives:
                each.cancel()


async def _weighs(scale: Gadget) -> None:
    while True:
        await scale.subscribed[0x2A9D].wait()
        await scale.says(0x2A9D, _WEIGHING)
        await scale.hangs_up()
        await scale.wakes()


async def _beats(strap: Gadget) -> None:
    await strap.subscribed[0x2A37].wait()
    while True:
        await strap.says(0x2A37, b"\x16\x48\x00\x04")
        await asyncio.sleep(_BEAT_S)


def run() -> None:
    """The command of ``sys.argv``."""
    ready: Future[Air] = Future()
    stop: list[Any] = []

    async def live() -> None:
        ends = asyncio.Event()
        stop.append((asyncio.get_running_loop(), ends))
        await _live(ready, ends)

    thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    thread.start()
    made = ready.result()
    healthsync_mqtt.cli.ble.Radio = lambda _adapter=None: made.radio()  # type: ignore[assignment,misc]
    try:
        sys.exit(main())  # type: ignore[func-returns-value]
    finally:
        with contextlib.suppress(RuntimeError):
            stop[0][0].call_soon_threadsafe(stop[0][1].set)
        thread.join(5)


if __name__ == "__main__":
    run()
