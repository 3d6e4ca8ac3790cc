"""The hooks after a restart: what was revoked meanwhile is thrown out; a registry that is lost lets nobody in."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.broker.external import remembered_logins
from healthsync_mqtt.broker.external.gatekeeper import STALE_S, Gatekeeper
from healthsync_mqtt.broker.external.hook_server import application
from healthsync_mqtt.broker.external.remembered_logins import RememberedLogins
from healthsync_mqtt.errors import ConfigError, StoreError, TokenError
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login import app_login
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.passwords import hashed_password, new_password
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.declaration import NOTHING_DECLARED
from healthsync_mqtt.model.erasure import ErasureStep
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.patience import PATIENCE_S, until


class Hooks:
    """An installation whose hooks can be started anew."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_us = time.time_ns() // 1000
        self.now = self.now_us / 1e6
        self.registry = Registry.open(root / "registry.db")
        self.registry.add_user("alice", "all", self.now_us)
        self.keys = LiveKeys(KeyStore(root / "keys"), self.now_us)
        self.issuer = TokenIssuer(self.keys)
        self.tokens = {}
        for name in ("watch", "scale", "old", "band"):
            device = self.registry.add_device("alice", name, self.now_us)
            lifetime = 1 if name == "old" else 3600
            self.tokens[f"alice-{name}"] = self.issuer.issue(device.principal, lifetime_s=lifetime, now=self.now)

    @property
    def file(self) -> Path:
        return self.root / "hook-logins.jsonl"

    def start(self, clock: Callable[[], float] = time.monotonic) -> Gatekeeper:
        directory = Directory(self.registry)
        store = CredentialStore(self.root / "credentials")
        return Gatekeeper(
            directory=directory,
            logins=Logins.of(directory, TokenVerifier(self.keys), store),
            keys=self.keys,
            store=store,
            rules=AccessRules(TopicRegistry.load()),
            bridges=["main"],
            remembered=self.remembered(),
            clock=clock,
        )

    def remembered(self) -> RememberedLogins:
        return RememberedLogins(self.file, self.registry.erasures.erased_clients)

    def erase(self, user: str) -> None:
        """The registry's part of it, to its end."""
        erasure = self.registry.erase(user, self.now_us)
        while erasure.step is not ErasureStep.registry:
            erasure = self.registry.erasures.advance(erasure, self.now_us)
        self.registry.erasures.forget(erasure, self.now_us)

    def all_in(self, gate: Gatekeeper) -> None:
        for name, issued in self.tokens.items():
            gate.login(name, name, issued.token, self.now)
        assert gate.refresh() == frozenset()


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    return Hooks(tmp_path)


def test_what_was_revoked_while_the_hooks_were_down_is_thrown_out_after(hooks: Hooks) -> None:
    hooks.all_in(hooks.start())
    hooks.registry.revocation.revoke_token(hooks.tokens["alice-watch"].jti, hooks.now_us)
    hooks.registry.revocation.revoke_device_tokens("alice", "scale", hooks.now_us)
    gate = hooks.start()
    assert gate.refresh() == {"alice-watch", "alice-scale"}
    assert gate.refresh() == frozenset()
    assert gate.who("alice-band", "alice-band", hooks.now) is not None


def test_a_login_that_is_remembered_is_still_found_when_its_token_is_revoked_later(hooks: Hooks) -> None:
    hooks.all_in(hooks.start())
    gate = hooks.start()
    assert gate.refresh() == frozenset()
    hooks.registry.revocation.revoke_token(hooks.tokens["alice-watch"].jti, hooks.now_us)
    assert gate.refresh() == {"alice-watch"}


def test_a_cut_line_costs_only_itself_and_no_secret_is_in_the_file(hooks: Hooks) -> None:
    hooks.all_in(hooks.start())
    text = hooks.file.read_text()
    assert not any(issued.token in text for issued in hooks.tokens.values())
    assert hooks.file.stat().st_mode & 0o777 == 0o600
    hooks.file.write_text(text + '["alice-ba')
    gate = hooks.start()
    gate.login("alice-watch", "alice-watch", hooks.tokens["alice-watch"].token, hooks.now)
    gate.refresh()
    hooks.registry.revocation.revoke_token(hooks.tokens["alice-watch"].jti, hooks.now_us)
    assert hooks.start().refresh() == {"alice-watch"}


