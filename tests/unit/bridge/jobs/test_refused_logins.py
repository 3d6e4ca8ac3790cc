"""Refused logins: counted with the name they claimed, few rows, none lost when a file cannot be written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.jobs.refused_logins import RefusedLogins
from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.login import refused_logins
from healthsync_mqtt.identity.registry import Registry

NOW_US = 1_800_000_000_000_000


class House:
    """A registry with alice's watch, its audit log, and the job."""

    def __init__(self, root: Path) -> None:
        self.registry = Registry.open(root / "registry.db")
        self.registry.add_user("alice", "all", NOW_US)
        self.registry.add_device("alice", "watch", NOW_US)
        self.audit = AuditLog.open(root / "audit.db", root / "keys" / "audit.key")
        self.now_us = NOW_US
        self.job = RefusedLogins(self.audit, self.registry, clock_us=lambda: self.now_us)

    def rows(self) -> list[dict[str, object]]:
        return [dict(row.detail) for row in self.audit.rows() if row.action == "login.refused"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.registry.close()


def test_the_last_refusals_of_a_device_are_kept_with_time_address_and_reason(house: House) -> None:
    for seconds in (0, 7):
        house.now_us = NOW_US + seconds * 1_000_000
        house.job.note("the token has expired", "192.0.2.7", "alice-watch")
        house.job.flush()
    house.now_us += 1
    house.job.note("the token is revoked", "192.0.2.8", "alice-watch")
    house.job.flush()
    found = house.registry.refused_logins.of("alice-watch")
    assert [(each.reason, each.address, each.count) for each in found] == [
        ("the token is revoked", "192.0.2.8", 1),
        ("the token has expired", "192.0.2.7", 2),
    ]
    assert (found[1].first_us, found[1].last_us) == (NOW_US, NOW_US + 7_000_000)
    assert house.registry.refused_logins.since(NOW_US + 7_000_001) == found[:1]
    assert [row["count"] for row in house.rows()] == [1, 1, 1]
    assert house.rows()[0]["clients"] == 1


@pytest.mark.parametrize("claimed", ["nobody-here", "", "alice/watch", "#", "x" * 65, "\u202e"])
def test_names_that_nobody_has_are_counted_and_not_kept(house: House, claimed: str) -> None:
    house.job.note("the token has expired", "192.0.2.7", claimed)
    house.job.flush()
    assert house.registry.refused_logins.since(0) == []
    assert [row["count"] for row in house.rows()] == [1]


def test_a_flood_of_names_and_addresses_makes_few_rows_and_loses_no_count(house: House) -> None:
    for number in range(5_000):
        house.job.note("the token has expired", f"192.0.2.{number % 250}", f"n{number}")
    house.job.flush()
    assert len(house.rows()) <= 21
    assert sum(int(str(row["count"])) for row in house.rows()) == 5_000


def test_of_one_name_and_in_all_the_newest_stay(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_logins, "MOST", 25)
    house.registry.add_device("alice", "phone", NOW_US)
    for name in ("alice-watch", "alice-phone"):
        for number in range(30):
            house.now_us += 1
            house.job.note("the token has expired", f"192.0.2.{number}", name)
        house.job.flush()
    phone, watch = (house.registry.refused_logins.of(name) for name in ("alice-phone", "alice-watch"))
    assert [each.address for each in phone] == [f"192.0.2.{number}" for number in range(29, 9, -1)]
    assert [each.address for each in watch] == [f"192.0.2.{number}" for number in range(29, 24, -1)]


def test_what_could_not_be_written_is_written_later_and_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_refused: object) -> None:
        raise StoreError("no space")

    house.job.note("the token has expired", "192.0.2.7", "alice-watch")
    with monkeypatch.context() as patched:
        patched.setattr(house.registry.refused_logins, "note", full)
        with pytest.raises(StoreError):
            house.job.flush()
    house.job.note("the token has expired", "192.0.2.7", "alice-watch")
    house.job.flush()
    house.job.flush()
    assert [each.count for each in house.registry.refused_logins.of("alice-watch")] == [2]
    assert [row["count"] for row in house.rows()] == [2]


def test_notes_that_others_left_behind_are_carried(house: House) -> None:
    with house.registry.write():
        house.registry.audit_outbox.note("user.added", actor="os:root", now_us=NOW_US)
    house.job.flush()
    assert [row.action for row in house.audit.rows()] == ["user.added"]
