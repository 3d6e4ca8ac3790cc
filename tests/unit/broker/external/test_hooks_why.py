"""Logins that the access hooks refuse are counted for ``device why``: who they were to be, and from where."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper
from healthsync_mqtt.broker.external.hooks import answer, answered
from healthsync_mqtt.broker.external.question import Question
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.newcomers import Newcomers
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.refused_counts import RefusedLoginCounts
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.commands import invoke

PEER = "192.0.2.7"
JSON, FORM = {"content-type": "application/json"}, {"content-type": "application/x-www-form-urlencoded"}
VERNEMQ = JSON | {"vernemq-hook": "auth_on_register"}
ASKED: dict[str, tuple[str, Mapping[str, str], dict[str, Any], str | None]] = {
    "/emqx/auth": ("clientid", JSON, {"peerhost": PEER}, PEER),
    "/rabbitmq/user": ("client_id", FORM, {}, None),
    "/goauth/user": ("clientid", JSON, {}, None),
    "/vernemq": ("client_id", VERNEMQ, {"peer_addr": PEER, "mountpoint": ""}, PEER),
}
"""By hook: what it calls the client id, its headers, what else it says, and the address that is known then."""


@contextmanager
def house(place: Path) -> Iterator[Gatekeeper]:
    """The gate of an installation with alice's watch, which has a bridge at an external broker."""
    now_us = time.time_ns() // 1000
    with Registry.open(place / "registry.db") as registry:
        registry.add_user("alice", "all", now_us)
        registry.add_device("alice", "watch", now_us)
        keys = LiveKeys(KeyStore(place / "keys"), now_us)
        store, directory = CredentialStore(place / "credentials"), Directory(registry)
        store.ensure("healthsync-bridge-main")
        yield Gatekeeper(
            directory=directory,
            logins=Logins.of(directory, TokenVerifier(keys), store),
            keys=keys,
            store=store,
            rules=AccessRules(TopicRegistry.load()),
            bridges=["main"],
            refused=RefusedLoginCounts(AuditLog.open(place / "audit.db", place / "keys" / "audit.key"), registry),
        )


@pytest.mark.parametrize("path", ASKED)
def test_a_wrong_client_id_is_told_to_who_asks_why(path: str, tmp_path: Path) -> None:
    called, headers, more, address = ASKED[path]
    with house(tmp_path) as gate:
        asked = {called: "mosq-x1Yz", "username": "alice-watch", "password": "secret-word"} | more
        body = urlencode(asked).encode() if headers is FORM else json.dumps(asked).encode()
        for _ in range(3):
            refused = answer(gate, Question(path, headers, body, time.time()))
            assert any(word in refused.body for word in (b"deny", b"false", b"not_allowed"))
        gate.write_refused()
    told = invoke(["device", "why", "alice", "watch", "--json", "--data", str(tmp_path)])
    assert told.exit_code == 0, told.output
    shown = json.loads(told.stdout)
    (line,) = shown["refused"]
    assert (line["count"], line["address"]) == (3, address)
    assert line["meaning"] == "the client id is not the user name"
    assert "user name as its client id" in line["what_to_do"]
    assert "both alice-watch" in shown["elsewhere"]
    words = invoke(["device", "why", "alice", "watch", "--data", str(tmp_path)])
    assert (address or "an address that the broker did not say") in words.stdout
    assert "both alice-watch" in words.stderr
    assert "secret-word" not in words.output + told.output


async def test_a_token_that_stays_unknown_after_the_registry_was_read_is_told_once(tmp_path: Path) -> None:
    with house(tmp_path) as gate:
        foreign = TokenIssuer(LiveKeys(KeyStore(tmp_path / "others"), time.time_ns() // 1000))
        watch = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")
        token = foreign.issue(watch, lifetime_s=60, now=time.time()).token
        asked = {"clientid": "alice-watch", "username": "alice-watch", "password": token, "peerhost": PEER}
        newcomers = Newcomers(gate.chain)
        said = await answered(gate, Question("/emqx/auth", JSON, json.dumps(asked).encode(), time.time()), newcomers)
        newcomers.close()
        assert b"deny" in said.body
        gate.write_refused()
        with Registry.open(tmp_path / "registry.db") as registry:
            (line,) = registry.refused_logins.of("alice-watch")
    assert (line.count, line.address) == (1, PEER)


def test_where_the_broker_is_ours_nobody_is_sent_elsewhere(tmp_path: Path) -> None:
    for line in ("user add alice --consent all", "device add alice watch", "device why alice watch --json"):
        result = invoke([*line.split(), "--data", str(tmp_path / "data")])
        assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["elsewhere"] is None
