"""The transit engine of HashiCorp Vault itself, with no core around it, on loopback: see ``key_servers/transit.go``.

It is built once a machine, which takes a quarter of an hour beside other work: only where ``HEALTHSYNC_TEST_BUILDS`` is
set, and it is used wherever it is there.
"""

import json
import os
import secrets
import subprocess
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from tests.support import child
from tests.support.fetched import BUILDS, LONG_BUILD, go_module, kept

SOURCE = Path(__file__).parent / "key_servers" / "transit.go"
VERSION = "v1.21.4"
SDK = "github.com/hashicorp/vault/sdk v0.25.1"
"""Vault is built with what lies beside it in its repository, and asks for an older one by its number."""


def program() -> Path:
    """The engine behind HTTP."""
    built = kept("go", "transit") / "transit"
    if built.exists():
        return built
    if not os.environ.get(BUILDS):
        pytest.skip(f"Vault's transit engine {LONG_BUILD}; {BUILDS}=1 does it, once")
    return go_module("transit", {"main.go": SOURCE.read_text()}, "github.com/hashicorp/vault", VERSION, also=(SDK,))


class VaultTransit:
    """One engine with a key of its own, for the time of the ``with``."""

    def __init__(self) -> None:
        self.token = f"hvs.{secrets.token_hex(12)}"
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = child.start([str(program()), self.token], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        with self._process.stdout as ready:  # it says this one line
            self.url = f"http://{ready.readline().strip()}"
        self.ask("keys/healthsync")
        return self

    def __exit__(self, *_: object) -> None:
        child.end(self._process)

    def ask(self, path: str, **said: object) -> None:
        """As ``vault write transit/PATH`` does."""
        self._call("POST", path, json.dumps(said).encode())

    def delete(self, path: str) -> None:
        """As ``vault delete transit/PATH`` does."""
        self._call("DELETE", path)

    def _call(self, method: str, path: str, body: bytes | None = None) -> None:
        url = f"{self.url}/v1/transit/{path}"
        request = urllib.request.Request(url, body, {"X-Vault-Token": self.token}, method=method)
        with urllib.request.urlopen(request, timeout=60):
            pass
