"""Rows of another log: what was a repeat, a correction, a deletion or purged there is the same here."""

from pathlib import Path

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.storage.takeover import take_over
from healthsync_mqtt.testing.log_items import NOW_US, item


def test_everything_of_a_user_goes_along_and_nothing_of_others(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with open_log(tmp_path / "one") as log:
        log.stage([item("a"), item("x", "bob"), item("old"), item("b")], [], NOW_US)
        log.commit()
        log.stage([item("a", version=2), item("b", version=1, op=Op.DELETE)], [], NOW_US + 5)
        log.commit()
        log.purge("heart_rate", NOW_US + 1, [3])
        log.commit()
    one, two = tmp_path / "one", tmp_path / "two"
    with open_log(two) as log, open_reader(two) as own, open_reader(one) as other:
        log.stage([item("mine", "carol")], [], NOW_US)
        log.commit()
        for name, seq in {"canonical": 1, "behind": 0, "sink:main": 1, "clock:goes_by": NOW_US}.items():
            log.set_cursor(name, seq)
        log.commit()
        for new in (5, 0):
            assert take_over(log, own, other, {"alice"}.__contains__, ["heart_rate", "weight"]) == new
        rows = own.read(1, 99, history=True)
        assert [(row.user, row.id, row.version, row.op, row.received_us, row.position) for row in rows] == [
            ("alice", "a", 0, 0, NOW_US, 1),
            ("alice", "b", 0, 0, NOW_US, 3),
            ("alice", "a", 2, 0, NOW_US + 5, 4),
            ("alice", "b", 1, 1, NOW_US + 5, 5),
        ]
        old = own.find("alice", "old")
        assert old is not None
        assert old.body == b""
        assert own.purged_before("heart_rate") == NOW_US + 1
        assert own.purged_before("weight") is None
        assert own.cursors() == {"behind": 0, "canonical": 6, "clock:goes_by": NOW_US, "sink:main": 1}
        repeats = [item("a"), item("a", version=1), item("b", version=1), item("old")]
        assert log.stage(repeats, [], NOW_US) == [0, 0, 0, 0]
        assert {seq: len(rows) for seq, rows in own.superseded_by(1, 99).items()} == {5: 1, 6: 1}
        assert own.find("bob", "x") is None
