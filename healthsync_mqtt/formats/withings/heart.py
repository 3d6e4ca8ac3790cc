"""ECGs of Withings: the list of their results, and the waveform of one."""

from collections.abc import Iterator
from typing import Any, Final

from healthsync_mqtt.formats.port import Event
from healthsync_mqtt.formats.reading.document import Record, inner, inside, number, number_or_none
from healthsync_mqtt.formats.reading.scribe import Scribe
from healthsync_mqtt.formats.withings.measures import at_second, code, rhythm, version_of
from healthsync_mqtt.formats.withings.memory import WithingsMemory
from healthsync_mqtt.model.reasons import Reason, RefusedError

_MOST_SAMPLES: Final = 120_000


def result(known: WithingsMemory, scribe: Scribe, record: Record) -> Iterator[Event]:
    """What came of one ECG; how long it was the list does not say. Its blood pressure comes as a measure again."""
    ecg = inner(record, "ecg")
    if not ecg:
        return
    at = at_second(scribe, record, "timestamp")
    with inside("ecg"):
        name = _name(ecg.get("signalid"))
    found = code(ecg, "afib")
    if found is not None:
        known.heard(name, found)
    value = rhythm(found)
    rate = number_or_none(record, "heart_rate")
    if rate:
        value["bpm"] = rate
    yield scribe.event("ecg", value, at, at, key=("signal", name), version=version_of(record))


def recording(known: WithingsMemory, scribe: Scribe, body: Record) -> Iterator[Event]:
    """A waveform. Its answer does not say which signal it is: the last level of the topic does, or its time."""
    with inside("heart_rate"):
        rate = inner(body, "heart_rate")
        at = at_second(scribe, rate, "date")
    hertz = _number(body, "sampling_frequency")
    microvolts = _samples(body.get("signal"))
    said = scribe.message.topic.strip("/").rpartition("/")[2]
    key = ("signal", said) if said.isdecimal() else ("signal at", at.text)
    value = rhythm(known.result(said)) | {"hz": hertz, "microvolts": microvolts}
    if number_or_none(rate, "value"):
        value["bpm"] = number(rate, "value")
    end = at.later(len(microvolts) / hertz) if hertz > 0 else at
    yield scribe.event("ecg", value, at, end, key=key, version=version_of(body))


def _name(found: Any) -> str:
    if type(found) not in {int, str} or not str(found):
        raise RefusedError(Reason.MISSING_FIELD, "signalid", "the ECG has no number")
    return str(found)


def _number(body: Record, field: str) -> float:
    return number(body, field, texts=True)


def _samples(found: Any) -> list[Any]:
    """A list; or the same in a text, as typed clients write it."""
    if isinstance(found, str):
        texts = found.strip("[] ").split(",")
        found = [number({"signal": each}, "signal", texts=True) for each in texts[: _MOST_SAMPLES + 1] if each.strip()]
    if not isinstance(found, list):
        raise RefusedError(Reason.WRONG_TYPE, "signal", "signal must be a list")
    return found
