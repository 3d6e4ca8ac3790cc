"""A profile: which characteristics are listened to, and what their values come to. Pure; the radio is elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final, NamedTuple, Protocol

from healthsync_mqtt.ble.layout import Values
from healthsync_mqtt.formats.port import AppMessage, Event
from healthsync_mqtt.formats.reading.amount import first_field, in_field
from healthsync_mqtt.formats.reading.document import whole
from healthsync_mqtt.formats.reading.moment import Moment, at_wall, in_zone
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from healthsync_mqtt.model.reasons import Reason, RefusedError

FORM: Final = "ble"
_PROVIDER: Final = "bluetooth"
_ANYBODY: Final = 0xFF
"""A user index that says that the device does not know who it was."""


class UnusedValue(NamedTuple):
    """A value that is read and becomes no event: ``why``, in a word, and in words for people."""

    why: str
    text: str


ANOTHER_USER: Final = "another_user"
NO_CONTACT: Final = "no_contact"
NOT_VALID: Final = "not_valid"
NO_BODY: Final = "no_body"

Heard = Event | UnusedValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Peripheral:
    """What is known of a device beside what it says.

    ``wheel_mm`` is the circumference of the wheel that a cycling sensor counts; without it no speed is made.
    """

    user: str
    address: str
    declared: Declared = NOTHING_DECLARED
    manufacturer: str = ""
    model: str = ""
    wheel_mm: int | None = None

    def event(self, type_: str, value: Mapping[str, Any], at: Moment, *key: object) -> Event:
        """An event of a device, known by its address and by ``key``; where that is not given, by its time.

        The address is in the id, which cannot be read back, and nowhere else: it names a thing that somebody carries.
        """
        said = {"manufacturer": self.manufacturer[:64], "model": self.model[:64]}
        scribe = Scribe(FORM, AppMessage(b"", self.user, declared=self.declared), _PROVIDER)
        return scribe.event(
            type_,
            value,
            at,
            key=(self.address.casefold(), *(key or (at.text,))),
            device={name: text for name, text in said.items() if text},
        )

    def is_theirs(self, values: Values) -> bool:
        """Whether the measurement is of our user, where the device knows several and a slot is declared."""
        index, slot = values.get("user"), self.declared.slot
        return slot is None or index is None or index == _ANYBODY or str(index) == slot


class ProfileReading(Protocol):
    """What one connection to one device comes to: told its values in their order.

    ``newest`` is the highest sequence number that it was told, where measurements have one.
    """

    newest: int | None

    def heard(self, number: int, value: bytes, at_us: int) -> Iterator[Heard]:
        """What a value of a characteristic comes to. RefusedError for one that cannot be read."""
        ...

    def ended(self) -> Iterator[Heard]:
        """What was kept back to wait for more, when there is no more."""
        ...


class Takes(NamedTuple):
    """What of a profile becomes what, for people."""

    field: str
    type: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One service of Bluetooth's. ``clock``: its measurements say when they were, by a clock on a wall.

    ``records``: the control point at which it is asked for what it has stored; where it is not ``live``, it says
    nothing that it was not asked for.
    """

    name: str
    title: str
    service: int
    heard: tuple[int, ...]
    takes: tuple[Takes, ...]
    reading: Callable[[Peripheral], ProfileReading]
    clock: bool = False
    records: int | None = None
    live: bool = True


class Single:
    """A reading whose values each stand for themselves."""

    def __init__(self, told: Peripheral, make: Callable[[Peripheral, bytes, Moment], Iterator[Heard]]) -> None:
        self.newest: int | None = None
        self._told = told
        self._make = make

    def heard(self, _number: int, value: bytes, at_us: int) -> Iterator[Heard]:
        """See ``ProfileReading.heard``."""
        yield from self._make(self._told, value, arrival(self._told, at_us))

    def ended(self) -> Iterator[Heard]:
        """Nothing is kept back."""
        return iter(())


def arrival(told: Peripheral, at_us: int) -> Moment:
    """When a value came, by a clock in the declared zone."""
    return in_zone(Moment(at_us), told.declared.zone)


def when(told: Peripheral, values: Values, arrived: Moment, *, minutes: int = 0) -> Moment:
    """When it was measured: by the device's clock, else when it came. RefusedError where the clock has no date."""
    if "time" not in values:
        return arrived
    wall: datetime | None = values["time"]
    if wall is None:
        message = "the device keeps it with a time that has no date: set its clock (--set-clock, or its buttons)"
        raise RefusedError(Reason.BAD_TIME, "time", message)
    try:
        shown = wall + timedelta(minutes=minutes)
    except OverflowError:
        raise RefusedError(Reason.BAD_TIME, "time", f"{wall} and {minutes} minutes is out of time") from None
    return at_wall(shown, told.declared.zone)


def amount_in(type_: str, amount: Fraction, unit: str, field_: str | None = None) -> float:
    """An exact number in the unit of a field of a type."""
    of = field_ or first_field(type_)
    return in_field(type_, of, plain(amount), unit)


def plain(amount: Fraction) -> float:
    """A number as JSON writes it: whole where it is, else the shortest that is nearest."""
    return whole(float(amount))


def single(told: Peripheral, amount: Fraction | None, type_: str, unit: str, at: Moment) -> Iterator[Event]:
    """The event of a number, where there is one."""
    if amount is not None:
        yield measured(told, amount, type_, unit, at)


def measured(told: Peripheral, amount: Fraction, type_: str, unit: str, at: Moment) -> Event:
    """The event of a number."""
    return told.event(type_, {first_field(type_): amount_in(type_, amount, unit)}, at)


def left_out_user(told: Peripheral, values: Values) -> UnusedValue:
    """Why another user's measurement becomes nothing."""
    return UnusedValue(
        ANOTHER_USER, f"it is of user {values['user']} of the device, and --slot says {told.declared.slot}"
    )
