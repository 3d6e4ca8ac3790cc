"""Electrocardiograms of an export: a CSV each, with a few lines of words and then voltages, one a line.

The words are in the language of the phone, so that only what is the same in all of them is looked for: a time with an
offset, a number of hertz, a unit of voltage.
"""

import re
from typing import Any, Final

from healthsync_mqtt.formats.port import event_id
from healthsync_mqtt.formats.reading.moment import Moment, moment
from healthsync_mqtt.imports.apple.records import FORM
from healthsync_mqtt.imports.port import Item, LeftOut, PassedOver, Read
from healthsync_mqtt.imports.source import Member, UnreadableError
from healthsync_mqtt.model.reasons import RefusedError

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}")
_HERTZ: Final = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:hertz|hz)\b", re.IGNORECASE)
_UNITS: Final = {"µV": 1.0, "μV": 1.0, "uV": 1.0, "mV": 1000.0}
_NUMBER: Final = re.compile(r"[-\u2212]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")
_RHYTHMS: Final = {
    "sinus rhythm": "sinus_rhythm", "atrial fibrillation": "atrial_fibrillation", "inconclusive": "inconclusive",
    "low heart rate": "inconclusive_low_heart_rate", "high heart rate": "inconclusive_high_heart_rate",
    "poor recording": "inconclusive_poor_recording",
}  # fmt: skip
_LEADS: Final = {"Lead I": "I", "Lead II": "II", "Lead III": "III"}
_MOST_BYTES: Final = 8 * 1024 * 1024
_MOST_VOLTS: Final = 120_000
_HEAD_LINES: Final = 40


def is_ecg(head: bytes) -> bool:
    """Whether a file is one: a time, hertz and a voltage in its first lines, and then numbers."""
    words = "\n".join(head[:4096].decode("utf-8", "replace").splitlines()[:_HEAD_LINES])
    return (
        head[:1] not in {b"<", b"{", b"["}
        and _TIME.search(words) is not None
        and _HERTZ.search(words) is not None
        and any(unit in words for unit in _UNITS)
    )


def read_ecg(member: Member, user: str) -> Item:
    """The recording as one event."""
    try:
        lines = member.whole(_MOST_BYTES).decode("utf-8", "replace").splitlines()
        return Read(_event(lines, user), member.shown)
    except UnreadableError as error:
        return LeftOut(PassedOver.DAMAGED, member.shown, str(error))
    except RefusedError as refusal:
        return LeftOut(refusal.code, member.shown, str(refusal))


def _event(lines: list[str], user: str) -> dict[str, Any]:
    said: list[str] = []
    volts: list[float] = []
    scale = 1.0
    for line in lines:
        text = line.strip().strip('"')
        if said and (volts or len(said) > 3) and _NUMBER.fullmatch(text) and len(volts) < _MOST_VOLTS:
            volts.append(round(float(text.replace("\u2212", "-").replace(",", ".")) * scale, 3))
            continue
        if text:
            said.append(text)
            scale = next((factor for unit, factor in _UNITS.items() if text.endswith(unit)), scale)
    whole = "\n".join(said)
    at, hertz = _TIME.search(whole), _HERTZ.search(whole)
    assert at is not None
    assert hertz is not None
    start = moment(at[0])
    rate = float(hertz[1].replace(",", "."))
    value: dict[str, Any] = {"classification": "unknown", "hz": int(rate) if rate.is_integer() else rate}
    for line in said:
        _, _, word = line.partition(",")
        word = word.strip().strip('"')
        if word.casefold() in _RHYTHMS:
            value["classification"] = _RHYTHMS[word.casefold()]
        elif word in _LEADS:
            value["lead"] = _LEADS[word]
    if volts:
        value["microvolts"] = [int(each) if each.is_integer() else each for each in volts]
    end = Moment(start.us + round(len(volts) / rate * 1_000_000))
    return {
        "id": event_id(user, FORM, "ecg", start.text),
        "type": "ecg",
        "start_time": start.text,
        "end_time": end.text,
        "value": value,
        "utc_offset": start.offset_s or 0,
        "source": {"provider": "healthkit"},
    }
