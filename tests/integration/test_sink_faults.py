"""A sink while something is broken: no point of a deleted event stays, no line is lost, nobody is stopped."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import healthsync_mqtt
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.event import Op
from healthsync_mqtt.sinks.influx.http import Influx
from healthsync_mqtt.sinks.influx.readback import Readback
from healthsync_mqtt.sinks.series import PROVIDERS
from healthsync_mqtt.sinks.shipper import SinkPhase
from tests.support import influx_double as canned
from tests.support.influx_double import InfluxDouble, Reply, Request
from tests.support.sink import NOW_US, Rig, bpm, event, pulses


class BetweenPages:
    """A reader in whose reads something is committed after the first page."""

    def __init__(self, reader: Any, then) -> None:
        self._reader = reader
        self._then = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, *arguments: Any, **options: Any) -> Any:
        rows = self._reader.read(*arguments, **options)
        if self._then is not None:
            then, self._then = self._then, None
            then()
        return rows


def test_a_tombstone_between_two_pages_of_a_chunk_leaves_no_point(rig: Rig, server: InfluxDouble) -> None:
    rig.store(*pulses(300))
    doomed = [event(f"e{place}", op=Op.DELETE, start_us=NOW_US + place * 1_000_000) for place in range(300)]
    rig.reader = BetweenPages(rig.log.reader(), lambda: rig.store(*doomed))
    rig.restart()
    rig.ship()
    assert rig.log.head() == 600
    assert server.points == {}


# -- answers that are not the server's


def test_a_proxys_400_after_a_204_refuses_no_line(rig: Rig, server: InfluxDouble) -> None:
    rig.store(*pulses(1))
    rig.ship()
    html = Reply(400, "<html><body>400 Bad Request</body></html>", (("Content-Type", "text/html"),))
    server.script = [html] * 3
    rig.store(*pulses(200, first=1))
    assert rig.ship() is SinkPhase.PAUSED
    assert (rig.kept[-1], rig.ledger.refused_count(), rig.shipper.status()["lag"]) == (1, 0, 200)
    for _ in range(4):
        rig.later(31)
    assert (len(server.points), rig.ledger.refused_count(), rig.kept[-1]) == (201, 0, 201)


def poisoned(request: Request) -> Reply:
    """A server that fails on one line of heart rate 66, in its own words, without naming it."""
    if any("bpm=66.0" in line for line in request.lines):
        return Reply(500, '{"code":"internal error","message":"panic: index out of range"}', canned._JSON)
    return canned.NO_CONTENT


def test_a_line_that_the_server_fails_on_is_kept_aside_after_a_while_and_tried_again(
    rig: Rig, server: InfluxDouble
) -> None:
    server.always = poisoned
    rig.store(*pulses(90))
    assert rig.ship() is SinkPhase.WAITING
    assert "panic" in rig.shipper.status()["message"]
    for _ in range(40):
        rig.later(61)
    assert bpm(server) == [60.0 + place for place in range(90) if place != 6]
    assert [(one.seq, one.reason, one.status) for one in rig.ledger.refused()] == [(7, "server_error", 500)]
    assert rig.kept[-1] == 90
    server.always = None
    for _ in range(10):
        rig.later(22_000)
    assert len(bpm(server)) == 90
    assert rig.ledger.refused_count() == 0


def test_a_server_that_fails_on_everything_loses_no_line(rig: Rig, server: InfluxDouble) -> None:
    broken = Reply(500, '{"code":"internal error","message":"[shard 4] write /var: no space left on device"}')
    server.always = lambda _request: broken
    rig.store(*pulses(50))
    for _ in range(60):
        assert rig.later(61) is SinkPhase.WAITING
    assert (rig.ledger.refused_count(), rig.kept) == (0, [])
    server.always = None
    for _ in range(3):
        rig.later(61)
    assert len(server.points) == 50


def test_2_0_answers_500_for_retention_and_the_good_lines_go_on(rig: Rig, server: InfluxDouble) -> None:
    def answer(request: Request) -> Reply:
        old = [line for line in request.lines if "bpm=66.0" in line]
        if not old:
            return canned.NO_CONTENT
        words = "unexpected error writing points to database: partial write: points beyond retention policy"
        body = json.dumps({"code": "internal error", "message": f"{words} dropped={len(old)}"})
        return Reply(500, body, canned._JSON, lambda line: line not in old)

    server.always = answer
    rig.store(*pulses(90))
    assert rig.ship() is SinkPhase.IDLE
    assert len(bpm(server)) == 89
    assert [(one.seq, one.reason) for one in rig.ledger.refused()] == [(7, "outside_retention")]


def test_what_was_refused_and_is_accepted_later_is_forgotten(rig: Rig, server: InfluxDouble) -> None:
    server.always = lambda request: canned.v2_partial("points beyond retention policy", len(request.lines), bool)
    rig.store(*pulses(5))
    rig.ship()
    assert rig.ledger.refused_count() == 5
    server.always = None
    rig.kept[:] = [0]
    rig.restart()
    rig.ship()
    assert (rig.ledger.refused_count(), len(server.points)) == (0, 5)


# -- a server that loses what it acknowledged


def test_after_a_restart_of_the_server_what_it_may_have_lost_is_sent_again(rigs, server: InfluxDouble) -> None:
    rig = rigs(settle_s=20.0)
    rig.store(*pulses(10))
    rig.ship()
    server.restart()
    server.points.clear()  # killed, and what it had in memory is gone
    rig.later(5)
    assert server.points == {}
    for _ in range(6):
        rig.later(5)
    assert len(server.points) == 10
    assert rig.kept[-1:] != [10]
    for _ in range(6):
        rig.later(5)
    assert rig.kept[-1] == 10


def test_an_idle_sink_hears_that_its_server_is_gone(rigs, server: InfluxDouble) -> None:
    rig = rigs(settle_s=20.0)
    rig.store(*pulses(3))
    rig.ship()
    server.always = lambda _request: canned.RESET
    for _ in range(5):
        rig.later(5)
    assert (rig.shipper.phase, rig.kept) == (SinkPhase.WAITING, [])


# -- deletions


@pytest.mark.parametrize("type_name", ["heart_rate", "sleep", "blood_pressure"])
def test_2_7_deletes_what_a_tombstone_names(rig: Rig, server: InfluxDouble, type_name: str) -> None:
    stage = {"stage": "deep", "start_time": "2026-09-21T14:13:20Z", "end_time": "2026-09-21T15:13:20Z"}
    value = {
        "heart_rate": {"bpm": 72}, "sleep": {"stages": [stage]}, "blood_pressure": {"systolic": 120, "diastolic": 80},
    }[type_name]  # fmt: skip
    rig.store(event("a", value, type_name, end_us=NOW_US + 7_200_000_000))
    rig.ship()
    assert server.points
    rig.store(event("a", type_name=type_name, op=Op.DELETE))
    assert rig.ship() is SinkPhase.IDLE
    assert server.points == {}
    for request in server.requests:
        if request.path == "/api/v2/delete":
            assert all(term.startswith('"') for term in json.loads(request.body)["predicate"].split(" AND "))


def test_a_statement_that_1_x_did_not_run_is_not_taken_for_done(rigs, server: InfluxDouble) -> None:
    server.version = "1.6.7"
    rig = rigs(dialect="v1")
    rig.store(event("a"))
    rig.ship()
    server.always = lambda request: (
        Reply(200, '{"results":[{"statement_id":0,"error":"shard 1: engine is closed"}]}\n')
        if request.path == "/query"
        else canned.NO_CONTENT
    )
    rig.store(event("a", op=Op.DELETE))
    rig.ship()
    assert rig.shipper.status()["owed_deletions"] == 1
    server.always = None
    for _ in range(3):
        rig.later(61)
    assert server.points == {}


def test_deleting_an_event_whose_body_was_purged_takes_its_point_and_says_what_it_could_not(
    rig: Rig, server: InfluxDouble
) -> None:
    series = {"samples": [[0, 72], [1, 73]]}
    rig.store(event("a", source={"provider": "healthkit"}), event("s", series, start_us=NOW_US + 5_000_000))
    rig.ship()
    rig.log.purge("heart_rate", NOW_US + 10_000_000, [1, 2])
    rig.log.commit()
    rig.store(event("a", op=Op.DELETE), event("s", op=Op.DELETE))
    rig.ship()
    assert bpm(server) == [73.0]
    assert {(one.seq, one.reason) for one in rig.ledger.refused()} == {(3, "purged"), (4, "purged")}


@pytest.mark.parametrize("budgets", [(15, 400), (400, 15)])
def test_a_change_of_the_series_budget_hides_no_point_from_erasure(
    rigs, server: InfluxDouble, budgets: tuple[int, int]
) -> None:
    rig = rigs(series_budget=budgets[0])
    for place in range(30):
        rig.store(event(f"d{place}"), device=f"dev-{place}")
    rig.ship()
    assert len(server.points) == 30
    rig.close()
    later = rigs(series_budget=budgets[1])
    later.log, later.kept = rig.log, rig.kept
    later.reader = later.log.reader()
    later.restart()
    for place in range(30):
        later.store(event(f"d{place}", op=Op.DELETE), device=f"dev-{place}")
    later.ship()
    assert server.points == {}


# -- consent and names


def test_only_what_consent_covers_now_is_shipped(rig: Rig, server: InfluxDouble) -> None:
    rig.store(*pulses(5))
    rig.permit = lambda record: record.seq > 3
    rig.ship()
    assert len(server.points) == 2
    rig.store(event("e4", op=Op.DELETE))
    rig.permit = lambda _record: False
    rig.ship()
    assert len(server.points) == 1


def test_providers_that_our_own_code_writes_are_in_the_closed_set() -> None:
    root = Path(healthsync_mqtt.__file__).parent
    written: set[str] = set()
    for path in [*root.rglob("formats/**/*.py"), *root.rglob("adapters/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                written |= {
                    value.value
                    for key, value in pairs
                    if isinstance(key, ast.Constant) and key.value == "provider" and isinstance(value, ast.Constant)
                }
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Scribe":
                written |= {
                    part.value
                    for part in ast.walk(node.args[2])
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }
    assert {"garmin_fit", "healthkit", "withings"} <= written
    assert written - PROVIDERS == set()


# -- reading back


def test_strings_and_booleans_are_read_back_from_2_x(rigs, server: InfluxDouble) -> None:
    rig = rigs()
    server.store(['sleep_stage,user=u stage="deep",level=8.0,deleted=false 1790000000000000001'])
    influx = Influx(rig.config, None)
    found = Readback(influx, "v2", "healthsync").read("sleep_stage", "u", 0, 2 * 10**18)
    influx.close()
    assert {sample.field: value for sample, value in found.items()} == {"stage": "deep", "level": 8.0, "deleted": False}


@pytest.mark.parametrize(
    "body", ["#datatype,string\r\n,result,_value\r\n,,72.5\r\n", "[72.5]", "{72.5\n,_value\n,72.5\n"]
)
def test_an_answer_that_cannot_be_read_is_said_without_a_value(rigs, server: InfluxDouble, body: str) -> None:
    rig = rigs()
    influx = Influx(rig.config, None)
    for dialect in ("v2", "v3", "v1", "victoria"):
        server.always = lambda _request: Reply(200, body)
        with pytest.raises(UnavailableError) as caught:
            Readback(influx, dialect, "healthsync").read("sleep_stage", "u", 0, 1)  # type: ignore[arg-type]
        assert "72.5" not in str(caught.value)
        assert caught.value.__suppress_context__
    influx.close()
