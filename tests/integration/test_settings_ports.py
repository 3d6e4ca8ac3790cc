"""Each listener takes the port that is set: one that another has is refused, and nothing else is."""

import socket
from pathlib import Path

import pytest

from healthsync_mqtt.errors import UnavailableError
from tests.support.inprocess import opened

PORTS = ("broker.mqtt_port", "broker.mqtts_port", "broker.wss_port")


@pytest.mark.parametrize("setting", PORTS)
async def test_a_listener_is_on_the_port_that_is_set(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        changes = {setting: taken.getsockname()[1], "broker.mqtts_host": "127.0.0.1", "broker.wss_host": "127.0.0.1"}
        with pytest.raises(UnavailableError, match=f"cannot listen on 127.0.0.1:{changes[setting]}: "):
            async with opened(tmp_path / "data", changes):
                pass
    free = {key: value for key, value in changes.items() if key != setting}
    async with opened(tmp_path / "data", free) as house:
        assert house.ready.mqtt
