"""The chart for Kubernetes: drawn by Helm, read against the schemas of Kubernetes, and true to what the service is."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.config.secrets import KEY_PASSPHRASE_FILE, key_passphrase
from healthsync_mqtt.config.settings import ENV_PREFIX, Settings, load_settings
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.storage.port import Item
from tests.support.accounts import ONLY_ROOT
from tests.support.chart.draw import IMAGE, MANIFESTS, PLAIN, drawn, helm, plain, python
from tests.support.chart.pods import of_kind, pods, read, step
from tests.support.chart.values import (
    ALL_VALUES,
    DIVIDED,
    EXTERNAL,
    GATEWAYS,
    LARGE,
    NETWORK,
    POSTGRES,
    SETTINGS,
    SHARED,
)
from tests.support.sink import NOW_US, event
from tests.unit.test_deploy import check_command

KUBERNETES = "1.29"
"""The oldest version that knows all that is in the chart."""
pytestmark = pytest.mark.real_server


SHAPES = {
    "least": ((), {}),
    "all": ((*ALL_VALUES, *POSTGRES, *NETWORK, "gateway.enabled=true"), SETTINGS),
    "external": (EXTERNAL, {}),
    "external-all": (LARGE, SETTINGS),
    "external-alone": ((*EXTERNAL, *POSTGRES, "external.access=none", "postgres.shared=false"), {}),
    "external-one-pod": ((*EXTERNAL, *POSTGRES), {}),
    "external-shared": (SHARED, {}),
    "external-divided": (DIVIDED, SETTINGS),
    "external-gateways": (GATEWAYS, SETTINGS),
}
VALUES = pytest.mark.parametrize(("values", "settings"), list(SHAPES.values()), ids=list(SHAPES))


@VALUES
def test_what_is_drawn_is_what_kubernetes_takes(values: tuple[str, ...], settings: dict[str, Any]) -> None:
    code = (
        "import json, sys, kubernetes_validate as k\n"
        "for each in json.load(sys.stdin): k.validate(each, sys.argv[1], strict=True)"
    )
    documents = drawn(*values, settings=settings)
    assert len(documents) >= 3
    done = python(code, KUBERNETES, stdin=json.dumps(documents))
    assert done.returncode == 0, done.stderr[-2000:]
    documents[0]["spec"]["replicaz"] = 1
    assert python(code, KUBERNETES, stdin=json.dumps(documents)).returncode != 0


@VALUES
def test_helm_has_no_complaint(values: tuple[str, ...], settings: dict[str, Any]) -> None:
    _, report = json.loads(helm(*IMAGE, *values, settings=settings).stdout)
    assert report["total_charts_linted"] == 1
    assert [each for each in report["messages"] if each["severity"] > 1] == []
    assert report["errors"] in (None, [])


def test_no_image_is_named_that_is_in_no_registry() -> None:
    done = helm()
    assert done.returncode != 0
    assert "build deploy/compose/Dockerfile" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        *("storage.sise=1Gi", "service.type=Cluster", "hosts=", "settings.a\\.b.c=1"),
        *("mode=both", "mode=external", "postgres.url=mysql://db", "podDisruptionBudget.maxUnavailable=2"),
        "mode=external,external.host=a,external.bridges=65,postgres.url=postgresql://a@b/c",
        "mode=external,external.host=a,external.bridges=2,gateway.enabled=true",
        "gateway.replicas=1",
        f"mode=external,external.host=a,{POSTGRES[0]},gateway.replicas=1,secrets.keys=a,secrets.certs=b",
        f"mode=external,external.host=a,{POSTGRES[0]},external.bridges=2,secrets.certs=b",
        f"mode=external,external.host=a,{POSTGRES[0]},external.bridges=2,secrets.credentials=b",
        f"mode=external,external.host=a,{POSTGRES[0]},external.bridges=2,postgres.shared=false",
        "extraPorts[0].port=8871",
        "external.divide=messages and users",
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_installed(wrong: str) -> None:
    done = helm(*IMAGE, wrong)
    assert done.returncode != 0
    assert "schema" in done.stderr


def test_the_settings_of_the_values_are_those_that_the_service_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = of_kind(drawn(*ALL_VALUES, settings=SETTINGS), "StatefulSet")["spec"]["template"]["spec"]
    (service,) = (each for each in pod["containers"] if each["name"] == "healthsync")
    for each in service["env"]:
        if "value" in each and each["name"] != "HEALTHSYNC_DATA":
            monkeypatch.setenv(each["name"], each["value"])
    settings = load_settings(tmp_path)
    assert settings.limits.device_events_per_day == 12_000_000
    assert settings.broker.tls_minimum == "1.3"
    assert settings.metrics.port == 9464
    assert settings.broker.certificate_hosts == ("localhost",)
    ports = {each["name"]: each["containerPort"] for each in service["ports"]}
    assert ports == {"mqtts": settings.broker.mqtts_port, "wss": settings.broker.wss_port}


def test_the_pod_is_one_with_the_account_of_the_image_and_no_rights() -> None:
    documents = drawn()
    found = of_kind(documents, "StatefulSet")["spec"]
    assert found["replicas"] == 1
    pod = found["template"]["spec"]
    (service,) = pod["containers"]
    account = service["securityContext"]
    assert (account["runAsUser"], account["runAsNonRoot"], account["readOnlyRootFilesystem"]) == (10001, True, True)
    assert account["capabilities"] == {"drop": ["ALL"]}
    assert "fsGroup" not in pod.get("securityContext", {}), "it would open the private keys to a group"
    assert not pod["automountServiceAccountToken"]
    labels = found["template"]["metadata"]["labels"]
    for each in (document for document in documents if document["kind"] == "Service"):
        assert each["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= {port["name"] for port in service["ports"]}


@pytest.mark.skipif(os.geteuid() != 0, reason=f"the directory is given away: {ONLY_ROOT}")
def test_the_first_step_makes_a_directory_that_the_account_can_use_and_changes_it_no_more(tmp_path: Path) -> None:
    pod = of_kind(drawn(), "StatefulSet")["spec"]["template"]["spec"]
    (first,) = pod["initContainers"]
    command = [word.replace("/volume", str(tmp_path)) for word in first["command"]]
    subprocess.run(command, check=True)
    made = tmp_path / "data"
    kept_file = made / "key"
    kept_file.touch(mode=0o600)
    os.chown(kept_file, 10001, 10001)
    subprocess.run(command, check=True)
    assert (made.stat().st_uid, made.stat().st_gid, made.stat().st_mode & 0o7777) == (10001, 10001, 0o700)
    assert kept_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason=f"the file is given away: {ONLY_ROOT}")
@pytest.mark.parametrize("mode", [(), EXTERNAL], ids=["embedded", "external"])
def test_the_passphrase_is_a_private_file_in_memory_and_in_no_environment(
    mode: tuple[str, ...], tmp_path: Path
) -> None:
    pod = of_kind(drawn("passphrase.secretName=ours", "passphrase.key=word", *mode), "StatefulSet")["spec"]["template"][
        "spec"
    ]
    assert "secretKeyRef" not in json.dumps(pod)
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes["passphrase"]["emptyDir"]["medium"] == "Memory"
    secret = volumes["passphrase-secret"]["secret"]
    assert (secret["secretName"], secret["items"]) == ("ours", [{"key": "word", "path": "passphrase"}])
    (step,) = (each for each in pod["initContainers"] if each["name"] == "passphrase")
    places = {each["mountPath"]: tmp_path / each["name"] for each in step["volumeMounts"]}
    for place in places.values():
        place.mkdir()
    (places["/secret"] / "passphrase").write_text("correct horse")
    command = [
        next((str(place) + word.removeprefix(path) for path, place in places.items() if word.startswith(path)), word)
        for word in step["command"]
    ]
    for _ in range(2):  # a pod that is started again
        subprocess.run(command, check=True)
    for container in pod["containers"]:
        (mount,) = (each for each in container["volumeMounts"] if each["name"] == "passphrase")
        assert mount["readOnly"]
        (named,) = (each["value"] for each in container["env"] if each["name"] == KEY_PASSPHRASE_FILE)
        file = places[mount["mountPath"]] / Path(named).relative_to(mount["mountPath"])
        assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (10001, 0o400)
        os.chown(file, 0, 0)  # as its account, which we are not
        assert key_passphrase({KEY_PASSPHRASE_FILE: str(file)}) == b"correct horse"
        os.chown(file, 10001, 10001)


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_plain_manifests_are_what_the_chart_draws(name: str) -> None:
    assert (PLAIN / name).read_text(encoding="utf-8") == plain(name), "python -m tests.support.chart.draw writes it"
    assert {path.name for path in PLAIN.glob("*.yaml")} == set(MANIFESTS)


@VALUES
def test_each_container_runs_a_command_and_settings_that_exist(
    values: tuple[str, ...], settings: dict[str, Any], tmp_path: Path
) -> None:
    keys = {setting.key for setting in Settings().describe()}
    for pod in pods(drawn(*values, settings=settings)).values():
        containers = [*pod.get("initContainers", ()), *pod["containers"]]
        names = [each["name"] for each in containers]
        assert len(set(names)) == len(names)
        ports = [
            each["value"]
            for container in pod["containers"]
            for each in container.get("env", ())
            if "METRICS" in each["name"]
        ]
        assert len(set(ports)) == len(ports), "they share the loopback address"
        mounts = {volume["name"] for volume in pod["volumes"]} | {"volume"}
        for container in containers:
            assert {each["name"] for each in container.get("volumeMounts", ())} <= mounts
            if "command" not in container and "args" in container:
                check_command(container["args"])
            for each in container.get("env", ()):
                key = each["name"].removeprefix(ENV_PREFIX).lower().replace("__", ".")
                assert key in keys or each["name"] in {KEY_PASSPHRASE_FILE, "BRIDGES", "BRIDGE", "GATEWAYS", "GATEWAY"}
            read(tmp_path, container, 2)


@VALUES
def test_no_container_has_rights_and_each_that_stays_says_what_it_needs(
    values: tuple[str, ...], settings: dict[str, Any]
) -> None:
    for name, pod in pods(drawn(*values, settings=settings)).items():
        assert not pod["automountServiceAccountToken"]
        ours = [each for each in pod["containers"] if each["image"].startswith("registry.example/")]
        for each in [*pod.get("initContainers", ()), *ours]:
            may = each["securityContext"]
            assert (may["allowPrivilegeEscalation"], may["readOnlyRootFilesystem"]) == (False, True)
            assert may["capabilities"]["drop"] == ["ALL"]
        for each in ours:
            assert (each["securityContext"]["runAsUser"], each["securityContext"]["runAsNonRoot"]) == (10001, True)
            assert each["resources"]["requests"].keys() == {"cpu", "memory"}
            assert each["resources"]["limits"]["memory"]
            serves = each["args"][:2] in (["up"], ["bridge", "run"], ["gateway", "run"])
            assert serves is ("readinessProbe" in each) is ("livenessProbe" in each), (name, each["name"])


def test_who_may_reach_what() -> None:
    (rule,) = of_kind(drawn("gateway.enabled=true"), "NetworkPolicy")["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == ["mqtts", "wss", "https"]
    closed = of_kind(drawn(*EXTERNAL), "NetworkPolicy")["spec"]
    assert (closed["policyTypes"], closed["ingress"]) == (["Ingress"], []), "nobody reaches bridges"
    assert of_kind(drawn(), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    kinds = [
        each["kind"] for each in drawn(*EXTERNAL, "networkPolicy.enabled=false", "podDisruptionBudget.enabled=false")
    ]
    assert sorted(kinds) == ["Service", "StatefulSet"]


HALVES = (Shard(1, 2), Shard(2, 2))
FIRST, SECOND = (next(name for name in ("alice", "bob", "carol", "dave") if shard.owns(name)) for shard in HALVES)


def test_another_number_of_bridges_moves_the_events_of_users(tmp_path: Path) -> None:
    """The step before the bridges, as it stands in the pod, with one bridge, two, and one again."""
    (tmp_path / "state").mkdir()
    for name in ("data", "bridge-2"):
        (tmp_path / name).mkdir(mode=0o700)
    pod = of_kind(drawn(*EXTERNAL, "external.bridges=2"), "StatefulSet")["spec"]["template"]["spec"]

    def parts(bridges: int) -> None:
        environ = {"VOLUME": str(tmp_path), "BRIDGES": str(bridges)}
        done = step(pod, "parts", **environ)
        assert done.returncode == 0, done.stderr

    def store(directory: str, name: str, user: str) -> None:
        with open_log(tmp_path / directory) as log:
            log.stage(
                [Item(Origin(user, "watch", None, f"users/{user}/devices/watch/events"), event(name))], [], NOW_US
            )
            log.commit()

    def stored(directory: str) -> list[str]:
        with open_reader(tmp_path / directory) as reader:
            return sorted(each.id for each in reader.read(0, 100))

    parts(1)
    store("data", "one", FIRST)
    store("data", "two", SECOND)
    parts(2)
    assert stored("bridge-2") == ["two"]
    credentials = {path.name for path in (tmp_path / "bridge-2/credentials").iterdir()}
    assert {"healthsync-bridge-bridge-2", "healthsync-canary-bridge-2-reader"} <= credentials
    store("bridge-2", "three", SECOND)
    parts(2)
    assert stored("data") == ["one", "two"], "nothing moves while the number is the same"
    parts(1)
    assert stored("data") == ["one", "three", "two"]
