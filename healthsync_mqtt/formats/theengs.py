"""Theengs Gateway and OpenMQTTGateway: what Bluetooth scales, straps and bands advertise.

Nothing in an advertisement says when or whose: it is the time of arrival, and the login's; several gateways hear the
same one, and a scale repeats its last weighing for long. Where the login declares devices (``--slot``, several with
commas), all others in the neighbourhood are nothing. Rooms have temperatures too, and no body has theirs.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from healthsync_mqtt.formats.port import AppMessage, Event, Fold, FormatEntry
from healthsync_mqtt.formats.reading.document import (
    Record,
    inside,
    number,
    number_or_none,
    read_object,
    text_or_none,
    whole,
)
from healthsync_mqtt.formats.reading.moment import Moment, day_around, in_zone
from healthsync_mqtt.formats.reading.scribe import Records, Scribe
from healthsync_mqtt.formats.reading.weighings import Repeats
from healthsync_mqtt.formats.xiaomi_scale import arrived, weight_of
from healthsync_mqtt.model.reasons import Reason, RefusedError

_SECOND_US: Final = 1_000_000
_RATES: Final = ("bpm", "act_bpm")
_NO_BODY: Final = "object"


class Theengs:
    """Messages below ``home/…/BTtoMQTT/`` (``port.Format``)."""

    name = "theengs"
    summary = "Theengs Gateway, OpenMQTTGateway: Bluetooth scales, heart rate straps, bands"
    roots = ("home",)
    remembers: frozenset[str] = frozenset({"weight"})

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        yield FormatEntry("weight", "weight", "of persons, in the unit that is said or declared")
        yield FormatEntry(", ".join(_RATES), "heart_rate")
        yield FormatEntry("steps", "daily_steps", "of the day so far; needs a zone")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One advertisement; what is remembered are the newest weighings."""
        levels = message.topic.strip("/").split("/")
        if (not message.payload and message.topic) or levels[-1] in {"LWT", "RLWT", "SYStoMQTT"}:
            return state
        record = read_object(message.payload)
        if not _is_ours(record, levels[-1], message.declared.slot):
            return state
        repeats = Repeats(state)
        yield from Records().read("", record, partial(_read, Scribe(self.name, message, "theengs"), repeats))
        return repeats.state


def _is_ours(record: Record, level: str, slot: str | None) -> bool:
    if slot is None:
        return True
    mine = {_folded(each) for each in slot.split(",")}
    return bool({_folded(text_or_none(record, "id") or ""), _folded(level)} & mine)


def _folded(address: str) -> str:
    return "".join(each for each in address.casefold() if each.isalnum())


def _read(scribe: Scribe, repeats: Repeats, record: Record) -> Iterator[Event]:
    who = _folded(text_or_none(record, "id") or "")
    device = {field: found[:64] for field, name in _ABOUT if (found := text_or_none(record, name))}
    if "weight" in record:
        if record.get("weighing_mode") == _NO_BODY or text_or_none(record, "type") not in {None, "SCALE"}:
            return
        weight = weight_of(record, "unit", scribe.message.declared.unit)
        at = arrived(scribe, repeats, who, weight)
        yield scribe.event("weight", {"kg": weight}, at, key=("weighing", who, at.text), device=device)
        return
    rate = next((each for each in _RATES if record.get(each) is not None), None)
    steps = number_or_none(record, "steps", texts=True)
    if rate is None and steps is None:
        return
    if scribe.message.retained:
        raise RefusedError(Reason.MISSING_FIELD, "time", "a retained message says no time: when it was nobody knows")
    now_us, zone = scribe.message.at_us, scribe.message.declared.zone
    at = in_zone(Moment(now_us - now_us % _SECOND_US), zone)
    if rate is not None:
        value = {"bpm": whole(number(record, rate, texts=True))}
        yield scribe.event("heart_rate", value, at, key=("rate", who, at.text), device=device)
    if steps is not None:
        with inside("steps"):
            of = day_around(at, zone)
        value = {"steps": whole(steps)}
        yield scribe.event("daily_steps", value, of, key=("day", who, of.date), device=device)


_ABOUT: Final = (("manufacturer", "brand"), ("model", "model"))
