"""The chart for Kubernetes: drawn by Helm, read against the schemas of Kubernetes, and true to what the service is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from healthsync_mqtt.config.settings import load_settings
from tests.support.accounts import ONLY_ROOT
from tests.support.fetched import python_packages

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "healthsync"
LOCK = Path(__file__).parents[1] / "support" / "chart" / "requirements.lock"
IMAGE = ("image.repository=registry.example/healthsync",)
KUBERNETES = "1.29"
"""The oldest version that knows all that is in the chart."""
pytestmark = pytest.mark.real_server

#: What `helm template --set …` and `helm lint --strict` do, by Helm's own code.
DRAW = """
import json, sys
import helm_python as helm

chart, sets, settings = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
values = helm.parse_set_string(",".join(sets)) if sets else {}
values |= {"settings": settings} if settings else {}
print(json.dumps([helm.Chart.load(chart).render(values, name="health"), helm.lint(chart, values, strict=True)]))
"""


def python(code: str, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A process of its own: what is fetched for tests is not imported here."""
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        input=stdin,
        env=os.environ | {"PYTHONPATH": str(python_packages(LOCK))},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def helm(*sets: str, settings: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    return python(DRAW, str(CHART), json.dumps(sets), json.dumps(settings or {}))


def drawn(*sets: str, settings: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    done = helm(*IMAGE, *sets, settings=settings)
    assert done.returncode == 0, done.stderr
    files, _ = json.loads(done.stdout)
    documents = [each for path, text in files.items() if path.endswith(".yaml") for each in yaml.safe_load_all(text)]
    return [document for document in documents if document]


def of_kind(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(document for document in documents if document["kind"] == kind)


ALL_VALUES = (
    *("image.pullSecrets={ours}", "passphrase.secretName=secret", "storage.className=fast"),
    *("service.type=LoadBalancer", "service.annotations.a=b", "nodeSelector.disk=ssd", "tolerations[0].key=only"),
    "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution=null",
    *("extraContainers[0].name=scraper", "extraContainers[0].image=scraper:1"),
)
SETTINGS = {"limits.device_events_per_day": 12_000_000, "broker.tls_minimum": "1.3"}
VALUES = pytest.mark.parametrize(("values", "settings"), [((), {}), (ALL_VALUES, SETTINGS)], ids=["least", "all"])


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


@pytest.mark.parametrize("wrong", ["storage.sise=1Gi", "service.type=Cluster", "hosts=", "settings.a\\.b.c=1"])
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
