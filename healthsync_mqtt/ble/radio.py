"""The Bluetooth of this machine, by bleak: who is there, and connections to them. Errors say what a person can do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from healthsync_mqtt.ble.assigned_numbers import uuid
from healthsync_mqtt.ble.catalogue import BY_SERVICE
from healthsync_mqtt.ble.faults import PairingNeededError, PeripheralAwayError, RadioUnavailableError
from healthsync_mqtt.errors import ConfigError

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic

_TURN_ON: Final = "is it on? Raspberry Pi: sudo systemctl start bluetooth && sudo rfkill unblock bluetooth"
_WAKE: Final = "wake it (step on it, press its button, put it on), near to here; see who is there: healthsync ble scan"
#: Errors of the Attribute Protocol that pairing mends (Core, Vol 3, Part F, 3.4.1.1).
_UNPAIRED: Final = {
    0x05: "insufficient authentication",
    0x08: "insufficient authorization",
    0x0C: "insufficient key size",
    0x0F: "insufficient encryption",
}
_UNPAIRED_WORDS: Final = ("notpermitted", "authentication", "notauthorized", "insufficient")


class Advertised(NamedTuple):
    """A device that was heard: its address (on macOS an id of this machine), name, strength, and profiles of ours."""

    address: str
    name: str | None
    rssi: int
    profiles: tuple[str, ...]


Backends = tuple[Any, Any]
"""Of bleak, the scanner's and the client's; the platform's own where none are given."""


class Radio:
    """One radio. ``adapter`` names one of several (Linux: ``hci1``)."""

    def __init__(self, adapter: str | None = None, *, backends: Backends | None = None) -> None:
        """ConfigError where bleak is not installed."""
        if find_spec("bleak") is None:
            raise ConfigError("Bluetooth needs bleak", hint="in the checkout: pip install '.[ble]'")
        scanner, client = backends or (None, None)
        bluez = {"adapter": adapter} if adapter else {}
        self._scanning: dict[str, Any] = {"bluez": bluez, **({"backend": scanner} if scanner else {})}
        self._connecting: dict[str, Any] = {"bluez": bluez, **({"backend": client} if client else {})}

    async def scan(self, within_s: float) -> list[Advertised]:
        """Who is heard in this time, the nearest first."""
        from bleak import BleakScanner

        with _told_of(""):
            found = await BleakScanner.discover(within_s, return_adv=True, **self._scanning)
        return sorted(
            (
                Advertised(
                    device.address,
                    said.local_name or device.name,
                    said.rssi,
                    tuple(BY_SERVICE[each].name for each in said.service_uuids if each in BY_SERVICE),
                )
                for device, said in found.values()
            ),
            key=lambda each: (-each.rssi, each.address),
        )

    @contextlib.asynccontextmanager
    async def connect(self, address: str, *, within_s: float, pair: bool = False) -> AsyncIterator["PeripheralLink"]:
        """A connection to a device, its services known.

        Raises RadioUnavailableError, PeripheralAwayError, PairingNeededError.
        """
        from bleak import BleakClient, BleakScanner

        gone = asyncio.Event()
        with _told_of(address):
            device = await BleakScanner.find_device_by_address(address, within_s, **self._scanning)
            if device is None:
                raise PeripheralAwayError(f"{address} was not heard within {within_s:g} s", hint=_WAKE)
            client = BleakClient(device, lambda _: gone.set(), timeout=within_s, pair=pair, **self._connecting)
            try:
                async with asyncio.timeout(within_s):
                    await client.connect()
            except TimeoutError:
                raise PeripheralAwayError(
                    f"{address} was heard, and took no connection within {within_s:g} s",
                    hint="it takes one at a time: is a phone connected to it? Turn Bluetooth off there and try again",
                ) from None
        try:
            yield PeripheralLink(address, client, gone)
        finally:
            with contextlib.suppress(Exception):  # it is gone already, or goes when we do
                await client.disconnect()