def test_a_full_disk_hides_no_revocation(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = hooks.start()

    def full(*_: object) -> None:
        raise StoreError("no space", hint="make some")

    monkeypatch.setattr(RememberedLogins, "add", full)
    gate.login("alice-watch", "alice-watch", hooks.tokens["alice-watch"].token, hooks.now)
    hooks.registry.revocation.revoke_token(hooks.tokens["alice-watch"].jti, hooks.now_us)
    with pytest.raises(StoreError):
        gate.refresh()
    monkeypatch.undo()
    assert gate.refresh() == {"alice-watch"}
    assert hooks.file.exists()


def test_the_file_does_not_grow_for_ever(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthsync_mqtt.broker.external.remembered_logins._SPARE", 10)
    gate = hooks.start()
    for _ in range(50):
        gate.login("alice-watch", "alice-watch", hooks.tokens["alice-watch"].token, hooks.now)
        gate.refresh()
    assert len(hooks.file.read_text().split()) < 80


def test_a_name_that_was_erased_is_written_down_no_more(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither with a login of just before, nor where the file is written anew, nor where it has gone meanwhile."""
    monkeypatch.setattr("healthsync_mqtt.broker.external.remembered_logins._SPARE", 3)
    hooks.registry.add_user("bob", "all", hooks.now_us)
    cup = hooks.registry.add_device("bob", "cup", hooks.now_us)
    bob = hooks.issuer.issue(cup.principal, lifetime_s=3600, now=hooks.now)
    gate = hooks.start()
    hooks.all_in(gate)
    gate.login("alice-watch", "alice-watch", hooks.tokens["alice-watch"].token, hooks.now)
    hooks.erase("alice")
    hooks.remembered().forget_erased()
    assert "alice" not in hooks.file.read_text()
    assert "alice-watch" in gate.refresh(), "whoever is connected is thrown out"
    assert "alice" not in hooks.file.read_text()
    for _ in range(20):
        gate.login("bob-cup", "bob-cup", bob.token, hooks.now)
        gate.refresh()
    hooks.file.unlink()
    gate.login("bob-cup", "bob-cup", bob.token, hooks.now)
    gate.refresh()
    assert list(hooks.remembered().read(hooks.now)) == ["bob-cup"]


def test_who_is_removed_stays_written_down_until_thrown_out(hooks: Hooks) -> None:
    hooks.all_in(hooks.start())
    hooks.registry.remove_user("alice", hooks.now_us)
    hooks.remembered().forget_erased()
    assert "alice-watch" in hooks.start().refresh()


def test_logins_that_are_written_down_while_a_name_is_forgotten_stay(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced; who adds a line meanwhile waits, and adds it to the new one."""
    hooks.registry.add_user("bob", "all", hooks.now_us)
    cup = hooks.registry.add_device("bob", "cup", hooks.now_us)
    hooks.all_in(hooks.start())
    hooks.erase("alice")
    gate = hooks.start()
    gate.login("bob-cup", "bob-cup", hooks.issuer.issue(cup.principal, lifetime_s=3600, now=hooks.now).token, hooks.now)
    adding = threading.Thread(target=gate.refresh)
    real = remembered_logins.write_durably

    def meanwhile(path: Path, content: bytes) -> None:
        adding.start()
        adding.join(0.1)
        real(path, content)

    monkeypatch.setattr(remembered_logins, "write_durably", meanwhile)
    hooks.remembered().forget_erased()
    adding.join(PATIENCE_S)
    assert list(hooks.remembered().read(hooks.now)) == ["bob-cup"]


async def ask(app: Any, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request to an ASGI application."""
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "root_path": ""}
    headers = [(b"content-type", b"application/json")]
    await app(scope | {"query_string": b"", "headers": headers, "http_version": "1.1"}, receive, send)
    return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])


async def test_after_30_s_without_the_registry_nobody_is_let_in_and_health_says_503(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    gate = hooks.start(lambda: clock[0])
    issued = hooks.tokens["alice-watch"]
    app = application(gate, "secret")
    asked = json.dumps({"clientid": "alice-watch", "username": "alice-watch", "password": issued.token}).encode()

    async def result() -> str:
        status, body = await ask(app, "POST", "/secret/emqx/auth", asked)
        assert status == 200
        return str(json.loads(body)["result"])

    def broken() -> None:
        raise StoreError("the registry is away", hint="bring it back")

    monkeypatch.setattr(gate._directory, "catch_up", broken)
    monkeypatch.setattr(gate.chain, "catch_up", broken)
    clock[0] += STALE_S
    assert await ask(app, "GET", "/health") == (200, b"ok\n")
    assert await result() == "allow"
    assert gate.who("alice-watch", "alice-watch", hooks.now) is not None
    with pytest.raises(StoreError):
        gate.refresh()
    clock[0] += 0.1
    assert await result() == "deny"
    assert gate.who("alice-watch", "alice-watch", hooks.now) is None
    with pytest.raises(TokenError):
        gate.login("alice-watch", "alice-watch", issued.token, hooks.now)
    assert await ask(app, "GET", "/health") == (503, b"the registry cannot be followed\n")
    monkeypatch.undo()
    gate.refresh()
    assert await result() == "allow"
    assert (await ask(app, "GET", "/health"))[0] == 200


async def emqx(app: Any, client_id: str, password: str) -> str:
    """What the hook of EMQX says of a login; it always says it with a 200."""
    asked = json.dumps({"clientid": client_id, "username": client_id, "password": password}).encode()
    status, body = await ask(app, "POST", "/secret/emqx/auth", asked)
    assert status == 200
    return str(json.loads(body)["result"])


def test_who_was_revoked_may_do_nothing_although_the_broker_has_not_thrown_him_out(hooks: Hooks) -> None:
    hooks.all_in(hooks.start())
    hooks.registry.revocation.revoke_token(hooks.tokens["alice-scale"].jti, hooks.now_us)
    gate = hooks.start()
    assert gate.who("alice-scale", "alice-scale", hooks.now) is None, "revoked while the hooks were down"
    hooks.registry.revocation.revoke_token(hooks.tokens["alice-watch"].jti, hooks.now_us)
    assert gate.refresh() == {"alice-watch", "alice-scale"}
    for _ in range(2):
        assert gate.who("alice-watch", "alice-watch", hooks.now) is None
        assert gate.who("alice-scale", "alice-scale", hooks.now) is None
        assert gate.refresh() == frozenset()
    again = hooks.issuer.issue(hooks.registry.device("alice", "watch").principal, lifetime_s=60, now=hooks.now)
    gate.login("alice-watch", "alice-watch", again.token, hooks.now)
    assert gate.who("alice-watch", "alice-watch", hooks.now) is not None, "with another token"


async def test_a_loose_key_file_hides_no_revocation_and_closes_the_gate_until_it_is_private_again(hooks: Hooks) -> None:
    clock = [100.0]
    gate = hooks.start(lambda: clock[0])
    app = application(gate, "secret")
    hooks.all_in(gate)
    index = hooks.root / "keys" / "keyring.json"
    os.utime(index, ns=(0, 0))  # it is read again when it was changed
    index.chmod(0o640)
    hooks.registry.revocation.revoke_token(hooks.tokens["alice-watch"].jti, hooks.now_us)
    with pytest.raises(ConfigError, match="open to other accounts"):
        gate.refresh()
    assert gate.who("alice-watch", "alice-watch", hooks.now) is None, "revoked"
    assert gate.who("alice-band", "alice-band", hooks.now) is not None
    clock[0] += STALE_S + 1
    assert await emqx(app, "alice-band", hooks.tokens["alice-band"].token) == "deny"
    assert (await ask(app, "GET", "/health"))[0] == 503
    index.chmod(0o600)
    assert gate.refresh() == {"alice-watch"}, "who was revoked meanwhile is thrown out"
    assert await emqx(app, "alice-band", hooks.tokens["alice-band"].token) == "allow"
    assert (await ask(app, "GET", "/health"))[0] == 200


@pytest.mark.parametrize("name", ["healthsync-bridge-main", "alice-scale"])
@pytest.mark.parametrize("harm", ["mode", "link", "directory", "gone"])
async def test_a_loose_credential_costs_its_own_login_only_and_until_it_is_private_again(
    hooks: Hooks, name: str, harm: str
) -> None:
    gate = hooks.start()
    app = application(gate, "secret")
    store = CredentialStore(hooks.root / "credentials")
    password, _ = store.ensure(name)
    file, aside = hooks.root / "credentials" / name, hooks.root / "aside"
    assert await emqx(app, name, password) == "allow"
    match harm:
        case "mode":
            file.chmod(0o644)
        case "link":
            file.rename(aside)
            file.symlink_to(aside)
        case "directory":
            file.rename(aside)
            file.mkdir()
        case _:
            file.rename(aside)
    for _ in range(3):
        assert gate.refresh() == frozenset(), "what one file is holds nothing up"
        assert await emqx(app, name, password) == "deny"
    for other in ("alice-watch", "alice-scale"):
        assert await emqx(app, other, hooks.tokens[other].token) == "allow", "a token needs no credential"
    if harm == "directory":
        file.rmdir()
    if harm == "mode":
        file.chmod(0o600)
    else:
        aside.replace(file)
    gate.refresh()
    assert await emqx(app, name, password) == "allow"


@pytest.fixture
def phones(hooks: Hooks) -> dict[str, str]:
    """Apps with their passwords."""
    found = {}
    for name in ("phone", "tablet"):
        device, password = hooks.registry.add_device("alice", name, hooks.now_us), new_password()
        hooks.registry.apps.add(device, ["openscale"], NOTHING_DECLARED, hashed_password(password), hooks.now_us)
        found[f"alice-{name}"] = password
    return found


async def test_while_a_password_is_checked_everybody_else_is_answered(
    hooks: Hooks, phones: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each took 40 ms of the loop in which all of the broker's questions are answered."""
    gate, go_on, threads = hooks.start(), threading.Event(), set[int]()
    fits = app_login.password_fits

    def held(text: str, kept: str) -> bool:
        threads.add(threading.get_ident())
        assert go_on.wait(PATIENCE_S)
        return fits(text, kept)

    monkeypatch.setattr(app_login, "password_fits", held)
    app = application(gate, "secret")
    asked = asyncio.ensure_future(emqx(app, "alice-phone", phones["alice-phone"]))
    await until(lambda: bool(threads), "it is being checked")
    assert await emqx(app, "alice-watch", hooks.tokens["alice-watch"].token) == "allow"
    assert not asked.done()
    go_on.set()
    assert await asked == "allow"
    assert threading.get_ident() not in threads
    assert await emqx(app, "alice-phone", phones["alice-tablet"]) == "deny"
    assert await emqx(app, "alice-nobody", phones["alice-phone"]) == "deny"


async def test_guesses_are_bounded_and_who_knows_a_password_is_let_in_beside_them(
    hooks: Hooks, phones: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, go_on, checked = hooks.start(), threading.Event(), list[str]()

    def held(text: str, kept: str) -> bool:
        assert go_on.wait(PATIENCE_S)
        checked.append(text)
        return fits(text, kept)

    fits = app_login.password_fits
    monkeypatch.setattr(app_login, "password_fits", held)
    app = application(gate, "secret")
    guesses = [asyncio.ensure_future(emqx(app, "alice-phone", new_password())) for _ in range(50)]
    await until(
        lambda: sum(each.done() for each in guesses) == 48, "two of a name wait, the others are refused at once"
    )
    asked = asyncio.ensure_future(emqx(app, "alice-tablet", phones["alice-tablet"]))
    go_on.set()
    assert await asked == "allow"
    assert set(await asyncio.gather(*guesses)) == {"deny"}
    assert len(checked) == 3


async def test_a_device_that_is_new_is_let_in_after_a_reading_beside_the_loop(hooks: Hooks) -> None:
    gate = hooks.start()
    device = hooks.registry.add_device("alice", "newest", hooks.now_us)
    token = hooks.issuer.issue(device.principal, lifetime_s=3600, now=hooks.now).token
    assert await emqx(application(gate, "secret"), "alice-newest", token) == "allow"
