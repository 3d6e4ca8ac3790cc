"""Bluetooth without a radio: peripherals and a central of bumble's, on its virtual link. Real HCI, L2CAP, SMP and ATT.

bleak takes a backend in place of the platform's: these two are one over bumble, so that our code above bleak, and bleak
itself, run as they do on a machine with a radio.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData, ProtocolError
from bumble.device import Connection, Device, Peer
from bumble.gatt import Attribute, Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.keys import MemoryKeyStore
from bumble.link import LocalLink
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.common import AsyncPipeSink

from healthsync_mqtt.ble.assigned_numbers import (
    DEVICE_INFORMATION,
    MANUFACTURER_NAME,
    MODEL_NUMBER,
    RECORD_ACCESS_CONTROL_POINT,
)
from healthsync_mqtt.ble.radio import Radio

CENTRAL = "C0:C0:C0:C0:C0:01"
_NOTIFY, _INDICATE = Characteristic.Properties.NOTIFY, Characteristic.Properties.INDICATE


@dataclass
class Gadget:
    """A peripheral: what it has, and what it does when somebody subscribes or writes."""

    device: Device
    said: dict[int, Characteristic[Any]] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    clock: list[bytes] = field(default_factory=list)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    subscribed: dict[int, asyncio.Event] = field(default_factory=dict)
    connection: Connection | None = None

    @property
    def address(self) -> str:
        return str(self.device.random_address).split("/")[0]

    async def says(self, number: int, value: bytes) -> None:
        """Notify, or indicate and wait for the confirmation, as the characteristic does."""
        found = self.said[number]
        if found.properties & _INDICATE:
            await self.device.indicate_subscribers(found, value)
        else:
            await self.device.notify_subscribers(found, value)

    async def hangs_up(self) -> None:
        assert self.connection is not None
        await self.connection.disconnect()

    async def sleeps(self) -> None:
        await self.device.stop_advertising()

    async def wakes(self) -> None:
        self.connected.clear()
        for each in self.subscribed.values():
            each.clear()
        await self.device.start_advertising(advertising_interval_min=20, advertising_interval_max=20)


class Air:
    """The link that all are on, and the one central that listens."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.link = LocalLink()
        self.central = self._device(CENTRAL, "central")
        self.gadgets: list[Gadget] = []

    def _device(self, address: str, name: str) -> Device:
        controller = Controller(name, link=self.link, public_address=address)
        device = Device(name=name, address=Address(address), host=Host(controller, AsyncPipeSink(controller)))
        device.keystore = MemoryKeyStore()
        return device

    async def there(self, made: Awaitable[Any]) -> Any:
        """Awaited in the loop that the devices live in, from whichever loop it is asked."""
        if asyncio.get_running_loop() is self.loop:
            return await made

        async def awaited() -> Any:
            return await made

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(awaited(), self.loop))

    def radio(self) -> Radio:
        """Ours, by bleak, on this air."""
        air = self

        class Scanner(_Scanner):
            on = air

        class Client(_Client):
            on = air

        return Radio(backends=(Scanner, Client))

    async def gadget(
        self,
        services: dict[int, dict[int, Characteristic.Properties]],
        *,
        name: str = "gadget",
        address: str = "C1:C2:C3:C4:C5:C6",
        secret: bool = False,
        records: Callable[[Gadget, bytes], Awaitable[None]] | None = None,
        refuses_pairing: bool = False,
        about: tuple[str, str] = ("Acme", "M-1"),
    ) -> Gadget:
        """A peripheral that advertises. ``secret``: what it says needs an encrypted connection."""
        device = self._device(address, name)
        gadget = Gadget(device)
        kept = [_information(about)]
        for service, has in services.items():
            kept.append(
                Service(UUID.from_16_bits(service), [_made(gadget, n, p, secret, records) for n, p in has.items()])
            )
        device.add_services(kept)
        data = AdvertisingData(
            [
                (AdvertisingData.Type.COMPLETE_LOCAL_NAME, name.encode()),
                (
                    AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
                    b"".join(each.to_bytes(2, "little") for each in services),
                ),
            ]
        )
        device.advertising_data = bytes(data)
        io = PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT

        class Delegate(PairingDelegate):
            async def accept(self) -> bool:
                return not refuses_pairing

        device.pairing_config_factory = lambda _: PairingConfig(mitm=False, delegate=Delegate(io))

        def came(connection: Connection) -> None:
            gadget.connection = connection
            gadget.connected.set()

        device.on("connection", came)
        await device.power_on()
        await gadget.wakes()
        self.gadgets.append(gadget)
        return gadget


