"""What status says beside the figures."""

import time

from healthsync_mqtt.cli.status import _HEADINGS, _installation, _line, _noteworthy

DAY_S = 86_400


def certificates(**changes: float) -> dict:
    far = time.time() + 100 * DAY_S
    return {"certificates": {"ca": far, "server": far, "clients": 3, "clients_ending": 0} | changes}


def test_nothing_to_note() -> None:
    assert list(_noteworthy(certificates())) == []
    assert list(_noteworthy({})) == []


def test_who_is_slowed_down_and_over_the_limit() -> None:
    shown = certificates() | {
        "limited": [{"kind": "client", "name": "alice-watch", "wait_s": 1.25}],
        "over_daily_limit": [{"user_id": "bob", "device_id": "ring", "events": 51_000}],
    }
    assert list(_noteworthy(shown)) == [
        ("slowed down", "client alice-watch, for 1.2 s more"),
        ("over the daily limit", "ring of bob: 51000 events"),
    ]


def test_sessions_that_are_not_kept() -> None:
    well = {"sessions": {"written": True, "dropped_messages": 0, "router_restarts": 0}}
    assert list(_noteworthy(certificates() | well)) == []
    ill = {"sessions": {"written": False, "dropped_messages": 3, "router_restarts": 1}}
    assert list(_noteworthy(certificates() | ill)) == [
        ("sessions", "sessions.db cannot be written; messages for others are not acknowledged until it can"),
        ("sessions", "3 messages found no room in their session"),
        ("router", "begun anew 1 times since the start"),
    ]


def test_a_quarantine_that_is_full() -> None:
    assert list(_noteworthy(certificates() | {"storage": {"quarantine_evicted": 0}})) == []
    (note,) = _noteworthy(certificates() | {"storage": {"quarantine_evicted": 12}})
    assert note == ("quarantine", "full: 12 refused events went, the oldest first; see: healthsync rejected list")


def test_a_clock_that_is_not_believed() -> None:
    (note,) = _noteworthy(certificates() | {"clock_ahead_s": 365 * DAY_S + 7})
    assert note[0] == "clock"
    assert note[1].startswith("365 days ahead of what was known; nothing is purged")


def test_certificates_that_end_soon() -> None:
    shown = certificates(server=time.time() + 13 * DAY_S, clients_ending=2)
    names, texts = zip(*_noteworthy(shown), strict=True)
    assert names == ("certificate", "certificate")
    assert texts[0].startswith("server ends on ")
    assert texts[1].startswith("2 of 3 clients'")


def test_a_gateway_that_does_not_serve_is_said() -> None:
    assert list(_noteworthy(certificates() | {"gateway": {"state": "running", "restarts": 1}})) == []
    (note,) = _noteworthy(certificates() | {"gateway": {"state": "failed", "restarts": 3}})
    assert note == ("gateway", "failed, started again 3 times; the log says why: gateway.process_ended")


def test_bridges_that_share_a_log_are_named_with_the_one_that_leads() -> None:
    assert list(_installation({"epoch": "ab12", "head": 7})) == []
    found = {"bridges": ["main", "second"], "leader": "second", "leads": False}
    found |= {"shipper": "main", "ships": True, "may_ship": True}
    shown = {"installation": found, "epoch": "ab12", "head": 7}
    assert list(_installation(shown)) == [
        ("bridges", "main, second"),
        ("leader", "second"),
        ("sinks run at", "main (this one)"),
        ("shared log", "epoch ab12, head 7"),
    ]
    shown["installation"] = found | {"leads": True}
    assert dict(_installation(shown))["leader"] == "second (this one)"
    shown["installation"] = found | {"bridges": [], "leader": ""}
    told = dict(_installation(shown))
    assert told["bridges"].startswith("none is known")
    assert told["leader"].startswith("none now")
    shown["installation"] = found | {"ships": False, "shipper": "third", "may_ship": False}
    assert dict(_installation(shown))["sinks run at"] == "third; their directory is not here"
    shown["installation"] = found | {"ships": False, "shipper": "", "may_ship": True}
    assert dict(_installation(shown))["sinks run at"].startswith("nobody now")


def test_each_process_of_an_installation_is_a_line() -> None:
    bridge = {
        "kind": "bridge", "name": "main", "host": "one", "release": "1.2", "state": "running", "age_s": 2.3,
        "started_at": "2026-11-28T10:00:00Z", "does": ["publish", "sinks", "insights"], "connections": 1, "stored": 7,
        "rejected": 2,
    }  # fmt: skip
    line = dict(zip(_HEADINGS, _line(bridge), strict=True))
    assert (line["state"], line["stored"], line["refused"]) == ("seen 2 s ago", 7, 2)
    assert line["does"] == "feeds subscribers, runs sinks, days and insights"
    gateway = {
        "kind": "gateway", "name": "healthsync-gateway", "host": "two", "release": "1.2", "state": "gone",
        "age_s": 1234.0, "started_at": "2026-11-28T10:00:00Z", "does": [], "connections": 3, "logins_refused": 4,
    }  # fmt: skip
    line = dict(zip(_HEADINGS, _line(gateway), strict=True))
    assert (line["state"], line["stored"], line["refused"], line["does"]) == ("gone, seen 21 min ago", None, 4, "")
