"""Bridges as pods of their own, with one log and one registry: what the chart says of each, and how each begins."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from healthsync_mqtt.broker.external.canary_world import world_of
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.sinks.config import Sinks
from tests.support.chart.draw import CHART, drawn
from tests.support.chart.pods import PATH, of_kind, pods, read, step
from tests.support.chart.values import DIVIDED, EXTERNAL, POSTGRES, SHARED
from tests.support.service import HEALTHSYNC

pytestmark = pytest.mark.real_server


def test_each_pod_of_a_shared_log_has_a_policy_and_a_budget_of_its_own() -> None:
    documents = drawn(*DIVIDED)
    chosen = {
        (each["kind"], json.dumps(each["spec"].get("podSelector", each["spec"].get("selector"))["matchLabels"])): each
        for each in documents
        if each["kind"] in {"NetworkPolicy", "PodDisruptionBudget"}
    }
    assert len(chosen) == 5, "no two choose the same pods"
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in documents
        if each["kind"] in {"StatefulSet", "Job"}
    }
    found: dict[str, list[str]] = {}
    for kind, selector in chosen:
        for name, own in labels.items():
            if json.loads(selector).items() <= own.items():
                found.setdefault(name, []).append(kind)
    assert {name: sorted(kinds) for name, kinds in found.items()} == {
        "health": ["NetworkPolicy", "PodDisruptionBudget"],
        "health-bridge": ["NetworkPolicy", "PodDisruptionBudget"],
        "health-migrate": ["NetworkPolicy"],
    }
    for each in (document for document in documents if document["kind"] == "StatefulSet"):
        assert each["spec"]["selector"]["matchLabels"].items() <= labels[each["metadata"]["name"]].items()
    policies = {each["metadata"]["name"]: each["spec"] for (kind, _), each in chosen.items() if kind == "NetworkPolicy"}
    assert [each["port"] for each in policies["health"]["ingress"][0]["ports"]] == [8871]
    assert policies["health-bridge"]["ingress"] == policies["health-migrate"]["ingress"] == []
    assert [policies[name]["egress"][0]["ports"][0]["port"] for name in sorted(policies)] == [443, 443, 5432]
    service = of_kind(documents, "Service")["spec"]
    assert [each["port"] for each in service["ports"]] == [8871]
    assert service["selector"].items() <= labels["health"].items()
    assert not service["selector"].items() <= labels["health-bridge"].items()


def test_tables_are_brought_up_to_date_by_a_job_that_has_no_secret_but_the_password() -> None:
    documents = drawn(*SHARED, "passphrase.secretName=ours")
    for kind, weight in (("NetworkPolicy", "0"), ("Job", "1")):
        said = of_kind(documents, kind, "health-migrate")["metadata"]["annotations"]
        assert said["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert said["helm.sh/hook-weight"] == weight, "who may be reached is said before"
    pod = pods(documents)["health-migrate"]
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert container["args"] == ["storage", "migrate"]
    assert {each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each} == {"db"}
    hooks = [each for each in documents if "helm.sh/hook" in each["metadata"].get("annotations", {})]
    assert len(hooks) == 2
    stopped = drawn(*SHARED, "stopped=true")
    assert pods(stopped).keys() == {"health", "health-bridge"}, "what runs yet is of the release of before"
    assert {each["spec"]["replicas"] for each in stopped if each["kind"] == "StatefulSet"} == {0}
    assert "health-migrate" not in pods(drawn(*POSTGRES)), "one service brings its own up to date when it starts"
    assert "health-migrate" not in pods(drawn(*EXTERNAL))


@pytest.mark.parametrize("values", [SHARED, DIVIDED], ids=["shared", "divided"])
def test_bridges_on_postgresql_are_pods_with_one_log_and_one_registry(values: tuple[str, ...], tmp_path: Path) -> None:
    """As the services read what is drawn, each as the pod of its number."""
    documents = drawn(*values)
    rest = of_kind(documents, "StatefulSet", "health-bridge")["spec"]
    bridges = rest["replicas"] + 1
    first, *others = (
        read(tmp_path, container, number)
        for name, numbers in (("health", [1]), ("health-bridge", range(rest["ordinals"]["start"], bridges + 1)))
        for number in numbers
        for container in pods(documents)[name]["containers"]
        if container.get("args", [])[:2] == ["bridge", "run"]
    )
    everybody = [first, *others]
    assert [each.bridge.id for each in everybody] == [f"bridge-{number}" for number in range(1, bridges + 1)]
    assert [each.registry.home for each in everybody] == [True, *[False] * len(others)], "persons are erased at one"
    for each in everybody:
        assert (each.storage.shared, each.registry.url) == (True, each.storage.url)
        assert (each.storage.password_file, each.registry.password_file) == (Path("/database/password"),) * 2
        assert each.external.registry_file is None
    if values is SHARED:
        assert {(each.external.share, each.external.shard) for each in everybody} == {("all", "")}
    else:
        parts = [Shard.parse(each.external.shard) for each in everybody]
        assert parts == [Shard(number, bridges) for number in range(1, bridges + 1)]
        assert {each.external.share for each in everybody} == {""}
    assert pods(drawn(*EXTERNAL, *POSTGRES)).keys() == {"health", "health-migrate"}, "one is enough, and can become two"


def test_no_bridge_beside_the_first_one_has_a_key() -> None:
    documents = drawn(*SHARED, "passphrase.secretName=ours")
    rest = pods(documents)["health-bridge"]
    secrets = {
        each["secret"]["secretName"]: each["secret"].get("items") for each in rest["volumes"] if "secret" in each
    }
    assert secrets.keys() == {"db", "credentials", "certs"}
    assert secrets["certs"] == [{"key": "ca.crt", "path": "ca.crt"}]
    bridge = next(each for each in rest["containers"] if each["name"] == "bridge")
    assert "given-credentials" not in {each["name"] for each in bridge["volumeMounts"]}, "it has its own alone"
    first = pods(documents)["health"]
    assert {"keys", "certs", "credentials", "ours"} <= {
        each["secret"]["secretName"] for each in first["volumes"] if "secret" in each
    }


def test_the_first_pod_takes_what_was_prepared_and_keeps_its_own(tmp_path: Path) -> None:
    pod = pods(drawn(*SHARED))["health"]
    given, data = tmp_path / "given", tmp_path / "data"
    ours = tmp_path / "ours"
    for words in ("cert init-ca", "broker credentials --bridges bridge-1,bridge-2"):
        subprocess.run([*HEALTHSYNC, *words.split(), "--data", str(ours)], check=True)
    data.mkdir(mode=0o700)
    for kind in ("keys", "certs", "credentials"):  # as a Secret is mounted: no hidden files, and readable to all
        (given / kind).mkdir(parents=True)
        for file in (each for each in (ours / kind).iterdir() if each.name[0] != "."):
            shutil.copyfile(file, given / kind / file.name)
    # Only what bridges log in with has to be in there.
    for name in ("healthsync-admin", "healthsync-gateway", "healthsync-hooks"):
        (given / "credentials" / name).unlink()

    def started(bridges: str) -> None:
        done = step(pod, "home", GIVEN=str(given), HEALTHSYNC_DATA=str(data), BRIDGES=bridges)
        assert done.returncode == 0, done.stderr

    started("bridge-1,bridge-2")
    for kind in ("keys", "certs", "credentials"):
        for file in (given / kind).iterdir():
            assert (data / kind / file.name).read_bytes() == file.read_bytes()
            assert (data / kind / file.name).stat().st_mode & 0o777 == 0o600
    store = CredentialStore(data / "credentials")
    assert store.ensure("healthsync-bridge-bridge-2") == (store.need("healthsync-bridge-bridge-2", ""), True), (
        "a broker has still to be told of it"
    )
    made = store.need("healthsync-admin", "")
    store.told("healthsync-bridge-bridge-1", store.need("healthsync-bridge-bridge-1", ""))
    (data / "keys" / "audit.key").write_text("newer")
    (data / "certs" / "server.crt").write_text("newer")
    (given / "credentials/healthsync-bridge-bridge-2").write_text("another")
    started("bridge-1,bridge-2,bridge-3")
    assert {(data / name).read_text() for name in ("keys/audit.key", "certs/server.crt")} == {"newer"}
    assert (store.need("healthsync-admin", ""), store.ensure("healthsync-bridge-bridge-1")[1]) == (made, False)
    assert store.ensure("healthsync-bridge-bridge-2") == ("another", True), "its pod has no other"
    assert store.find("healthsync-bridge-bridge-3"), "the broker may know it before it comes"
    assert not [each.name for each in data.iterdir() if each.name.startswith((".keys", ".certs"))]


def test_without_secrets_the_first_pod_makes_its_own(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    pod = pods(drawn(*EXTERNAL, *POSTGRES))["health"]
    none = tmp_path / "none"
    done = step(pod, "home", GIVEN=str(none), HEALTHSYNC_DATA=str(tmp_path / "data"), BRIDGES="bridge-1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data/certs/ca.crt").exists()
    assert CredentialStore(tmp_path / "data/credentials").find("healthsync-bridge-bridge-1")


def test_another_pod_has_what_its_bridge_logs_in_with_and_nothing_else(tmp_path: Path) -> None:
    pod = pods(drawn(*SHARED))["health-bridge"]
    given, data = tmp_path / "given", tmp_path / "data"
    data.mkdir(mode=0o700)
    everybody = [each.client_id for name in ("bridge-2", "bridge-22") for each in world_of(name).everybody]
    everybody += ["healthsync-bridge-bridge-2", "healthsync-bridge-bridge-22", "healthsync-admin"]
    (given / "credentials").mkdir(parents=True)
    for name in everybody:
        (given / "credentials" / name).write_text(f"of {name}")

    def started(number: int) -> "subprocess.CompletedProcess[str]":
        return step(pod, "credentials", GIVEN=str(given), HEALTHSYNC_DATA=str(data), BRIDGE=str(number))

    own = {each.client_id for each in world_of("bridge-2").everybody} | {"healthsync-bridge-bridge-2"}
    assert started(2).returncode == 0
    store = CredentialStore(data / "credentials")
    assert set(store.names()) == own
    for name in own:
        assert store.need(name, "") == f"of {name}"  # as private as the service wants it
    (given / "credentials/healthsync-bridge-bridge-2").write_text("another")
    assert started(2).returncode == 0
    assert store.need("healthsync-bridge-bridge-2", "") == "another"
    assert set(store.names()) == own
    refused = started(3)
    assert refused.returncode == 1
    assert "has nothing for bridge-3: healthsync broker credentials" in refused.stderr
    assert set(store.names()) == own


def test_bridges_of_compose_that_share_a_log_have_the_same_sinks(tmp_path: Path) -> None:
    """The step before them, which rabbitmq.yaml has from the chart, as it stands."""
    for name in ("data", "bridge-2"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "state").mkdir()
    (tmp_path / "data" / "certs").mkdir(mode=0o700)
    (tmp_path / "data" / "certs" / "ca.crt").touch()
    environ = {"PATH": PATH, "VOLUME": str(tmp_path), "BRIDGES": "2", "SHARES": "1", "LANG": "C.UTF-8"}

    def parts(**more: str) -> "subprocess.CompletedProcess[str]":
        command, env = ["sh", str(CHART / "files" / "parts.sh")], environ | more
        return subprocess.run(command, env=env, cwd=tmp_path, check=False, timeout=300, capture_output=True, text=True)

    sinks = tmp_path / "bridge-2" / "sinks"
    for _ in range(2):
        assert parts().returncode == 0
        assert sinks.samefile(tmp_path / "data" / "sinks")
    Sinks(tmp_path / "bridge-2").prepare()

    assert parts(SHARES="").returncode == 0
    assert not sinks.is_symlink(), "the sinks of another log, whose places they know"
    sinks.mkdir()
    (sinks / "home.json").touch()
    refused = parts()
    assert refused.returncode == 1
    assert f"{sinks} is of a bridge that had a log of its own" in refused.stderr
    (sinks / "home.json").unlink()
    assert parts().returncode == 0
    assert sinks.samefile(tmp_path / "data" / "sinks")
