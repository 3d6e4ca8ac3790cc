"""A user's day as a record of its own, for sinks that take JSON, and which of them such a sink has."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from healthsync_mqtt.model.points import US
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import UserDay
from healthsync_mqtt.summaries.day import date_text


def day_record(day: UserDay) -> bytes:
    """``{"user_id", "type", "day", "op", "utc_offset", "figures"}``; the last two are missing from a deletion.

    ``figures`` are those of ``healthsync summary --json``, the offset is in seconds or null.
    """
    record: dict[str, Any] = {
        "user_id": day.user,
        "type": day.type,
        "day": date_text(day.day),
        "op": "delete" if day.figures is None else "upsert",
    }
    if day.figures is not None:
        offset_us = day.figures.offset_us
        record |= {"utc_offset": None if offset_us is None else offset_us // US, "figures": day.figures.figures}
    return msgspec.json.encode(record)


class DayRecords:
    """The days that a sink has records of, so that nobody is named by the end of a day that it never had."""

    def __init__(self, ledger: SinkLedger) -> None:
        self._ledger = ledger

    def begin(self, days: Iterable[UserDay]) -> list[UserDay]:
        """Those to be sent. They are known from now on: whatever ends this, the record of a day can be taken away."""
        sent = [day for day in days if day.figures is not None or self._knows(day)]
        self._ledger.keep_day_points((_series(day), day.day, ("figures",)) for day in sent)
        return sent

    def arrived(self, days: Sequence[UserDay]) -> None:
        """All of these are there, and gone."""
        self._ledger.drop_day_points((_series(day), day.day) for day in days if day.figures is None)

    def _knows(self, day: UserDay) -> bool:
        return self._ledger.day_fields(_series(day), day.day) is not None


def _series(day: UserDay) -> str:
    return f"{day.user}/{day.type}"
