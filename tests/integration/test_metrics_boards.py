"""The operations dashboard, the alerts and the scrape configuration, with a real service and a real VictoriaMetrics."""

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.metrics import METRICS, MetricKind, exposition
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port
from tests.support.servers import VictoriaMetrics
from tests.support.service import Service, run_cli
from tests.support.web import Web

pytestmark = pytest.mark.real_server

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "operations.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
QUERIES = [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel["targets"]]


class Prometheus(VictoriaMetrics):
    """It scrapes when it is given a configuration, takes text with a time otherwise, and answers PromQL."""

    scrape: Path | None = None

    def command(self) -> list[str]:
        more = [f"-promscrape.config={self.scrape}"] if self.scrape else []
        return [*super().command(), "-search.latencyOffset=1s", *more]

    def push(self, text: str, at: int) -> None:
        query = urllib.parse.urlencode(
            [("timestamp", at * 1000), ("extra_label", "job=healthsync"), ("extra_label", "instance=here:9464")]
        )
        target = f"{self.url}/api/v1/import/prometheus?{query}"
        with urllib.request.urlopen(target, data=text.encode(), timeout=PATIENCE_S):
            pass

    def ask(self, query: str, at: int | None = None) -> list[tuple[dict[str, str], float]]:
        self.get("/internal/force_flush")
        when = {} if at is None else {"time": str(at)}
        try:
            answer = json.loads(self.get("/api/v1/query", query=query, nocache="1", **when))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None
        return [(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]


def fetched(port: int, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as response:
        text: str = response.read().decode()
    return text


def publish(service: Service, who: dict[str, str], *bpm: float) -> None:
    """One batch at QoS 1; mosquitto_pub ends when it is acknowledged."""
    at = time.time_ns()
    events = [
        {"id": f"e{at}-{place}", "type": "heart_rate", "start_time": "2026-09-21T00:00:00Z", "value": {"bpm": value}}
        for place, value in enumerate(bpm)
    ]
    host, port = service.mqtt
    command = ["mosquitto_pub", "-h", host, "-p", str(port), "-q", "1", "-t", "users/alice/devices/watch/events"]
    login = ["-i", who["client_id"], "-u", who["username"], "-P", who["token"]]
    subprocess.run([*command, *login, "-m", json.dumps(events)], check=True, timeout=PATIENCE_S)


def run(expr: str) -> str:
    return expr.replace("$instance", ".*").replace("$__rate_interval", "2m")


def healthy(**more: Any) -> dict[str, Any]:
    """A report of a service without traffic, as ``status`` gives it."""
    return {
        "version": "0",
        "uptime_s": 1000,
        "head": 0,
        "broker": {"mode": "embedded", "connected": True},
        "journal": {"working": True, "commit_running_s": 0.0},
        "counters": Counters().snapshot(),
        "connections": 0,
        "subscriber_lag": 0,
        "certificates": {"ca": 4e9, "server": 4e9, "clients": 0, "clients_ending": 0},
        "sinks": [{"sink": "main", "state": "idle", "lag": 0}],
        "backup": {"age_s": 25 * 3600.0, "failures": 0},
        "gateway": gateway(webhooks=[{"webhook": "board", "lag": 0, "failures": 0, "disabled": False}]),
        **more,
    }


def gateway(**more: Any) -> dict[str, Any]:
    return {"state": "running", "restarts": 0, **more}


def test_every_panel_shows_the_traffic_of_a_real_service(tmp_path: Path) -> None:
    data, port, now = tmp_path / "data", free_port(), int(time.time())
    run_cli(data, "user", "add", "alice", "--consent", "all")
    who: dict[str, str] = run_cli(data, "device", "add", "alice", "watch")[0]
    with Prometheus(tmp_path / "metrics") as server:
        run_cli(data, "sink", "add", "influxdb", server.url, "--name", "main", "--dialect", "victoria")
        env = {"HEALTHSYNC_METRICS__PORT": str(port), "HEALTHSYNC_GATEWAY__WEBHOOK_HOSTS": "127.0.0.1"}
        with Service(data, "--http-port", "0", env=env) as service:
            web = Web(service.ready["http"], service.ca_file)
            admin = web.as_(service.cli("admin", "add", "root")[0]["token"])
            service.cli("subscriber", "add", "reader", "--users", "alice", "--types", "*")
            hook = {"name": "board", "subscriber": "reader", "url": "http://127.0.0.1:9/"}
            wait_until(lambda: admin.post("/v1/webhooks", hook).status in {200, 409})
            assert web.get("/v1/users/alice/events").status == 401
            publish(service, who, 60)
            wait_until(lambda: 'healthsync_sink_points_total{sink="main"} 1\n' in fetched(port))
            wait_until(lambda: 'http_refused_total{reason="no_credentials"} 1\n' in fetched(port))
            server.push(fetched(port), now - 120)
            assert web.get("/v1/users/alice/events").status == 401
            publish(service, who, 61, 62, 63, 9999)
            wait_until(lambda: 'http_refused_total{reason="no_credentials"} 2\n' in fetched(port))
            wait_until(lambda: 'healthsync_sink_points_total{sink="main"} 4\n' in fetched(port))
            assert json.loads(fetched(port, "/readyz"))["ready"]
            text = fetched(port)
            server.push(text, now - 60)
            shown = {(title, expr): server.ask(run(expr), now - 60) for title, expr in QUERIES}
            sum_of = {title: sum(value for _, value in shown[title, expr]) for title, expr in QUERIES[::-1]}
            firing = {rule["alert"]: server.ask(rule["expr"], now - 60) for rule in ALERTS}
    assert [key for key, series in shown.items() if not series] == []
    assert sum_of["Taking events"] == 1
    assert sum_of["Balance"] == sum_of["Events in flight"] == 0
    assert sum_of["Events per second"] == pytest.approx(4 / 60, rel=0.01)
    outcomes = {
        labels["outcome"]: value for labels, value in shown[next(k for k in shown if k[0] == "Events by outcome")]
    }
    assert outcomes["stored"] == pytest.approx(3 / 60, rel=0.01)
    assert outcomes["rejected"] == pytest.approx(1 / 60, rel=0.01)
    (reason,) = shown[next(key for key in shown if key[0] == "Rejected events by reason")]
    assert reason[0]["reason"] == "out_of_range"
    assert {name for name, series in firing.items() if series} == {"HealthSyncRejects"}
    (refused,) = [series for (title, _), series in shown.items() if title == "HTTP by route and status"]
    assert {labels["status"] for labels, value in refused if value} == {"401"}
    assert "alice" not in text
    assert "watch" not in text


def test_each_alert_is_silent_on_a_healthy_service_and_fires_on_its_fault(tmp_path: Path) -> None:
    now = int(time.time()) - 120
    stuck, refused, rejecting = Counters(), Counters(), Counters()
    stuck.received, stuck.last_commit_us = 1, (now - 600) * 1_000_000
    refused.logins_refused = 10_000
    rejecting.received = 10_000
    rejecting.reject("bad_id", 10_000)
    unbalanced = exposition(healthy()).replace("healthsync_inflight_events 0", "healthsync_inflight_events 5")
    faults = {
        "HealthSyncAway": "up 0\n",
        "HealthSyncJournalFails": exposition(healthy(journal={"working": False, "commit_running_s": 0.0})),
        "HealthSyncBrokerAway": exposition(healthy(broker={"mode": "external", "connected": False})),
        "HealthSyncBalance": unbalanced,
        "HealthSyncCheckpointFails": exposition(healthy(storage={"checkpoint_failures": 3, "wal_bytes": 0})),
        "HealthSyncEventsStuck": exposition(healthy(counters=stuck.snapshot())),
        "HealthSyncRejects": exposition(healthy(counters=rejecting.snapshot())),
        "HealthSyncSinkStopped": exposition(healthy(sinks=[{"sink": "main", "state": "paused", "lag": 1}])),
        "HealthSyncSinkLag": exposition(healthy(sinks=[{"sink": "main", "state": "shipping", "lag": 200_000}])),
        "HealthSyncGatewayDown": exposition(healthy(gateway={"state": "failed", "restarts": 3})),
        "HealthSyncWebhookStopped": exposition(
            healthy(gateway=gateway(webhooks=[{"webhook": "board", "lag": 9, "failures": 4, "disabled": False}]))
        ),
        "HealthSyncCertificateEnds": exposition(
            healthy(certificates={"ca": 4e9, "server": now + 86_400.0, "clients": 0, "clients_ending": 0})
        ),
        "HealthSyncBackupOld": exposition(healthy(backup={"age_s": 27 * 3600.0, "failures": 1})),
        "HealthSyncLoginsRefused": exposition(healthy(counters=refused.snapshot())),
    }
    assert set(faults) == {rule["alert"] for rule in ALERTS}
    fired = {}
    for place, (name, text) in enumerate(faults.items()):
        with Prometheus(tmp_path / str(place)) as server:
            server.push(exposition(healthy()) + "up 1\n", now - 60)
            assert [rule["alert"] for rule in ALERTS if server.ask(rule["expr"], now - 60)] == []
            server.push(text if text.startswith("up ") else text + "up 1\n", now)
            fired[name] = [rule["alert"] for rule in ALERTS if server.ask(rule["expr"], now)]
    assert fired == {name: [name] for name in faults}


def test_the_scrape_configuration_finds_a_service(tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_port()
    config = (DEPLOY / "prometheus" / "scrape.yaml").read_text()
    server = Prometheus(tmp_path / "metrics")
    server.scrape = tmp_path / "scrape.yaml"
    server.scrape.write_text(config.replace(":9464", f":{port}").replace("15s", "1s"))
    with Service(data, env={"HEALTHSYNC_METRICS__PORT": str(port)}), server:
        wait_until(lambda: [value for _, value in server.ask('up{job="healthsync"}')] == [1])
        wait_until(lambda: server.ask("healthsync_build_info"))
        ((labels, _),) = server.ask("healthsync_build_info")
        assert labels["broker_mode"] == "embedded"
        assert labels["instance"] == f"127.0.0.1:{port}"


def test_every_query_names_metrics_that_there_are() -> None:
    known = {metric.full_name for metric in METRICS}
    histograms = [metric.full_name for metric in METRICS if metric.kind is MetricKind.HISTOGRAM]
    known |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    named = set()
    for expr in [expr for _, expr in QUERIES] + [rule["expr"] for rule in ALERTS]:
        named |= set(re.findall(r"healthsync_[a-z_]+", expr))
    assert named <= known
    assert len(named) > 20


def test_every_alert_is_explained() -> None:
    text = (DEPLOY.parent / "docs" / "operations.md").read_text()
    assert [rule["alert"] for rule in ALERTS if f"`{rule['alert']}`" not in text] == []
    assert all(rule["labels"]["severity"] in {"warning", "critical"} for rule in ALERTS)
