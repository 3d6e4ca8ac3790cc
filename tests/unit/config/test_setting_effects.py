"""Settings at another value than their default, where no client is needed to see the effect."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.decode.delivery import decode
from bridge.service import event_limits
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.broker.external.access import external_target, external_tls
from healthsync_mqtt.broker.external.identities import bridge_client_id
from healthsync_mqtt.config.sections import EventSettings, LimitSettings
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.mqtt.links.port import LastWill
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry

NOW = 1_800_000_000_000_000
ORIGIN = Origin(user="alice", device="watch", provider=None, topic="users/alice/devices/watch/events")
EVENT = {"id": "e", "type": "heart_rate", "start_time": "2026-01-01T06:00:00Z", "value": {"bpm": 60}}
SERIES = EVENT | {"value": {"samples": [{"bpm": 60}, {"offset_ms": 1000, "bpm": 61}]}}


@pytest.mark.parametrize(
    ("setting", "value", "sent", "words"),
    [
        ("max_batch_id", 3, {"batch": "b-17", "events": [EVENT]}, "1 to 3 characters"),
        ("max_unknown", 1, EVENT | {"device": {"platform": "watchos", "colour": "red", "strap": "x"}}, "more than 1"),
        ("max_depth", 4, EVENT | {"source": {"provider": "p", "a": {"b": {"c": {"d": {"e": 1}}}}}}, "deeper than 4"),
        ("max_string", 64, EVENT | {"device": {"model": "m" * 65}}, "64"),
        ("max_events", 1, [EVENT, EVENT | {"id": "f"}], "more than 1"),
        ("max_payload", 1024, EVENT | {"device": {"model": "m" * 1000}}, "1024"),
        ("max_samples", 1, SERIES, "more than 1"),
        ("max_future_s", 0, EVENT | {"start_time": "2027-01-15T08:05:00Z"}, "in the future"),
    ],
)
def test_the_decoder_keeps_to_its_settings(setting: str, value: int, sent: Any, words: str) -> None:
    payload = json.dumps(sent).encode()

    def said(events: EventSettings) -> str:
        return " ".join(each.message for each in decode(payload, ORIGIN, NOW, event_limits(events)).rejections)

    assert words not in said(EventSettings())
    assert words in said(EventSettings(**{setting: value}))


def test_retained_messages_keep_to_their_bytes() -> None:
    def kept(**limits: int) -> int:
        table = Sessions(LimitSettings(**limits), AccessRules(TopicRegistry.load()))
        for number in range(8):
            topic = f"users/alice/devices/d{number}/status"
            table.routed(Retained(topic, bytes(1000), 1, 1), True)
        return sum(table.retained.get(f"users/alice/devices/d{number}/status") is not None for number in range(8))

    assert kept() == 8
    assert 0 < kept(retained_bytes=4096) < 8


def test_the_bridges_own_connection_is_as_set(tmp_path: Path) -> None:
    files = ensure_ca_and_server(tmp_path / "certs", ["localhost"], datetime.now(UTC))
    chosen = {
        "bridge.id": "other",
        "external.host": "broker.example",
        "external.port": 8899,
        "external.ca_file": files.ca_cert,
        "external.keep_alive_s": 7,
        "external.receive_maximum": 9,
        "external.session_expiry_s": 61,
    }
    settings = load_settings(tmp_path, chosen)
    store = CredentialStore(tmp_path / "credentials")
    store.ensure(bridge_client_id("other"))
    made = external_target(settings, store, 5, LastWill(topic="bridge/other/status", payload=b"{}"))
    assert (made.address.host, made.address.port, made.keep_alive) == ("broker.example", 8899, 7)
    assert (made.receive_maximum, made.session_expiry_s, made.account.client_id) == (9, 61, bridge_client_id("other"))
    assert made.address.tls is not None
    assert [each["subject"] for each in made.address.tls.get_ca_certs()]
    assert external_tls(load_settings(tmp_path, {"external.tls": False}).external) is None


def test_the_bridges_own_certificate_is_used_with_its_key(tmp_path: Path) -> None:
    files = ensure_ca_and_server(tmp_path / "certs", ["localhost"], datetime.now(UTC))
    pair = {"external.cert_file": files.server_cert, "external.key_file": files.server_key}
    assert external_tls(load_settings(tmp_path, pair).external) is not None
    for wrong in ({"external.key_file": files.server_cert}, {"external.cert_file": tmp_path / "none.crt"}):
        with pytest.raises(ConfigError, match="cannot be used"):
            external_tls(load_settings(tmp_path, pair | wrong).external)
