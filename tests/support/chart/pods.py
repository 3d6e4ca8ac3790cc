"""What the chart draws as pods: their settings as a service sees them, and their steps as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from healthsync_mqtt.config.settings import ENV_PREFIX, Settings, load_settings

PATH: Final = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
_NUMBER: Final = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}


def of_kind(documents: list[dict[str, Any]], kind: str, name: str = "health") -> dict[str, Any]:
    return next(each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name)


def pods(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What becomes a pod, by the name of what makes it."""
    made = (each for each in documents if each["kind"] in {"StatefulSet", "Job"})
    return {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in made}


def environment(container: dict[str, Any], number: int | None = None) -> dict[str, str]:
    """As the pod of this number has it: the only thing that it takes from elsewhere is that."""
    found: dict[str, str] = {}
    for each in container.get("env", ()):
        if "valueFrom" in each:
            assert each["valueFrom"] == _NUMBER
            found[each["name"]] = str(number)
        else:
            found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda match: found[match[1]], each["value"])
    return found


def read(tmp_path: Path, container: dict[str, Any], number: int | None = None) -> Settings:
    """The settings as the service of this container sees them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(container, number).items():
            if name.startswith(ENV_PREFIX) and name != "HEALTHSYNC_DATA":
                patch.setenv(name, value)
        return load_settings(tmp_path)


def step(pod: dict[str, Any], name: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """The script of a step, as it stands there."""
    (found,) = (each for each in pod["initContainers"] if each["name"] == name)
    command = [*found["command"], *found["args"]]
    env = {"PATH": PATH, "LANG": "C.UTF-8"} | environ
    return subprocess.run(command, env=env, cwd="/", check=False, timeout=300, capture_output=True, text=True)
