"""The chart's gateways: what it says of them, and how they serve beside bridges on a real PostgreSQL and Mosquitto."""

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_chart_bridges import broker, prepared
from tests.integration.test_compose_services import listening
from tests.integration.test_external_gateway import event
from tests.support import child
from tests.support.chart.draw import drawn
from tests.support.chart.pods import of_kind, pods, read, step
from tests.support.chart.running_pod import RunningPod
from tests.support.chart.values import GATEWAYS, SHARED
from tests.support.patience import wait_until
from tests.support.ports import free_port
from tests.support.postgres import Postgres, installed
from tests.support.web import HttpAnswer, Web

pytestmark = pytest.mark.real_server


def test_each_gateway_is_a_pod_with_a_name_and_whoever_calls_reaches_all_of_them(tmp_path: Path) -> None:
    documents = drawn(*GATEWAYS)
    rest = of_kind(documents, "StatefulSet", "health-gateway")["spec"]
    (gateway,) = rest["template"]["spec"]["containers"]
    numbers = range(rest["ordinals"]["start"], rest["ordinals"]["start"] + rest["replicas"])
    found = [read(tmp_path, gateway, number) for number in numbers]
    assert [each.gateway.id for each in found] == ["1", "2"]
    for each in found:
        assert (each.storage.shared, each.registry.url, each.registry.home) == (True, each.storage.url, False)
    labels = rest["template"]["metadata"]["labels"]
    for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
        spec = of_kind(documents, kind, "health-gateway")["spec"]
        chosen = spec.get("podSelector") or spec["selector"]
        assert chosen.get("matchLabels", chosen).items() <= labels.items()
        others = [each for each in documents if each["kind"] == kind and each["metadata"]["name"] != "health-gateway"]
        for other in (each["spec"].get("podSelector") or each["spec"].get("selector") for each in others):
            assert not other.get("matchLabels", other).items() <= labels.items()
    (port,) = of_kind(documents, "Service", "health-gateway")["spec"]["ports"]
    (rule,) = of_kind(documents, "NetworkPolicy", "health-gateway")["spec"]["ingress"]
    assert (port["targetPort"], [each["port"] for each in rule["ports"]]) == ("https", ["https"])
    (provision,) = (each for each in pods(documents)["health"]["containers"] if each["name"] == "provision")
    assert provision["args"][-2:] == ["--gateways", "1,2"], "the broker lets in whoever it was told of"
    assert "health-gateway" not in pods(drawn(*SHARED))
    assert of_kind(drawn(*GATEWAYS, "stopped=true"), "StatefulSet", "health-gateway")["spec"]["replicas"] == 0


def test_a_gateway_has_its_own_login_and_no_bridges(tmp_path: Path) -> None:
    pod = pods(drawn(*GATEWAYS))["health-gateway"]
    given, data = tmp_path / "given", tmp_path / "data"
    data.mkdir(mode=0o700)
    names = ("healthsync-gateway", "healthsync-gateway-1", "healthsync-gateway-2", "healthsync-bridge-bridge-1")
    for kind, files in (("keys", ("audit.key",)), ("certs", ("ca.crt",)), ("credentials", names)):
        (given / kind).mkdir(parents=True)
        for name in files:
            (given / kind / name).write_text(name)

    def started(number: str) -> "subprocess.CompletedProcess[str]":
        return step(pod, "secrets", GIVEN=str(given), HEALTHSYNC_DATA=str(data), GATEWAY=number)

    for _ in range(2):
        assert started("2").returncode == 0
        credentials = sorted(each.name for each in (data / "credentials").iterdir())
        assert credentials == ["healthsync-gateway", "healthsync-gateway-2"]
        assert (data / "keys" / "audit.key").stat().st_mode & 0o777 == 0o600
    refused = started("3")
    assert refused.returncode == 1
    assert "healthsync broker credentials --gateways" in refused.stderr


@pytest.mark.skipif(not installed(), reason="postgresql is not installed: scripts/test installs it where it can")
def test_gateways_serve_by_their_own_words(tmp_path: Path) -> None:
    """The pod with the volume serves everything; two more what the server has, with nothing that may not be lost."""
    port = free_port()
    secrets = prepared(tmp_path)
    with Postgres() as server, ExitStack() as running:
        server.execute("CREATE DATABASE chart")
        specs = pods(
            drawn(
                "mode=external", "external.host=localhost", f"external.port={port}", "gateway.enabled=true",
                f"postgres.url=postgresql://healthsync@127.0.0.1:{server.port}/chart",
                "postgres.passwordSecretName=db", "secrets.credentials=credentials", "secrets.keys=keys",
                "secrets.certs=certs", "gateway.replicas=2",
            )
        )  # fmt: skip
        home = RunningPod(tmp_path / "home", specs["health"], secrets)
        others = [
            RunningPod(tmp_path / f"gateway-{number}", specs["health-gateway"], secrets, number) for number in (1, 2)
        ]
        home.begin()
        running.enter_context(child.started(broker(home, tmp_path / "broker", port), stderr=subprocess.DEVNULL))
        running.enter_context(listening(str(port)))
        running.enter_context(home.runs())
        home.wait_ready()
        for each in others:
            each.begin()
            running.enter_context(each.runs())
            each.wait_ready()
        home.tell("bridge-1", "user", "add", "alice", "--consent", "all")
        token = home.tell("bridge-1", "device", "add", "alice", "watch")[0]["token"]

        def stored(pod: RunningPod, name: str) -> None:
            answers: list[HttpAnswer] = []

            def taken() -> bool:
                answers.append(web(pod).post("/v1/events", event(name)))
                return answers[-1].status == 200

            wait_until(taken, "it is taken")

        def web(pod: RunningPod) -> Web:
            return Web(pod.https, home.data / "certs" / "ca.crt").as_(token)

        def seen(pod: RunningPod) -> list[Any]:
            return [each["id"] for each in web(pod).get("/v1/users/alice/events?limit=100").json()["events"]]

        for number, each in enumerate((home, *others)):
            stored(each, f"at-{number}")
        assert [seen(each) for each in (home, *others)] == [["at-0", "at-1", "at-2"]] * 3
        others[0].end(9)
        shutil.rmtree(others[0].root)  # as on another node
        others[0].begin()
        others[0].start()
        others[0].wait_ready()
        stored(others[0], "after")
        assert seen(others[1]) == ["at-0", "at-1", "at-2", "after"]
        assert web(others[0]).get("/v1/users/alice/summary").status == 503
        assert web(home).get("/v1/users/alice/summary").status == 200