@contextlib.asynccontextmanager
async def air() -> AsyncIterator[Air]:
    """One, with its central powered on."""
    made = Air()
    io = PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT
    made.central.pairing_config_factory = lambda _: PairingConfig(mitm=False, delegate=PairingDelegate(io))
    await made.central.power_on()
    try:
        yield made
    finally:
        for each in (made.central, *(gadget.device for gadget in made.gadgets)):
            with contextlib.suppress(Exception):
                await each.power_off()


def _information(about: tuple[str, str]) -> Service:
    return Service(
        UUID.from_16_bits(DEVICE_INFORMATION),
        [
            Characteristic(
                UUID.from_16_bits(number),
                Characteristic.Properties.READ,
                Attribute.Permissions.READABLE,
                text.encode(),
            )
            for number, text in zip((MANUFACTURER_NAME, MODEL_NUMBER), about, strict=True)
        ],
    )


def _made(
    gadget: Gadget,
    number: int,
    properties: Characteristic.Properties,
    secret: bool,
    records: Callable[[Gadget, bytes], Awaitable[None]] | None,
) -> Characteristic[Any]:
    permissions = Attribute.Permissions.READABLE | Attribute.Permissions.WRITEABLE
    if secret:
        permissions |= Attribute.Permissions.READ_REQUIRES_ENCRYPTION | Attribute.Permissions.WRITE_REQUIRES_ENCRYPTION

    def written(_connection: Any, value: bytes) -> None:
        if number != RECORD_ACCESS_CONTROL_POINT:
            gadget.clock.append(bytes(value))
            return
        gadget.requests.append(bytes(value))
        if records is not None:
            task = asyncio.ensure_future(records(gadget, bytes(value)))
            _KEPT.add(task)
            task.add_done_callback(_KEPT.discard)

    found: Characteristic[Any] = Characteristic(
        UUID.from_16_bits(number), properties, permissions, CharacteristicValue(write=written)
    )
    if properties & (_NOTIFY | _INDICATE):
        gadget.said[number] = found
        heard = gadget.subscribed[number] = asyncio.Event()
        found.on("subscription", lambda _c, notify, indicate: heard.set() if notify or indicate else None)
    return found


_KEPT: set[asyncio.Future[Any]] = set()


class _Scanner(BaseBleakScanner):
    on: Air

    def __init__(self, detection_callback: Any, service_uuids: Any, _mode: Any, **_: Any) -> None:
        super().__init__(detection_callback, service_uuids)

    async def start(self) -> None:
        self.seen_devices = {}
        self._home = asyncio.get_running_loop()
        self._heard = lambda said: self._home.call_soon_threadsafe(self._take, said)
        await self.on.there(self._start())

    async def _start(self) -> None:
        self.on.central.on("advertisement", self._heard)
        await self.on.central.start_scanning(active=False)

    async def stop(self) -> None:
        await self.on.there(self._stop())

    async def _stop(self) -> None:
        self.on.central.remove_listener("advertisement", self._heard)
        await self.on.central.stop_scanning()

    def _take(self, said: Any) -> None:
        name = said.data.get(AdvertisingData.Type.COMPLETE_LOCAL_NAME)
        uuids = said.data.get(AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS) or []
        full = [f"0000{each.to_hex_str().lower()}-0000-1000-8000-00805f9b34fb" for each in uuids]
        data = AdvertisementData(name, {}, {}, full, None, max(said.rssi, -100), ())
        address = str(said.address).split("/")[0]
        device = self.create_or_update_device(address, address, name, said.address, data)
        self.call_detection_callbacks(device, data)


