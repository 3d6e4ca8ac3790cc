"""Apps of the service in the test's own process, and long messages for them."""

import json
import time
from datetime import UTC, datetime, timedelta

from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.model.declaration import NOTHING_DECLARED, Declared
from tests.support.inprocess import House
from tests.support.peer import Identity

MINUTES = Declared(bucket_s=60)
_BYTES_A_MINUTE = 280


def app(
    house: House,
    name: str = "phone",
    form: str = "health_auto_export",
    *,
    user: str = "alice",
    declared: Declared = NOTHING_DECLARED,
) -> Identity:
    """An app of a user's, with its password."""
    found, password, now_us = house.device(user, name), new_password(), time.time_ns() // 1000
    house.registry.apps.add(house.registry.device(user, name), [form], declared, hashed_password(password), now_us)
    house.look()
    return Identity(client_id=found.client_id, token=password, user=user, device=name)


def topic(who: Identity, form: str = "health_auto_export") -> str:
    return f"users/{who.user}/devices/{who.device}/formats/{form}"


def exported(minutes: int, extra: int = 0, *, days: int = 0) -> bytes:
    """What Health Auto Export sends of so many minutes, from so many days on: three values each, some 300 bytes."""
    began = datetime(2016, 5, 1, tzinfo=UTC) + timedelta(days=days)
    dates = [(began + timedelta(minutes=n)).strftime("%Y-%m-%d %H:%M:%S +0000") for n in range(minutes)]
    watch = "Ann's Apple Watch"
    rates = [{"date": date, "Min": 58, "Avg": 64.5 + extra, "Max": 90, "source": watch} for date in dates]
    steps = [{"date": date, "qty": 12.5 + extra, "source": f"{watch}|Ann's iPhone"} for date in dates]
    energy = [{"date": date, "qty": 4.25 + extra, "source": watch} for date in dates]
    metrics = [
        {"name": "heart_rate", "units": "count/min", "data": rates},
        {"name": "step_count", "units": "count", "data": steps},
        {"name": "active_energy", "units": "kJ", "data": energy},
    ]
    return json.dumps({"data": {"metrics": metrics}}).encode()


def night() -> bytes:
    """What it sends of a night, of which the format remembers the beginning."""
    day, watch = "2026-05-03", "Ann's Apple Watch"
    rows = [
        {"startDate": f"{day} 0{hour}:00:00 +0000", "endDate": f"{day} 0{hour + 1}:00:00 +0000"}
        | {"qty": 1, "value": stage, "source": watch}
        for hour, stage in enumerate(("Core", "Deep", "REM"))
    ]
    metrics = [{"name": "sleep_analysis", "units": "hr", "data": rows}]
    return json.dumps({"data": {"metrics": metrics}}).encode()


def minutes_of(size: int) -> int:
    """Minutes of which ``exported`` is at least so long."""
    return size // _BYTES_A_MINUTE + 1
