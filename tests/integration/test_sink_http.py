"""A sink against the scripted server, over real HTTP: every answer, every way of not answering."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from healthsync_mqtt.model.event import Op
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.shipper import SinkPhase
from tests.support import influx_double as canned
from tests.support.influx_double import InfluxDouble, Reply
from tests.support.sink import NOW_US, Rig, bpm, event, pulses


def test_events_arrive_and_the_cursor_follows(rig: Rig, server: InfluxDouble) -> None:
    rig.store(*pulses(250))
    assert rig.ship() is SinkPhase.IDLE
    assert bpm(server) == [60.0 + place % 90 for place in range(250)]
    assert rig.kept == [250]
    request = server.requests[0]
    assert request.path == "/api/v2/write"
    assert request.query == {"org": "-", "bucket": "healthsync", "precision": "ns"}
    assert request.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("dialect", "path", "query"),
    [
        ("v3", "/api/v3/write_lp",
         {"db": "healthsync", "precision": "nanosecond", "accept_partial": "true", "no_sync": "false"}),
        ("v1", "/write", {"db": "healthsync", "precision": "ns"}),
    ],
)  # fmt: skip
def test_the_other_dialects(rigs, server: InfluxDouble, dialect: str, path: str, query: dict) -> None:
    server.version = {"v3": "3.6.0", "v1": "1.6.7"}[dialect]
    rig = rigs(dialect=dialect)
    rig.store(*pulses(3))
    rig.ship()
    assert (server.requests[0].path, server.requests[0].query) == (path, query)
    assert len(bpm(server)) == 3


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SINK_TOKEN", "s3cr3t-t0ken")


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(("dialect", "scheme"), [("v2", "Token"), ("v3", "Bearer"), ("v1", "Token")])
def test_the_token_goes_into_the_header_and_nowhere_else(
    rigs, server: InfluxDouble, capfd, dialect: str, scheme: str
) -> None:
    rig = rigs(dialect=dialect, token={"env": "SINK_TOKEN"})
    server.script = [canned.UNAUTHORIZED]
    rig.store(*pulses(1))
    rig.ship()
    assert server.requests[0].headers["authorization"] == f"{scheme} s3cr3t-t0ken"
    assert "s3cr3t" not in json.dumps([rig.shipper.status(), server.requests[0].query]) + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (canned.UNAUTHORIZED, "unauthorized"), (canned.FORBIDDEN, "forbidden"), (canned.NO_BUCKET, "not_found"),
        (canned.V1_NO_DATABASE, "not_found"), (canned.LOGIN_PAGE, "unexpected_answer"),
        (canned.REDIRECT, "unexpected_answer"), (canned.NOT_INFLUX, "unexpected_answer"),
    ],
)  # fmt: skip
def test_what_an_operator_must_mend_pauses_and_goes_on_when_mended(
    rig: Rig, server: InfluxDouble, reply: Reply, reason: str
) -> None:
    server.script = [reply]
    rig.store(*pulses(20))
    assert rig.ship() is SinkPhase.PAUSED
    status = rig.shipper.status()
    assert (status["reason"], status["lag"], bool(status["fix"])) == (reason, 20, True)
    assert (rig.kept, rig.ledger.refused_count()) == ([], 0)
    assert rig.later(29) is SinkPhase.PAUSED
    assert len(server.requests) == 1
    assert rig.later(2) is SinkPhase.IDLE
    assert len(bpm(server)) == 20
    assert rig.shipper.status()["reason"] == ""


@pytest.mark.parametrize(
    ("reply", "reason", "least_s"),
    [
        (canned.RATE_LIMITED, "rate_limited", 30), (canned.BUSY, "unavailable", 7),
        (canned.BROKEN, "unavailable", 0.25),
        (canned.BAD_GATEWAY, "unavailable", 0.25), (canned.RESET, "reset", 0.25), (canned.CLOSE, "reset", 0.25),
        (canned.STORED_THEN_RESET, "reset", 0.25),
    ],
)  # fmt: skip
def test_what_passes_by_itself_is_waited_for(
    rig: Rig, server: InfluxDouble, reply: Reply, reason: str, least_s: float
) -> None:
    server.script = [reply, reply]
    rig.store(*pulses(20))
    assert rig.ship() is SinkPhase.WAITING
    assert rig.shipper.status()["reason"] == reason
    assert rig.later(least_s * 0.99) is SinkPhase.WAITING
    assert len(server.requests) == 1
    assert rig.later(least_s + 1) is SinkPhase.WAITING
    assert rig.later(100) is SinkPhase.IDLE
    assert bpm(server) == [60.0 + place for place in range(20)]
    assert rig.kept == [20]


@pytest.mark.parametrize("reply", [canned.HANG, canned.DRIP])
def test_a_server_that_hangs_or_trickles_is_left_at_the_deadline(rigs, server: InfluxDouble, reply: Reply) -> None:
    rig = rigs(timeout_s=0.3)
    server.script = [reply]
    rig.store(*pulses(5))
    assert rig.ship() is SinkPhase.WAITING
    assert rig.shipper.status()["reason"] == "timeout"
    assert rig.later(10) is SinkPhase.IDLE
    assert len(bpm(server)) == 5


def test_nobody_listens(rigs, tmp_path: Path) -> None:
    rig = Rig(tmp_path, "http://127.0.0.1:9")
    rig.store(*pulses(5))
    assert rig.ship() is SinkPhase.WAITING
    assert rig.shipper.status()["reason"] == "unreachable"
    rig.close()


def test_waits_grow_and_are_bounded(rig: Rig, server: InfluxDouble) -> None:
    server.always = lambda _request: canned.BROKEN
    rig.store(*pulses(1))
    rig.ship()
    times = []
    for _ in range(1000):
        before = len(server.requests)
        rig.later(0.5)
        if len(server.requests) > before:
            times.append(rig.now)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert max(waits) == 60.0


def bad(line: str) -> bool:
    return "bpm=66.0" in line or "bpm=83.0" in line


def refuse_as_v2(request: canned.Request) -> Reply:
    found = [line for line in request.lines if bad(line)]
    return canned.v2_parse_error(found) if found else canned.NO_CONTENT


def refuse_as_v2_partly(request: canned.Request) -> Reply:
    found = [line for line in request.lines if bad(line)]
    conflict = 'input field "bpm" on measurement "heart_rate" is type float, already exists as type integer'
    why = f"field type conflict: {conflict}"
    return canned.v2_partial(why, len(found), lambda line: not bad(line)) if found else canned.NO_CONTENT


def refuse_as_v3(request: canned.Request) -> Reply:
    found = [(place + 1, line, "invalid column type") for place, line in enumerate(request.lines) if bad(line)]
    return canned.v3_partial(found, lambda line: not bad(line)) if found else canned.NO_CONTENT


def refuse_with_a_wrong_number(request: canned.Request) -> Reply:
    if any(map(bad, request.lines)):
        return Reply(400, '{"code":"invalid","message":"failed to parse line protocol","line":1}')
    return canned.NO_CONTENT


def refuse_without_a_word(request: canned.Request) -> Reply:
    return (
        Reply(400, '{"code":"invalid","message":"partial write"}')
        if any(map(bad, request.lines))
        else canned.NO_CONTENT
    )


@pytest.mark.parametrize(
    ("answers", "most"),
    [
        (refuse_as_v2, 5), (refuse_as_v2_partly, 30), (refuse_as_v3, 3), (refuse_with_a_wrong_number, 200),
        (refuse_without_a_word, 30),
    ],
)  # fmt: skip
def test_exactly_the_refused_lines_are_kept_aside(rig: Rig, server: InfluxDouble, answers, most: int) -> None:
    server.always = answers
    rig.store(*pulses(90))
    assert rig.ship() is SinkPhase.IDLE
    assert bpm(server) == [60.0 + place for place in range(90) if place not in {6, 23}]
    assert sorted(refusal.seq for refusal in rig.ledger.refused()) == [7, 24]
    assert rig.kept == [90]
    assert len(server.requests) <= most
    assert "66.0" not in str(rig.ledger.refused())


def test_a_whole_batch_outside_the_retention_costs_one_request(rig: Rig, server: InfluxDouble) -> None:
    server.always = lambda request: canned.v2_partial(
        "points beyond retention policy", len(request.lines), lambda _line: False
    )
    rig.store(*pulses(500))
    assert rig.ship() is SinkPhase.IDLE
    assert (len(server.requests), rig.ledger.refused_count(), rig.kept) == (1, 500, [500])
    assert rig.ledger.refused()[0].reason == "outside_retention"


def test_too_large_is_halved_until_it_fits(rig: Rig, server: InfluxDouble) -> None:
    server.always = lambda request: canned.TOO_LARGE if len(request.lines) > 10 else canned.NO_CONTENT
    rig.store(*pulses(90))
    assert rig.ship() is SinkPhase.IDLE
    assert len(bpm(server)) == 90
    assert rig.ledger.refused_count() == 0


def test_batches_are_bounded_by_bytes(rigs, server: InfluxDouble) -> None:
    rig = rigs(batch_bytes=2000)
    rig.store(*pulses(90))
    rig.ship()
    assert max(len(request.body) for request in server.requests) <= 2000
    assert len(bpm(server)) == 90


def test_a_few_rows_wait_for_more_and_not_for_ever(rigs, server: InfluxDouble) -> None:
    rig = rigs(flush_s=1.0)
    rig.store(*pulses(3))
    rig.ship()
    rig.later(0.5)
    assert not server.requests
    rig.store(*pulses(3, first=3))
    rig.later(0.6)
    assert [len(request.lines) for request in server.requests] == [6]


def test_a_crash_after_the_write_writes_the_same_points_again(rig: Rig, server: InfluxDouble) -> None:
    rig.store(*pulses(50))
    rig.ship()
    points = dict(server.points)
    rig.kept.clear()
    rig.restart()
    assert rig.ship() is SinkPhase.IDLE
    assert server.points == points
    assert set(server.writes.values()) == {2}


@pytest.mark.parametrize("deletes", ["delete", "mark"])
def test_a_later_version_overwrites_its_point(rigs, server: InfluxDouble, deletes: str) -> None:
    rig = rigs(deletes=deletes)
    rig.store(event("a", {"bpm": 70}), event("b", {"bpm": 71}))
    rig.ship()
    rig.store(event("a", {"bpm": 80}, version=1))
    rig.ship()
    assert sorted(bpm(server)) == [71.0, 80.0]
    assert not [request for request in server.requests if request.path != "/api/v2/write"]


def test_a_later_version_moves_its_point(rig: Rig, server: InfluxDouble) -> None:
    rig.store(event("a", {"bpm": 70}), event("b", {"bpm": 71}))
    rig.ship()
    rig.store(event("a", {"bpm": 80}, version=1, start_us=NOW_US + 10_000_000))
    rig.ship()
    assert bpm(server) == [71.0, 80.0]
    (deletion,) = [request for request in server.requests if request.path == "/api/v2/delete"]
    assert (
        json.loads(deletion.body)["predicate"]
        == '"_measurement"="heart_rate" AND "device"="watch" AND "user"="s-alice"'
    )


def test_a_later_version_with_fewer_fields_leaves_none_behind(rig: Rig, server: InfluxDouble) -> None:
    rig.store(event("a", {"systolic": 120, "diastolic": 80, "pulse": 60}, "blood_pressure"))
    rig.ship()
    rig.store(event("a", {"systolic": 121, "diastolic": 81}, "blood_pressure", version=1))
    rig.ship()
    assert list(server.points.values()) == [{"systolic": 121.0, "diastolic": 81.0}]


def test_a_tombstone_deletes_all_points_of_its_event(rig: Rig, server: InfluxDouble) -> None:
    samples = {"samples": [[0, 72], [1, 73], [2, 74]]}
    rig.store(event("a", samples), event("b", {"bpm": 71}))
    rig.ship()
    rig.store(event("a", op=Op.DELETE))
    assert rig.ship() is SinkPhase.IDLE
    assert bpm(server) == [71.0]


def test_where_nothing_can_be_deleted_a_tombstone_marks(rigs, server: InfluxDouble) -> None:
    server.version = "3.6.0"
    rig = rigs(deletes="mark", dialect="v3")
    rig.store(event("a", {"bpm": 70}), event("b", {"bpm": 71}))
    rig.ship()
    rig.store(event("a", op=Op.DELETE))
    rig.ship()
    assert sorted(str(fields) for fields in server.points.values()) == [
        "{'bpm': 70.0, 'deleted': True}",
        "{'bpm': 71.0}",
    ]
    rig.store(event("a", {"bpm": 75}, version=1))
    rig.ship()
    assert {"bpm": 75.0, "deleted": False} in server.points.values()


def test_a_chain_of_versions_that_were_never_all_shipped_leaves_one_point(rig: Rig, server: InfluxDouble) -> None:
    rig.store(event("a", {"bpm": 70}))
    rig.ship()
    rig.store(event("a", {"bpm": 71}, version=1, start_us=NOW_US + 1_000_000))
    rig.store(event("a", {"bpm": 72}, version=2, start_us=NOW_US + 2_000_000))
    rig.ship()
    assert bpm(server) == [72.0]


def cannot_delete(request: canned.Request) -> Reply:
    return Reply(404, "not found") if request.path == "/api/v2/delete" else canned.NO_CONTENT


def test_a_deletion_that_the_server_refuses_is_owed_and_stops_nobody(rig: Rig, server: InfluxDouble) -> None:
    rig.store(event("a"), event("b", {"bpm": 71}))
    rig.ship()
    server.always = cannot_delete
    rig.store(event("a", op=Op.DELETE))
    rig.store(event("c", {"bpm": 73}))
    assert rig.ship() is SinkPhase.IDLE
    assert rig.kept[-1] == rig.log.head()
    assert sorted(bpm(server)) == [71.0, 72.0, 73.0]
    assert rig.shipper.status()["owed_deletions"] == 1
    assert rig.shipper.status()["owed_reason"] == "cannot_delete: not found"
    server.always = None
    for _ in range(3):
        rig.later(61)
    assert sorted(bpm(server)) == [71.0, 73.0]
    assert rig.shipper.status()["owed_deletions"] == 0


def test_a_point_that_came_back_is_not_lost_to_an_owed_deletion(rig: Rig, server: InfluxDouble) -> None:
    rig.store(event("a", {"bpm": 70}))
    rig.ship()
    server.always = cannot_delete
    rig.store(event("a", op=Op.DELETE))
    rig.ship()
    rig.store(event("a", {"bpm": 75}, version=1))
    rig.ship()
    server.always = None
    for _ in range(3):
        rig.later(61)
    assert bpm(server) == [75.0]
    assert rig.shipper.status()["owed_deletions"] == 0


def test_a_hundred_thousand_samples_of_one_second_are_as_many_points(rig: Rig, server: InfluxDouble) -> None:
    """100 events in each millisecond of one series: some ids share their digits and are moved apart."""
    count = 100_000
    for start in range(0, count, 10_000):
        events = [event(f"e{place}", start_us=NOW_US + place // 100 * 1000) for place in range(start, start + 10_000)]
        rig.store(*events)
    rig.ship()
    assert len(server.points) == count
    moved = dict(rig.ledger._displaced)
    assert moved
    points = dict(server.points)
    rig.kept[:] = [count - 5000]
    rig.restart()
    rig.ship()
    assert server.points == points
    assert rig.ledger._displaced == moved


def test_many_sources_of_one_device_stay_within_the_budget_of_series(rigs, server: InfluxDouble) -> None:
    rig = rigs(series_budget=15)
    for place in range(300):
        rig.store(event(f"e{place}", source={"provider": f"app-{place}", "recording": f"r{place}"}))
    for place in range(300):
        rig.store(event(f"d{place}"), device=f"dev-{place}")
    rig.ship()
    assert len(server.points) == 600
    assert len({key[:2] for key in server.points}) <= 16
    assert rig.shipper.status()["users_over_series_budget"] == 1


def test_an_event_that_cannot_be_mapped_holds_up_nobody(rig: Rig, server: InfluxDouble) -> None:
    rig.store(event("a"), event("b", {"bpm": "seventy"}), event("c"))
    assert rig.ship() is SinkPhase.IDLE
    assert len(server.points) == 2
    assert [(refusal.seq, refusal.reason) for refusal in rig.ledger.refused()] == [(2, "unmappable")]


def test_pause_and_resume_by_the_operator(rig: Rig, server: InfluxDouble) -> None:
    rig.store(*pulses(3))
    rig.shipper.wake(rig.config.model_copy(update={"paused": True}))
    assert rig.ship() is SinkPhase.PAUSED
    assert rig.shipper.status()["reason"] == "paused_by_operator"
    assert rig.later(100) is SinkPhase.PAUSED
    assert not server.requests
    rig.shipper.wake(rig.config)
    assert rig.ship() is SinkPhase.IDLE
    assert len(server.points) == 3


def test_a_missing_token_pauses(rigs, monkeypatch: pytest.MonkeyPatch, server: InfluxDouble) -> None:
    monkeypatch.delenv("SINK_TOKEN", raising=False)
    rig = rigs(token={"env": "SINK_TOKEN"})
    rig.store(*pulses(3))
    assert rig.ship() is SinkPhase.PAUSED
    assert rig.shipper.status()["reason"] == "no_token"
    monkeypatch.setenv("SINK_TOKEN", "t")
    assert rig.later(31) is SinkPhase.IDLE


def test_a_long_outage_only_grows_the_lag(rig: Rig, server: InfluxDouble) -> None:
    server.always = lambda _request: canned.BUSY
    for hour in range(24):
        rig.store(*pulses(100, first=hour * 100))
        assert rig.later(3600) is SinkPhase.WAITING
        assert rig.shipper.status()["lag"] == (hour + 1) * 100
    server.always = None
    assert rig.later(100) is SinkPhase.IDLE
    assert (len(server.points), rig.kept[-1]) == (2400, 2400)


def test_line_of_delete_is_to_the_nanosecond(rig: Rig, server: InfluxDouble) -> None:
    influx = rig._connect()
    influx.delete(Line("heart_rate,user=a", "bpm=1.0", 1_790_000_000_000_000_123))
    sent = json.loads(server.requests[0].body)
    assert sent["start"] == sent["stop"] == "2026-09-21T14:13:20.000000123Z"