class _Client(BaseBleakClient):
    on: Air

    def __init__(self, device: BLEDevice | str, **kwargs: Any) -> None:
        super().__init__(device, **{k: kwargs[k] for k in ("disconnected_callback", "timeout")})
        assert isinstance(device, BLEDevice)
        self._to = device.details
        self._named = device.name or ""
        self._connection: Connection | None = None
        self._peer: Peer | None = None

    @property
    def name(self) -> str:
        return self._named

    @property
    def mtu_size(self) -> int:
        return 23

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **_: Any) -> None:
        self._home = asyncio.get_running_loop()
        await self.on.there(self._connect(pair))

    async def _connect(self, pair: bool) -> None:
        self._connection = await self.on.central.connect(self._to)
        self._connection.on("disconnection", self._lost)
        if pair:
            await self._pair()
        self._peer = Peer(self._connection)
        await self._peer.discover_services()
        await self._peer.discover_characteristics()
        self.services = BleakGATTServiceCollection()
        for service in self._peer.services:
            kept = BleakGATTService(service, service.handle, _long(service.uuid))
            self.services.add_service(kept)
            for each in service.characteristics:
                names: Any = [
                    p.name.lower().replace("_", "-") for p in Characteristic.Properties if p & each.properties
                ]
                self.services.add_characteristic(
                    BleakGATTCharacteristic(each, each.handle, _long(each.uuid), names, lambda: 20, kept)
                )

    def _lost(self, _reason: Any) -> None:
        self._connection = None
        if self._disconnected_callback is not None:
            self._home.call_soon_threadsafe(self._disconnected_callback)

    async def disconnect(self) -> None:
        if self._connection is not None:
            await self.on.there(self._connection.disconnect())

    async def pair(self, *_: Any, **__: Any) -> None:
        await self.on.there(self._pair())

    async def _pair(self) -> None:
        assert self._connection is not None
        try:
            await self._connection.pair()
        except ProtocolError as error:
            raise BleakError(f"Failed to pair: {error}") from error

    async def unpair(self) -> None:
        raise NotImplementedError

    async def read_gatt_char(self, characteristic: Any, **_: Any) -> bytearray:
        return bytearray(await self._att(characteristic.obj.read_value()))

    async def read_gatt_descriptor(self, descriptor: Any, **_: Any) -> bytearray:
        raise NotImplementedError

    async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:
        await self._att(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        raise NotImplementedError

    async def start_notify(self, characteristic: Any, callback: Any, **_: Any) -> None:
        await self._att(
            characteristic.obj.subscribe(lambda value: self._home.call_soon_threadsafe(callback, bytearray(value)))
        )

    async def stop_notify(self, characteristic: Any) -> None:
        await self._att(characteristic.obj.unsubscribe())

    async def _att(self, of: Awaitable[Any]) -> Any:
        if self._connection is None:
            raise BleakError("Not connected")
        try:
            return await self.on.there(of)
        except ProtocolError as error:
            raise BleakGATTProtocolError(error.error_code) from error


def _long(uuid: UUID) -> str:
    return f"0000{uuid.to_hex_str().lower()}-0000-1000-8000-00805f9b34fb" if len(uuid.to_bytes()) == 2 else str(uuid)


def records_of(
    values: Iterable[tuple[int, bytes]], answer: int = 1, number: int = 0x2A18
) -> Callable[[Gadget, bytes], Awaitable[None]]:
    """A store of records, of glucose: (sequence, measurement), which says those that a request asks for."""
    kept = list(values)

    async def told(gadget: Gadget, request: bytes) -> None:
        least = int.from_bytes(request[3:5], "little") if request[1] == 3 else 0
        for sequence, value in kept:
            if sequence >= least:
                await gadget.says(number, value)
        await gadget.says(RECORD_ACCESS_CONTROL_POINT, bytes((6, 0, request[0], answer)))

    return told