class PeripheralLink:
    """One device, connected. ``gone`` is set when it hangs up."""

    def __init__(self, address: str, client: "BleakClient", gone: asyncio.Event) -> None:
        self.address = address
        self.gone = gone
        self._client = client

    @property
    def services(self) -> Mapping[str, frozenset[str]]:
        """Its services, and the characteristics of each, by their UUIDs."""
        return {each.uuid: frozenset(has.uuid for has in each.characteristics) for each in self._client.services}

    def takes(self, service: int, number: int) -> bool:
        """Whether a characteristic is there that can be written."""
        found = self._found(service, number)
        return found is not None and "write" in found.properties

    def says(self, service: int, number: int) -> bool:
        """Whether a characteristic is there that notifies or indicates."""
        found = self._found(service, number)
        return found is not None and not {"notify", "indicate"}.isdisjoint(found.properties)

    async def read(self, service: int, number: int) -> bytes | None:
        """What a characteristic holds; None where it is not there."""
        found = self._found(service, number)
        if found is None or "read" not in found.properties:
            return None
        with _told_of(self.address):
            return bytes(await self._client.read_gatt_char(found))

    async def write(self, service: int, number: int, value: bytes) -> None:
        """Write a characteristic that ``takes``; the device has acknowledged it when this returns."""
        found = self._found(service, number)
        assert found is not None
        with _told_of(self.address):
            await self._client.write_gatt_char(found, value, response=True)

    async def subscribe(self, service: int, number: int, heard: Callable[[bytes], None]) -> None:
        """Be told each value of a characteristic that ``says`` something, from when this returns."""
        found = self._found(service, number)
        assert found is not None
        with _told_of(self.address):
            await self._client.start_notify(found, lambda _, value: heard(bytes(value)))

    def _found(self, service: int, number: int) -> "BleakGATTCharacteristic | None":
        of = self._client.services.get_service(uuid(service))
        return None if of is None else of.get_characteristic(uuid(number))


@contextlib.contextmanager
def _told_of(address: str) -> Iterator[None]:
    """What bleak and the system say, as one of our errors."""
    from bleak import exc

    try:
        yield
    except exc.BleakBluetoothNotAvailableError as error:
        raise RadioUnavailableError(f"Bluetooth cannot be used here: {error}", hint=_TURN_ON) from error
    except exc.BleakDeviceNotFoundError as error:
        raise PeripheralAwayError(f"{address} is not there any more", hint=_WAKE) from error
    except exc.BleakGATTProtocolError as error:
        why = _UNPAIRED.get(int(error.code))
        if why is not None:
            raise PairingNeededError(address, why) from error
        raise PeripheralAwayError(f"{address} refused: {error}", hint=_WAKE) from error
    except exc.BleakDBusError as error:
        folded = error.dbus_error.casefold()
        if address and any(word in folded for word in _UNPAIRED_WORDS):
            raise PairingNeededError(address, error.dbus_error_details or error.dbus_error) from error
        if "serviceunknown" in folded or not address:
            raise RadioUnavailableError(f"the system's Bluetooth does not answer: {error}", hint=_TURN_ON) from error
        raise PeripheralAwayError(f"{address}: {error}", hint=_WAKE) from error
    except exc.BleakError as error:
        if not address:
            raise RadioUnavailableError(f"Bluetooth cannot be used here: {error}", hint=_TURN_ON) from error
        raise PeripheralAwayError(f"{address}: {error}", hint=_WAKE) from error
    except TimeoutError as error:
        raise PeripheralAwayError(f"{address} did not answer in time", hint=_WAKE) from error
    except OSError as error:
        hint = "is D-Bus running, with BlueZ? Debian: apt-get install bluez; in a container: mount /run/dbus"
        raise RadioUnavailableError(f"the system's Bluetooth cannot be reached: {error}", hint=hint) from error
