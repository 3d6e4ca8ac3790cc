"""The rules of summaries, written down slowly: a minute at a time, and every event looked at for each.

It knows nothing of the code that it judges but the catalogue and the canonical event.
"""

from fractions import Fraction
from typing import Any

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_type import Daily, TimeKind
from healthsync_mqtt.model.times import iso

MINUTE_US = 60_000_000
DAY_MINUTES = 1440
WORN = {"watch", "ring"}
PHONES = {"phone"}


def source_of(event: dict[str, Any]) -> str:
    app = event.get("source", {}).get("app")
    return f"{event['device_id']}/{app}" if app else event["device_id"]


def rank(event: dict[str, Any], preferred: tuple[str, ...]) -> tuple:
    name, kind = source_of(event), event.get("device", {}).get("type")
    place = preferred.index(name) if name in preferred else 10**6
    return place, 0 if kind in WORN else 2 if kind in PHONES else 1, name


def day_of(minute: int, event: dict[str, Any]) -> int:
    return (minute + event.get("utc_offset", 0) // 60) // DAY_MINUTES


def figures_of(type_name: str, day: int, events: list[dict[str, Any]], preferred: tuple[str, ...]) -> Any:
    """What the events of one type come to on a day; None for nothing. Times are ``minutes`` (start, end)."""
    of = CATALOGUE[type_name]
    if of.daily is Daily.SUM and of.kind is TimeKind.INTERVAL and not of.separate:
        return shared(of, day, events, preferred)
    if of.daily is Daily.SUM:
        return portions(of, day, events, preferred)
    if of.daily is Daily.MEAN:
        return moments(of, day, events, preferred)
    if of.daily is Daily.LONGEST:
        return longest(day, events, preferred)
    return last(of, day, events, preferred)


def shared(of: Any, day: int, events: list, preferred: tuple) -> Any:
    total, used = Fraction(0), []
    field = of.quantities[0].field
    minutes = {minute for event in events for minute in range(*event["minutes"])}
    for minute in minutes:
        there = [event for event in events if event["minutes"][0] <= minute < event["minutes"][1]]
        best = min(there, key=lambda e: (rank(e, preferred), e["minutes"][0], -e["minutes"][1], e["id"]))
        if day_of(minute, best) == day:
            total += Fraction(best["value"][field]) / (best["minutes"][1] - best["minutes"][0])
            used.append(best)
    for minute in {event["minutes"][0] for event in events if event["minutes"][0] == event["minutes"][1]}:
        if minute in minutes:
            continue
        there = [e for e in events if e["minutes"] == (minute, minute) and day_of(minute, e) == day]
        if there:
            best = min(there, key=lambda e: (rank(e, preferred), e["id"]))
            total += Fraction(best["value"][field])
            used.append(best)
    return None if not used else {field: float(total), "sources": sources(used)}


def portions(of: Any, day: int, events: list, preferred: tuple) -> Any:
    total, used = Fraction(0), []
    field = of.quantities[0].field
    for event in events:
        beside = [other for other in events if other["minutes"] == event["minutes"]]
        if rank(event, preferred) != min(rank(other, preferred) for other in beside):
            continue
        start, end = event["minutes"]
        if start == end:
            share = Fraction(int(day_of(start, event) == day))
        else:
            share = Fraction(sum(day_of(minute, event) == day for minute in range(start, end)), end - start)
        if share:
            total += share * Fraction(event["value"][field])
            used.append(event)
    return None if not used else {field: float(total), "sources": sources(used)}


def moments(of: Any, day: int, events: list, preferred: tuple) -> Any:
    field = of.quantities[0].field
    said = [
        (minute, number, event)
        for event in events
        for minute, number in samples(event, field)
        if day_of(minute, event) == day
    ]
    kept = [
        (number, event)
        for minute, number, event in said
        if rank(event, preferred) == min(rank(e, preferred) for m, _, e in said if m == minute)
    ]
    if not kept:
        return None
    numbers = [Fraction(number) for number, _ in kept]
    return {
        "mean": float(sum(numbers) / len(numbers)), "min": float(min(numbers)), "max": float(max(numbers)),
        "count": len(numbers), "sources": sources([event for _, event in kept]),
    }  # fmt: skip


def samples(event: dict[str, Any], field: str) -> list[tuple[int, float]]:
    if "samples" in event["value"]:
        return [(event["minutes"][0] + seconds // 60, number) for seconds, number in event["value"]["samples"]]
    return [(event["minutes"][0], event["value"][field])]


def longest(day: int, events: list, preferred: tuple) -> Any:
    ended = [event for event in events if day_of(event["minutes"][1], event) == day]
    if not ended:
        return None

    def order(event: dict[str, Any]) -> tuple:
        place, worn, name = rank(event, preferred)
        start, end = event["minutes"]
        return place, start - end, worn, name, start, event["id"]

    best = min(ended, key=order)
    start, end = best["minutes"]
    return {
        "start_time": iso(start * MINUTE_US), "end_time": iso(end * MINUTE_US), "duration_s": (end - start) * 60,
        "sources": sources([best]),
    }  # fmt: skip


def last(of: Any, day: int, events: list, preferred: tuple) -> Any:
    field = of.quantities[0].field
    said = [
        (minute, number, event)
        for event in events
        for minute, number in samples(event, field)
        if day_of(minute, event) == day
    ]
    if not said:
        return None
    if of.kind is TimeKind.DAILY:
        minute, number, event = min(said, key=lambda each: (rank(each[2], preferred), -each[0], each[2]["id"]))
        return {field: float(number), "sources": sources([event])}
    minute, number, event = min(said, key=lambda each: (-each[0], rank(each[2], preferred), each[2]["id"]))
    return {field: float(number), "at": iso(minute * MINUTE_US), "sources": sources([event])}


def sources(events: list) -> set[str]:
    return {source_of(event) for event in events}
