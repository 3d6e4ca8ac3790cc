"""HashiCorp Vault on loopback: core, HTTP API and transit engine of the released module (``key_servers/vault.go``).

It is built once a machine, which takes minutes: only where ``HEALTHSYNC_TEST_BUILDS`` is set, and it is used wherever
it is there. What is left out is what other packages bring: other engines and logins, and other storage than memory.
"""

import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support import child
from tests.support.fetched import BUILDS, LONG_BUILD, go_module, kept

SOURCE = Path(__file__).parent / "key_servers" / "vault.go"
VERSION = "v1.21.4"
SDK = "github.com/hashicorp/vault/sdk v0.25.1"
"""Vault is built with what lies beside it in its repository, and asks for an older one by its number."""


def program() -> Path:
    """The server."""
    built = kept("go", "vault") / "vault"
    if built.exists():
        return built
    if not os.environ.get(BUILDS):
        pytest.skip(f"HashiCorp Vault {LONG_BUILD}; {BUILDS}=1 does it, once")
    return go_module("vault", {"main.go": SOURCE.read_text()}, "github.com/hashicorp/vault", VERSION, also=(SDK,))


class Vault:
    """One server with a key for us, for the time of the ``with``. ``token`` may what ``policy`` says, by path."""

    def __init__(self, policy: dict[str, list[str]]) -> None:
        self.url = self.token = self._root = self._unseal_key = ""
        self._policy = policy
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = child.start([str(program())], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        with self._process.stdout as ready:  # it says this one line
            address, self._root, self._unseal_key = ready.readline().split()
        self.url = f"http://{address}"
        self.ask("sys/mounts/transit", type="transit")
        self.ask("transit/keys/healthsync")
        rules = {path: {"capabilities": may} for path, may in self._policy.items()}
        self.ask("sys/policies/acl/healthsync", policy=json.dumps({"path": rules}))
        self.token = self.ask("auth/token/create", policies=["healthsync"])["auth"]["client_token"]
        return self

    def __exit__(self, *_: object) -> None:
        child.end(self._process)

    def ask(self, path: str, **said: object) -> dict[str, Any]:
        """As ``vault write PATH`` does."""
        return self._call("POST", path, json.dumps(said).encode())

    def delete(self, path: str) -> None:
        """As ``vault delete PATH`` does."""
        self._call("DELETE", path)

    def seal(self) -> None:
        """It opens nothing more until ``unseal``, as after a restart."""
        self.ask("sys/seal")

    def unseal(self) -> None:
        """It goes on."""
        self.ask("sys/unseal", key=self._unseal_key)

    def _call(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/v1/{path}", body, {"X-Vault-Token": self._root}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            said: dict[str, Any] = json.loads(answer.read() or b"{}")
        return said
