"""A pod of the chart on this machine: volumes are directories, containers processes with the words of the chart."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.support import child
from tests.support.chart.pods import PATH, environment
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port
from tests.support.service import HEALTHSYNC

_METRICS: Final = "9464"
_HTTPS: Final = "8443"
_MOUNTED: Final = re.compile(r"(?<![\w/.])/(volume|tmp|given|database(?:-secret|-ca)?|broker-ca)(?![\w-])")

Secrets = Mapping[str, Mapping[str, bytes]]
"""By name: the files of each."""


class RunningPod:
    """What stands at / in the pod stands below ``root`` here; metrics and HTTPS are on free ports."""

    def __init__(self, root: Path, spec: dict[str, Any], secrets: Secrets, number: int | None = None) -> None:
        self.root = root
        self._spec = spec
        self._secrets = secrets
        self._number = number
        self._ports = {name: str(free_port()) for name in (_METRICS, _HTTPS)}
        self._processes: list[subprocess.Popen[Any]] = []

    @property
    def https(self) -> str:
        return f"https://localhost:{self._ports[_HTTPS]}"

    @property
    def data(self) -> Path:
        return self.root / "volume" / "data"

    def log(self) -> str:
        file = self.root.with_suffix(".log")
        return file.read_text(errors="replace")[-4000:] if file.exists() else ""

    def begin(self) -> None:
        """Mount the volumes, and do the steps before the containers. AssertionError where one of them fails."""
        volumes = {each["name"]: each for each in self._spec["volumes"]}
        for container in (*self._spec.get("initContainers", ()), *self._spec["containers"]):
            for mount in container["volumeMounts"]:
                self._mount(self.root / mount["mountPath"].lstrip("/"), volumes.get(mount["name"], {}))
        for each in self._spec.get("initContainers", ()):
            if each["securityContext"]["runAsUser"]:
                done = self._run([*each["command"], *map(self._here, each["args"])], each)
                assert done.returncode == 0, (each["name"], done.stdout, done.stderr)
            else:
                self._make(each["command"])

    def once(self, name: str) -> str:
        """A container that ends; what it says."""
        container = self._container(name)
        done = self._run([*HEALTHSYNC, *map(self._here, container["args"])], container)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        return done.stdout + done.stderr

    @contextmanager
    def runs(self) -> Iterator[None]:
        """Its containers; they end with the ``with``."""
        try:
            self.start()
            yield
        except BaseException:
            sys.stderr.write(self.log())
            raise
        finally:
            self.end(15)

    def start(self) -> None:
        with self.root.with_suffix(".log").open("ab") as log:
            for each in self._spec["containers"]:
                words = [*HEALTHSYNC, *map(self._here, each["args"])]
                self._processes.append(
                    child.start(words, env=self._environment(each), cwd=self.root, stdout=log, stderr=log)
                )

    def end(self, number: int) -> None:
        while self._processes:
            child.end(self._processes.pop(), number)

    def wait_ready(self) -> None:
        """As the readiness probes of its containers say."""
        for each in self._spec["containers"]:
            if "readinessProbe" in each:
                command = each["readinessProbe"]["exec"]["command"]
                words = [sys.executable, *map(self._asked, command[1:])]
                wait_until(partial(_ends_well, words), f"{self.root.name} is ready")

    def tell(self, container: str, *words: str) -> list[Any]:
        """As ``kubectl exec`` does, in the environment of a container; what a command of ours prints."""
        done = self._run([*HEALTHSYNC, *words, "--json"], self._container(container))
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _container(self, name: str) -> dict[str, Any]:
        found: dict[str, Any]
        (found,) = (each for each in self._spec["containers"] if each["name"] == name)
        return found

    def _run(self, words: Iterable[str], container: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
        env = self._environment(container)
        return subprocess.run(
            list(words), env=env, cwd=self.root, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )

    def _environment(self, container: dict[str, Any]) -> dict[str, str]:
        own = {name: self._here(value) for name, value in environment(container, self._number).items()}
        for name in ("HEALTHSYNC_METRICS__PORT", "HEALTHSYNC_GATEWAY__PORT"):
            if name in own:
                own[name] = self._ports[own[name]]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEALTHSYNC_")}
        return kept | {"PATH": PATH, "GIVEN": str(self.root / "given")} | own

    def _asked(self, word: str) -> str:
        for port, here in self._ports.items():
            word = word.replace(port, here)
        return word

    def _here(self, text: str) -> str:
        return _MOUNTED.sub(lambda found: f"{self.root}{found[0]}", text)

    def _mount(self, place: Path, volume: Mapping[str, Any]) -> None:
        if "secret" not in volume:
            place.mkdir(parents=True, exist_ok=True)
            return
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        files = self._secrets[volume["secret"]["secretName"]]
        items = volume["secret"].get("items") or [{"key": name, "path": name} for name in files]
        for each in items:
            (place / each["path"]).write_bytes(files[each["key"]])

    def _make(self, command: list[str]) -> None:
        """What root does for the account, which here is ours."""
        words = [self._here(word) for at, word in enumerate(command) if command[at - 1] not in {"-o", "-g"}]
        subprocess.run([word for word in words if word not in {"-o", "-g"}], check=True)


def _ends_well(words: list[str]) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
