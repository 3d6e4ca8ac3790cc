"""Draws the chart: ``python -m tests.support.chart.draw`` writes the plain manifests of ``deploy/kubernetes`` anew."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.fetched import python_packages

ROOT: Final = Path(__file__).parents[3]
CHART: Final = ROOT / "deploy" / "helm" / "healthsync"
PLAIN: Final = ROOT / "deploy" / "kubernetes"
_LOCK = Path(__file__).with_name("requirements.lock")
IMAGE: Final = ("image.repository=registry.example/healthsync",)
MANIFESTS: Final = {
    "embedded.yaml": (),
    "mosquitto.yaml": ("mode=external", "external.host=mosquitto.example"),
    "bridges.yaml": (
        *("mode=external", "external.host=mosquitto.example", "external.bridges=3", "external.caConfigMap=broker-ca"),
        "postgres.url=postgresql://healthsync@postgres.example/healthsync?sslmode=verify-full",
        *("postgres.passwordSecretName=postgres-password", "postgres.caConfigMap=postgres-ca"),
        *("secrets.credentials=credentials", "secrets.keys=keys", "secrets.certs=certs"),
        *("gateway.enabled=true", "gateway.replicas=2"),
    ),
}
"""The plain manifests, each with the values that it is drawn with."""
_HEADER = """\
# Drawn from deploy/helm/healthsync, for whoever has no Helm: name your image in the place of registry.example, and your
# hosts in the place of localhost, then kubectl apply -f.{more}
# Written by python -m tests.support.chart.draw; a test compares.
"""
_BROKER = " The broker is in the place of mosquitto.example"
_MORE = {
    "mosquitto.yaml": f"{_BROKER}.",
    "bridges.yaml": f"""{_BROKER}, PostgreSQL
# in that of postgres.example; docs/howto/compose.md says what is in the secrets. To upgrade: kubectl delete job
# health-migrate, apply the job alone, wait for its end, then apply the rest.""",
}

#: What `helm template --set …` and `helm lint --strict` do, by Helm's own code.
_DRAW = """
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
        env=os.environ | {"PYTHONPATH": str(python_packages(_LOCK))},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def helm(*sets: str, settings: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    return python(_DRAW, str(CHART), json.dumps(sets), json.dumps(settings or {}))


def files(*sets: str, settings: dict[str, Any] | None = None) -> dict[str, str]:
    """What is drawn, by the file of its template, without those that came to nothing."""
    done = helm(*IMAGE, *sets, settings=settings)
    assert done.returncode == 0, done.stderr
    found, _ = json.loads(done.stdout)
    return {Path(path).name: text for path, text in found.items() if path.endswith(".yaml") and yaml.safe_load(text)}


def drawn(*sets: str, settings: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    return [yaml.safe_load(text) for text in files(*sets, settings=settings).values()]


def plain(name: str) -> str:
    """A plain manifest as it has to be."""
    texts = files(*MANIFESTS[name])
    return _HEADER.format(more=_MORE.get(name, "")) + "".join(f"---\n{texts[each].strip()}\n" for each in sorted(texts))


if __name__ == "__main__":
    PLAIN.mkdir(exist_ok=True)
    for name in MANIFESTS:
        (PLAIN / name).write_text(plain(name), encoding="utf-8")
