"""Users, devices and subscribers from the command line: removed, suspended, explained; each with its audit row."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import healthsync_mqtt
from healthsync_mqtt.broker.embedded.tls_failures import TlsFailure
from healthsync_mqtt.broker.embedded.wire import Tongue
from healthsync_mqtt.cli.advice import DOOR, LOGINS, advice
from healthsync_mqtt.errors import StoreError, TokenError
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.keys.store import KeyStore
from healthsync_mqtt.identity.login.refused_logins import RefusedLogin
from healthsync_mqtt.identity.login.tokens import TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.telemetry.metrics import CONNECTION_LIMITS, TLS_FAILURES
from tests.support.answering import answering
from tests.support.entrance import Entrance

Lines = Callable[..., list[dict[str, Any]]]
Run = Callable[..., Any]


@pytest.fixture
def alice(lines: Lines) -> None:
    lines("user", "add", "alice", "--consent", "all")


def actions(lines: Lines) -> list[str]:
    return [row["action"] for row in lines("audit", "list")]


def enters(data: Path, identity: dict[str, Any]) -> bool:
    """Whether a login that was printed is good now."""
    with Registry.open(data / "registry.db") as registry:
        keys = KeyStore.of_environment(data / "keys").keyring(time.time_ns() // 1000)
        name, token = identity["client_id"], identity["token"].encode()
        try:
            return bool(Entrance(registry, TokenVerifier(keys)).authenticate(name, name, token, time.time() + 1))
        except TokenError:
            return False


@pytest.mark.usefixtures("alice")
def test_a_user_is_removed_with_devices_tokens_and_consents(lines: Lines, run: Run, data: Path) -> None:
    (device,) = lines("device", "add", "alice", "watch")
    assert enters(data, device)
    assert run("user", "remove", "alice").exit_code == 2, "nobody can be asked here"
    assert enters(data, device)
    (removed,) = lines("user", "remove", "alice", "--yes")
    assert (removed["removed"], removed["devices"]) == (True, ["watch"])
    assert not enters(data, device)
    assert lines("user", "list") == lines("device", "list") == []
    assert {line["action"] for line in lines("consent", "history", "alice")} == {"grant", "withdraw"}
    for words in (("user", "show"), ("user", "remove"), ("user", "suspend")):
        assert run(*words, "alice", *(["--yes"] if words[1] in {"remove", "suspend"} else [])).exit_code == 1
    assert actions(lines)[-1] == "user.removed"
    lines("user", "add", "alice", "--consent", "none")
    assert lines("device", "list") == []
    (back,) = lines("device", "add", "alice", "watch")
    assert enters(data, back)
    assert not enters(data, device), "what was handed out before stays void"


def test_a_subscriber_is_shown_suspended_resumed_and_removed(lines: Lines, run: Run, data: Path) -> None:
    (made,) = lines("subscriber", "add", "app", "--users", "*")
    assert enters(data, made)
    assert lines("subscriber", "show", "app")[0]["suspended_at"] is None
    assert lines("subscriber", "suspend", "app")[0]["suspended_at"]
    assert not enters(data, made)
    assert lines("subscriber", "why", "app")[0]["state"].startswith("it is suspended")
    lines("subscriber", "resume", "app")
    assert enters(data, made)
    assert run("subscriber", "remove", "app").exit_code == 2
    assert lines("subscriber", "remove", "app", "--yes")[0]["removed"] is True
    assert not enters(data, made)
    for verb in ("show", "why", "suspend", "resume", "remove", "token"):
        assert run("subscriber", verb, "app", *(["--yes"] if verb == "remove" else [])).exit_code == 1, verb
    (again,) = lines("subscriber", "add", "app", "--users", "*")
    assert enters(data, again)
    assert not enters(data, made)
    named = [action for action in actions(lines) if action.startswith("subscriber")]
    assert named == [f"subscriber.{verb}" for verb in ("added", "suspended", "resumed", "removed", "added")]


@pytest.mark.usefixtures("alice")
def test_why_tells_the_last_refusals_and_what_to_do(lines: Lines, run: Run, data: Path) -> None:
    lines("device", "add", "alice", "watch")
    (quiet,) = lines("device", "why", "alice", "watch")
    assert (quiet["state"], quiet["refused"], quiet["online"]) == ("it may connect", [], None)
    now = time.time_ns() // 1000
    with Registry.open(data / "registry.db") as registry:
        registry.refused_logins.note(
            [
                RefusedLogin(
                    client_id="alice-watch",
                    reason="the token has expired",
                    address="192.0.2.7",
                    count=3,
                    first_us=now - 9_000_000,
                    last_us=now,
                )
            ]
        )
    (told,) = lines("device", "why", "alice", "watch")
    (refusal,) = told["refused"]
    assert (refusal["claimed_client_id"], refusal["address"], refusal["count"]) == ("alice-watch", "192.0.2.7", 3)
    assert "healthsync device token" in refusal["what_to_do"]
    words = run("device", "why", "alice", "watch").stdout
    assert "the token has expired" in words
    assert "192.0.2.7" in words
    (listed,) = lines("device", "list")
    assert (listed["refused_lately"], listed["online"], listed["last_event_at"]) == (3, None, None)
    lines("user", "suspend", "alice")
    assert lines("device", "why", "alice", "watch")[0]["state"].startswith("the user is suspended")
    assert run("device", "why", "alice", "nothing").exit_code == 1


@pytest.mark.usefixtures("alice")
def test_an_app_is_explained_with_the_commands_of_apps(lines: Lines, data: Path) -> None:
    lines("app", "add", "alice", "phone", "--format", "json")
    now = time.time_ns() // 1000
    said = ("the credential does not fit", "the password does not fit", "the token has expired", "there is no password")
    noted = [
        RefusedLogin(client_id="alice-phone", reason=reason, address="", count=1, first_us=now, last_us=now)
        for reason in (*said, "the token's holder is not registered", "the device is suspended", "alg is not EdDSA")
    ]
    with Registry.open(data / "registry.db") as registry:
        registry.refused_logins.note(noted)
    lines("app", "suspend", "alice", "phone")
    for noun in ("app", "device"):
        (told,) = lines(noun, "why", "alice", "phone")
        assert told["state"].startswith("it is suspended: healthsync app resume")
        fixes = " ".join(each["what_to_do"] for each in told["refused"])
        assert not re.search("device (token|add|resume)|the token|USER|NAME", fixes), fixes
        assert {"rotate", "resume", "add"} <= set(re.findall(r"healthsync app (\w+)", fixes))


def test_every_refusal_of_ours_has_advice() -> None:
    assert len({start for start, _ in LOGINS}) == len(LOGINS)
    for failure in TlsFailure:
        assert f"tls_{failure}" in DOOR
    said = ("will_not_allowed", "token_cloned", "bad_version", "no_client_id", "moved")
    for reason in (*Tongue, *CONNECTION_LIMITS, *said):
        assert reason in DOOR or reason in {"tls_handshake", "wrong_protocol"}, reason
    admission = (Path(healthsync_mqtt.__file__).parent / "broker/embedded/admission.py").read_text(encoding="utf-8")
    assert set(re.findall(r'Refusal\([\w.]+, "(\w+)"', admission)) - set(DOOR) == set()
    raised = set()
    for module in (Path(healthsync_mqtt.__file__).parent / "identity" / "login").glob("*.py"):
        raised |= set(re.findall(r'(?:TokenError|_refuse|Denied)\("([^"]+)"', module.read_text(encoding="utf-8")))
    assert len(raised) > 30
    fallback = advice("something else").fix
    assert {reason for reason in raised if advice(reason).fix == fallback} == set()


def test_the_metric_knows_every_way_that_tls_fails() -> None:
    assert set(TLS_FAILURES) == set(TlsFailure)


@pytest.mark.usefixtures("alice")
def test_a_change_that_cannot_be_written_down_does_not_happen(
    lines: Lines, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines("device", "add", "alice", "watch")

    def broken(*_: object) -> None:
        raise StoreError("no space")

    with monkeypatch.context() as patched:
        patched.setattr(AuditLog, "open", broken)
        for words in (("user", "remove"), ("user", "suspend"), ("consent", "withdraw"), ("device", "remove")):
            name = ["alice", "watch"] if words[0] == "device" else ["alice"]
            yes = [] if words[0] == "consent" else ["--yes"]
            assert run(*words, *name, *yes).exit_code != 0
    assert lines("user", "show", "alice")[0]["suspended_at"] is None
    assert lines("user", "list")[0]["devices"] == ["watch"]
    assert {line["state"] for line in lines("consent", "show", "alice")} == {"granted"}


@pytest.mark.usefixtures("alice")
def test_a_note_that_was_left_behind_goes_with_the_next_one(
    lines: Lines, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreError("no space")

    before = actions(lines)
    with monkeypatch.context() as patched:
        patched.setattr(AuditLog, "take", broken)
        run("user", "suspend", "alice", "--yes")
    assert actions(lines) == before
    lines("user", "resume", "alice")
    assert actions(lines)[len(before) :] == ["user.suspended", "user.resumed"]


@pytest.mark.usefixtures("alice")
def test_the_lifetime_of_a_token_is_the_settings(lines: Lines, data: Path) -> None:
    def lives(*words: str) -> int:
        (made,) = lines("device", *words)
        with Registry.open(data / "registry.db"):
            keys = KeyStore.of_environment(data / "keys").keyring(time.time_ns() // 1000)
        claims = TokenVerifier(keys).verify(made["token"], now=time.time())
        return claims.expires_at - claims.issued_at

    assert lives("add", "alice", "watch") == 86_400
    (data / "healthsync.toml").write_text("[token]\nlifetime_s = 1234\n")
    assert lives("add", "alice", "phone") == 1234
    assert lives("token", "alice", "phone") == 1234
    assert lives("token", "alice", "phone", "--lifetime", "2h") == 7200
    (app,) = lines("subscriber", "add", "app", "--users", "*")
    keys = KeyStore.of_environment(data / "keys").keyring(time.time_ns() // 1000)
    claims = TokenVerifier(keys).verify(app["token"], now=time.time())
    assert claims.expires_at - claims.issued_at == 1234


def test_the_refresh_token_of_device_add_is_good_for_an_exchange(lines: Lines, data: Path) -> None:
    from healthsync_mqtt.identity.exchange import TokenExchange
    from healthsync_mqtt.identity.login.tokens import TokenIssuer

    lines("user", "add", "alice", "--consent", "all")
    (made,) = lines("device", "add", "alice", "watch")
    with Registry.open(data / "registry.db") as registry:
        keys = KeyStore.of_environment(data / "keys").keyring(time.time_ns() // 1000)
        audit = AuditLog.open(data / "audit.db", data / "keys" / "audit.key")
        granted = TokenExchange(registry, TokenIssuer(keys), audit).exchange(made["refresh_token"], time.time())
    assert granted.client_id == made["client_id"]
    assert enters(data, {"client_id": granted.client_id, "token": granted.token})


def test_clients_need_a_running_service(run: Run) -> None:
    for words in (("client", "list"), ("client", "kick", "x", "--yes"), ("client", "kick", "x")):
        assert run(*words).exit_code == 69


def test_who_is_connected_is_kicked_when_somebody_said_yes(lines: Lines, run: Run, data: Path) -> None:
    lines("user", "add", "alice", "--consent", "all")
    with answering(data, "x"):
        refused = run("client", "kick", "x")
    assert (refused.exit_code, "client kick x --yes" in refused.stderr) == (2, True)
