"""More settings at another value than their default: those of the external broker, of gzip and of kept messages."""

import asyncio
import gzip
import io
import json
import time
from pathlib import Path

import pytest

from bridge.decode.delivery import decode
from bridge.endpoint import Endpoint
from bridge.external import ExternalEdge, LinkServing
from bridge.ground import ground
from bridge.service import Service, event_limits
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.broker.external.identities import bridge_client_id
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.token_handover import token_lifetime_s
from healthsync_mqtt.config.sections import EventSettings, LimitSettings
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.telemetry.log import configure, get_logger
from healthsync_mqtt.testing.log_items import NOW_US, rejected
from tests.support.patience import PATIENCE_S
from tests.unit.broker.embedded.sessions.test_sessions import RULES, FakeLink
from tests.unit.config.test_setting_effects import EVENT, NOW, ORIGIN


def test_gzip_unfolds_as_far_as_set() -> None:
    payload = gzip.compress(json.dumps([EVENT | {"id": f"e{n}"} for n in range(100)]).encode())
    assert decode(payload, ORIGIN, NOW, event_limits(EventSettings())).rejections == []
    refused = decode(payload, ORIGIN, NOW, event_limits(EventSettings(max_ratio=2))).rejections
    assert [each.reason for each in refused] == [Reason.DECOMPRESS_LIMIT]


async def test_messages_kept_for_one_client_keep_to_their_bytes() -> None:
    def kept(**limits: int) -> int:
        table = Sessions(LimitSettings(**limits), RULES)
        app = FakeLink(table)
        table.index.add(app.session, "users/alice/devices/watch/status", 1)
        app.leave()
        for _ in range(20):
            table.fan_out("users/alice/devices/watch/status", bytes(1000), 1)
        return app.session.backlog

    assert kept() == 20
    assert 0 < kept(session_bytes=4096, max_packet=1024) < 20


@pytest.mark.parametrize(("protocol", "level"), [("auto", 5), ("5", 5), ("3.1.1", 4)])
async def test_the_broker_hears_the_version_that_is_set(tmp_path: Path, protocol: str, level: int) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read(64))
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as broker:
        port = broker.sockets[0].getsockname()[1]
        chosen = {"host": "127.0.0.1", "port": port, "tls": False, "protocol": protocol, "canary": False}
        settings = load_settings(tmp_path, {f"external.{name}": value for name, value in chosen.items()})
        CredentialStore(settings.paths.credentials).ensure(bridge_client_id("main"))
        Registry.open(settings.paths.registry_db).close()
        async with Service.open(settings, ExternalEdge.open) as service:
            listening = asyncio.create_task(service.listen())
            connect = await asyncio.wait_for(heard.get(), PATIENCE_S)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    assert connect[connect.index(b"MQTT") + 4] == level


async def test_a_gateway_beside_a_bridge_of_a_part_of_the_users_is_refused_at_the_start(tmp_path: Path) -> None:
    chosen = {"gateway.port": 0, "external.shard": "1/3"}
    with pytest.raises(ConfigError, match="works for a part of the users") as refused:
        async with Service.open(load_settings(tmp_path, chosen), ExternalEdge.open):
            pass
    assert "run one bridge for all users" in str(refused.value.hint)


@pytest.mark.parametrize("publishes", [True, False])
async def test_canonical_events_follow_a_connection_when_that_is_set(tmp_path: Path, *, publishes: bool) -> None:
    settings = load_settings(tmp_path, {"external.canonical": publishes})
    Registry.open(settings.paths.registry_db).close()
    async with Service.open(settings, ExternalEdge.open) as service:
        serving = service.serving
        assert isinstance(serving, LinkServing)
        assert isinstance(service.edge, ExternalEdge)
        assert (service.edge.follower.connected in serving.connections._users) is publishes


@pytest.mark.parametrize("devices", ["any", "registered"])
async def test_unregistered_devices_are_taken_unless_that_is_set(tmp_path: Path, devices: str) -> None:
    settings = load_settings(tmp_path, {"external.devices": devices})
    with Registry.open(settings.paths.registry_db) as registry:
        registry.add_user("alice", "all", NOW_US)
        registry.add_device("alice", "watch", NOW_US)
    async with Service.open(settings, ExternalEdge.open) as service:
        gate = service.ground.gate
        assert gate.barred("alice", "watch") is None
        assert (gate.barred("alice", "scale") is None) is (devices == "any")


