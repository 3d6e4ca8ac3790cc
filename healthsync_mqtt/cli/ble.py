"""healthsync ble …"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.ble.faults import PeripheralSilentError
from healthsync_mqtt.ble.profile import Peripheral
from healthsync_mqtt.ble.radio import Radio
from healthsync_mqtt.ble.session import HeardTally, ListeningTerms, PeripheralSession
from healthsync_mqtt.ble.watch import PeripheralWatch
from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, AnyData, Data, Json, now_us, seconds, zone_name
from healthsync_mqtt.cli.publication import Summary, connected, device_to_publish_as
from healthsync_mqtt.client import Credentials, DeviceClient, MemoryOutbox, SqliteOutbox, SystemClock
from healthsync_mqtt.control.service_file import ServiceFile, split_address
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.model.declaration import Declared

_LEAST_WHEEL, _MOST_WHEEL = 500, 3500

app = new_group("Bluetooth scales, cuffs, thermometers, meters, straps and sensors near this machine.")

Address = Annotated[str, typer.Argument(help="The device's address, as `ble scan` shows it.")]
User = Annotated[
    str | None, typer.Option(help="Whose data it is, on this machine's service.", autocompletion=completion.users)
]
Device = Annotated[
    str | None, typer.Option(help="The device to publish as; added when missing.", autocompletion=completion.devices)
]
CredentialsFile = Annotated[
    Path | None,
    typer.Option("--credentials", help="In place of --user: the device's credentials (mode 0600), of another machine."),
]
Server = Annotated[str | None, typer.Option(help="With --credentials: where the service is, host:port.")]
CaFile = Annotated[Path | None, typer.Option(help="With --credentials: the CA of its certificate.")]
OutboxFile = Annotated[
    Path | None,
    typer.Option("--outbox", help="Where readings wait that were not taken yet; with --credentials: beside it."),
]
Zone = Annotated[str | None, typer.Option(help="Where the device's clock was set: Europe/Berlin.", callback=zone_name)]
Slot = Annotated[str | None, typer.Option(help="Which of the device's users it is; others' readings are left out.")]
Wheel = Annotated[
    int | None,
    typer.Option(
        min=_LEAST_WHEEL, max=_MOST_WHEEL, help="Circumference of the wheel in mm, for the speed of a bicycle."
    ),
]
Pair = Annotated[bool, typer.Option("--pair", help="Pair with the device, where it asks for it.")]
SetClock = Annotated[bool, typer.Option("--set-clock", help="Set the device's clock, where it can be set.")]
Adapter = Annotated[str | None, typer.Option(help="Which Bluetooth adapter, where there are several: hci1.")]
Within = Annotated[str, typer.Option(help="How long to look for the device, and to wait for its first reading.")]


@app.command("scan")
def scan(
    *,
    within: Annotated[str, typer.Option(help="How long to listen: 10s, 1m.")] = "10s",
    all_: Annotated[bool, typer.Option("--all", help="Also devices that announce no profile that is read.")] = False,
    adapter: Adapter = None,
    data: AnyData = DATA,  # noqa: ARG001  # --data is taken everywhere
    json: Json = False,
) -> None:
    """List the devices that are heard now, the nearest first, and what of them can be read. Most sleep until used.

    Example: healthsync ble scan
    """
    found = asyncio.run(Radio(adapter).scan(seconds(within)))
    output.listing(
        [each._asdict() | {"profiles": list(each.profiles)} for each in found if all_ or each.profiles],
        {"address": "ADDRESS", "name": "NAME", "rssi": "RSSI", "profiles": "PROFILES"},
        as_json=json,
        empty="no device was heard that can be read: use it, so that it wakes, and listen again",
    )


@app.command("read")
def read(
    address: Address,
    *,
    user: User = None,
    device: Device = None,
    credentials: CredentialsFile = None,
    server: Server = None,
    ca_file: CaFile = None,
    outbox: OutboxFile = None,
    zone: Zone = None,
    slot: Slot = None,
    wheel: Wheel = None,
    once: Annotated[bool, typer.Option("--once", help="End when it has said what it had to say.")] = False,
    pair: Pair = False,
    set_clock: SetClock = False,
    adapter: Adapter = None,
    within: Within = "60s",
    print_only: Annotated[bool, typer.Option("--print", help="Print the events, one a line; publish nothing.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Read a device and publish what it measured, until it hangs up; with --once until it has said all.

    What it has stored is asked for, and is a duplicate where it was read before.

    Example: healthsync ble read C8:2B:96:01:02:03 --once --user alice --device scale --zone Europe/Berlin
    """
    radio, within_s = Radio(adapter), seconds(within)
    route = (
        None
        if print_only
        else _route(
            data, user=user, device=device, credentials=credentials, server=server, ca_file=ca_file, outbox=outbox
        )
    )
    told = _told(address, route.login.user_id if route else user or "", zone, slot, wheel)
    tally, summary = HeardTally(), Summary()
    wanted = ListeningTerms(once=once, silence_s=within_s, set_clock=set_clock)
    try:
        asyncio.run(_read(radio, told, wanted, tally=tally, summary=summary, route=route, within_s=within_s, pair=pair))
    except KeyboardInterrupt:
        output.say("stopped")
    if not print_only:
        _show(address, tally, summary, as_json=json)
    elif tally.left_out or tally.refused:
        output.say(_left_out(tally))
    if summary.rejected or tally.refused:
        raise typer.Exit(1)


