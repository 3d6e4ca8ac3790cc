"""Metrics of HTTP: what was asked and answered by route, and nothing of who asked for what."""

import re
from pathlib import Path

from websockets.sync.client import connect

from healthsync_mqtt.gateway.server.traffic import Traffic
from healthsync_mqtt.telemetry.metrics import HTTP_BOUNDS_S, METRICS, exposition
from tests.support.gateway import filled, gateway_here
from tests.support.patience import wait_until
from tests.unit.telemetry.test_metrics import read, report, total


def shown(told: Traffic) -> str:
    return exposition(report(gateway={"state": "running", "restarts": 2, "http": told.told(), "streams": 1}))


def test_answers_are_counted_by_route_and_name_nobody(tmp_path: Path) -> None:
    filled(tmp_path / "data", ["alice", "bob"], [])
    with gateway_here(tmp_path / "data") as here:
        alice = here.device("alice", "watch")
        for path in ("/v1/users/alice/events", "/v1/users/bob/events", "/v1/users/nobody/events", "/alice/secret"):
            alice.get(path)
        alice.call("BREW", "/v1/users/alice/events")
        here.web.post("/v1/events", [])
        url = here.web.url.replace("http", "ws", 1) + "/v1/stream"
        with connect(url, additional_headers={"authorization": alice.authorization}):
            assert here.house.streams.open == 1
        wait_until(lambda: here.house.streams.open == 0)
        text = shown(here.house.traffic)
    samples = read(text)
    name = "healthsync_http_requests_total"

    def count(method: str, route: str, status: int) -> float:
        return samples[name, (("method", method), ("route", route), ("status", str(status)))]

    events = "/v1/users/{user}/events"
    assert (count("GET", events, 200), count("GET", events, 404)) == (1, 2)
    assert (count("GET", "none", 404), count("POST", "/v1/events", 401)) == (1, 1)
    assert (count("other", events, 405), count("GET", "/v1/stream", 101)) == (1, 1)
    assert total(samples, name) == total(samples, "healthsync_http_request_duration_seconds_count") == 7
    refused = {labels[0][1]: value for (found, labels), value in samples.items() if "http_refused" in found}
    assert refused == {"not_found": 3, "no_credentials": 1, "method": 1}
    assert not re.search("alice|bob|nobody|secret|BREW", text.replace("canary-of-alice", ""))


def test_the_buckets_of_answers() -> None:
    traffic = Traffic()
    for seconds in (0.001, 0.005, 0.3, 60.0):
        traffic.answered("POST", "/v1/events", 200, seconds)
    samples = read(shown(traffic))
    name = "healthsync_http_request_duration_seconds"
    bucket = {labels[1][1]: value for (found, labels), value in samples.items() if found == f"{name}_bucket"}
    assert list(bucket) == [*map(repr, HTTP_BOUNDS_S), "+Inf"]
    assert (bucket["0.005"], bucket["0.01"], bucket["0.5"], bucket["10.0"], bucket["+Inf"]) == (2, 2, 3, 3, 4)
    assert samples[f"{name}_sum", (("route", "/v1/events"),)] == 60.306


def test_webhooks_tell_how_far_they_are_behind() -> None:
    hooks = [{"webhook": "board", "lag": 7, "failures": 3, "disabled": True}]
    samples = read(exposition(report(gateway={"state": "failed", "restarts": 1, "webhooks": hooks})))
    board = (("webhook", "board"),)
    assert [samples[f"healthsync_webhook_{name}", board] for name in ("lag_events", "failures", "disabled")] == [
        7,
        3,
        1,
    ]
    assert samples["healthsync_gateway_working", ()] == 0
    assert samples["healthsync_gateway_restarts_total", ()] == 1


def test_without_a_gateway_nothing_is_told_of_one() -> None:
    names = {name for name, _ in read(exposition(report()))}
    assert not {name for name in names if "http" in name or "gateway" in name or "webhook" in name}
    assert {metric.name for metric in METRICS} >= {"http_requests_total", "webhook_lag_events"}