@pytest.mark.parametrize("guarded", [True, False])
async def test_types_asked_for_by_name_go_to_a_broker_when_that_is_set(tmp_path: Path, *, guarded: bool) -> None:
    settings = load_settings(tmp_path, {"external.guarded": guarded})
    Registry.open(settings.paths.registry_db).close()
    async with Service.open(settings, ExternalEdge.open) as service:
        assert isinstance(service.edge, ExternalEdge)
        assert ("menstruation" not in service.edge.follower._withheld) is guarded
        assert "heart_rate" not in service.edge.follower._withheld


@pytest.mark.parametrize(
    ("setting", "kept"), [({}, 9), ({"quarantine.user_bytes": 4096}, 1), ({"quarantine.total_bytes": 8192}, 3)]
)
async def test_the_quarantine_keeps_what_is_set(tmp_path: Path, setting: dict[str, int], kept: int) -> None:
    with ground(load_settings(tmp_path, setting)) as base:
        base.journal.write([], [rejected(event_id=f"e{n}", raw=b"x" * 2000) for n in range(9)], NOW_US)
        base.journal._log.commit()
        assert len(base.reader.rejected()) == kept


@pytest.mark.parametrize(("days", "kept"), [(36_500, 1), (1, 0)])
async def test_the_quarantine_keeps_it_for_as_long_as_set(tmp_path: Path, days: int, kept: int) -> None:
    settings = load_settings(tmp_path, {"quarantine.days": days})
    Registry.open(settings.paths.registry_db).close()
    two_days_ago = time.time_ns() // 1000 - 2 * 86_400_000_000
    with open_log(settings.data) as log:
        log.stage([], [rejected()._replace(received_us=two_days_ago)], two_days_ago)
        log.commit()
    async with Service.open(settings, ExternalEdge.open) as service:
        await service.old_refusals.look()
        assert len(service.ground.reader.rejected()) == kept


@pytest.mark.parametrize(("limit", "reported"), [(1, 1), (10, 0)])
async def test_the_daily_limit_is_the_one_set(tmp_path: Path, limit: int, reported: int) -> None:
    settings = load_settings(tmp_path, {"limits.device_events_per_day": limit})
    Registry.open(settings.paths.registry_db).close()
    async with Service.open(settings, ExternalEdge.open) as service:
        service._daily_limit.add("alice", "watch", 5, time.time_ns() // 1000)
        assert len(service._daily_limit.over()) == reported


@pytest.mark.parametrize(("chosen", "starts"), [("json", "{"), ("console", "")])
def test_the_log_is_written_in_the_format_and_level_that_are_set(tmp_path: Path, chosen: str, starts: str) -> None:
    def written(level: str) -> str:
        settings = load_settings(tmp_path, {"log.format": chosen, "log.level": level})
        stream = io.StringIO()
        configure(settings.log.level, settings.log.format, stream=stream)
        get_logger("test").info("seen")
        return stream.getvalue()

    text, quiet = written("info"), written("error")
    assert "seen" in text
    assert text.startswith("{") is bool(starts)
    assert quiet == ""


async def test_the_metrics_are_where_they_are_set(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"metrics.host": "127.0.0.2", "metrics.port": 0})
    async with Endpoint(settings.metrics, lambda: None) as endpoint:  # type: ignore[arg-type,return-value]
        assert endpoint._server is not None
        assert endpoint._server.sockets[0].getsockname()[0] == "127.0.0.2"


def test_new_tokens_live_as_long_as_set(tmp_path: Path) -> None:
    place = DataDirectory(tmp_path)
    tmp_path.chmod(0o700)
    assert token_lifetime_s(place, None) == 86_400
    (tmp_path / "healthsync.toml").write_text("[token]\nlifetime_s = 600\n")
    assert token_lifetime_s(place, None) == 600