@app.command("run")
def run(
    address: Address,
    *,
    user: User = None,
    device: Device = None,
    credentials: CredentialsFile = None,
    server: Server = None,
    ca_file: CaFile = None,
    outbox: OutboxFile = None,
    zone: Zone = None,
    slot: Slot = None,
    wheel: Wheel = None,
    pair: Pair = False,
    set_clock: SetClock = False,
    adapter: Adapter = None,
    within: Within = "60s",
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Read a device whenever it is there, until Ctrl-C: what it measures is published, over outages of the service too.

    Example: healthsync ble run C8:2B:96:01:02:03 --user alice --device scale --zone Europe/Berlin
    """
    radio, within_s = Radio(adapter), seconds(within)
    route = _route(
        data, user=user, device=device, credentials=credentials, server=server, ca_file=ca_file, outbox=outbox
    )
    told = _told(address, route.login.user_id, zone, slot, wheel)
    tally = HeardTally()
    keeping = PeripheralWatch(
        radio,
        told,
        ListeningTerms(set_clock=set_clock),
        within_s=within_s,
        pair=pair,
        clock=now_us,
        waiting=SystemClock(),
        say=output.say,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # systemd's way of saying Ctrl-C
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_keep(keeping, route, tally))
    shown = {"address": address} | tally.as_dict()
    if json:
        output.emit(shown)
    else:
        output.facts([(name, value) for name, value in shown.items() if name not in {"profiles", "examples"}])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """Where events go: a login, the service it is for, and the file in which they wait."""

    login: Credentials
    host: str
    port: int
    ca_file: Path | None
    outbox: Path | None
    new: bool = False

    def client(self, **options: Any) -> DeviceClient:
        outbox = MemoryOutbox() if self.outbox is None else SqliteOutbox(self.outbox)
        return DeviceClient(
            self.host, self.port, credentials=self.login, ca_file=self.ca_file, outbox=outbox, **options
        )


def _route(
    data: Path,
    *,
    user: str | None,
    device: str | None,
    credentials: Path | None,
    server: str | None,
    ca_file: Path | None,
    outbox: Path | None,
) -> _Route:
    if credentials is not None:
        if user is not None or device is not None:
            raise UsageError("--credentials or --user and --device?", hint="the credentials say whose device it is")
        if server is None:
            raise UsageError("where is the service?", hint="add --server HOST:8883")
        host, port = split_address(server)
        login = Credentials.from_file(credentials)
        waiting = outbox or credentials.with_suffix(".outbox")
        return _Route(login=login, host=host, port=port, ca_file=ca_file, outbox=waiting)
    if user is None or device is None:
        raise UsageError(
            "whose device is it?", hint="add --user USER --device DEVICE, or --credentials FILE --server HOST:PORT"
        )
    place = DataDirectory(data)
    place.expect_added(user)
    service = ServiceFile.read(data)
    known, added = device_to_publish_as(place, user, device)
    host, port = split_address(service.mqtts)
    login = place.credentials(known)
    return _Route(login=login, host=host, port=port, ca_file=Path(service.ca_file), outbox=outbox, new=added)


def _told(address: str, user: str, zone: str | None, slot: str | None, wheel: int | None) -> Peripheral:
    return Peripheral(user=user, address=address, declared=Declared(zone=zone, slot=slot), wheel_mm=wheel)


@contextlib.asynccontextmanager
async def _publishing(route: _Route) -> AsyncIterator[DeviceClient]:
    async with connected(lambda: route.client(fail_when_denied=True), new=route.new) as client:
        yield client


async def _read(
    radio: Radio,
    told: Peripheral,
    wanted: ListeningTerms,
    *,
    tally: HeardTally,
    summary: Summary,
    route: _Route | None,
    within_s: float,
    pair: bool,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = None if route is None else await stack.enter_async_context(_publishing(route))

        async def deliver(events: Sequence[dict[str, Any]]) -> None:
            if client is None:
                for each in events:
                    output.emit(each)
            else:
                summary.add(await client.publish(events))

        found = await stack.enter_async_context(radio.connect(told.address, within_s=within_s, pair=pair))
        try:
            await PeripheralSession(found, told, wanted, now_us, tally).run(deliver)
        except PeripheralSilentError:
            if not tally.left_out:
                raise


async def _keep(keeping: PeripheralWatch, route: _Route, tally: HeardTally) -> None:
    async with route.client(wait_connected=False) as client:
        # Ended by hand, it takes leave of the service as a client does that has done its work: what waits is sent.
        with contextlib.suppress(asyncio.CancelledError):
            await keeping.run(client.enqueue, tally)


def _left_out(tally: HeardTally) -> str:
    found = sorted((tally.left_out + tally.refused).items())
    return "left out: " + "; ".join(f"{number} {why} ({tally.examples.get(why, '')})" for why, number in found)


def _show(address: str, tally: HeardTally, summary: Summary, *, as_json: bool) -> None:
    if tally.overrun:
        output.say(f"{tally.overrun} readings came faster than they could be taken, and are lost")
    if (tally.left_out or tally.refused) and not as_json:
        output.say(_left_out(tally))
    more = tally.as_dict() | {"address": address}
    if not as_json:
        more = {"address": address, "profiles": ", ".join(tally.profiles)}
    more.pop("events", None)
    summary.show(as_json=as_json, **more)
