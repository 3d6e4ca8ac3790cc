"""Last seen, last event, version and address of a device: shown while it is here, and after a restart."""

import asyncio
import json
from pathlib import Path

from tests.support.peer import Identity, Peer, event
from tests.support.service import Service


async def one_visit(service: Service, who: Identity) -> None:
    reader, writer = await asyncio.open_connection(*service.mqtt, local_addr=("127.0.4.1", 0))
    peer = Peer(reader, writer)
    assert (await peer.connect(who)).code == 0
    told = json.loads(event("e1")) | {"device": {"platform": "watchos", "os_version": "11.2", "app_version": "3.1"}}
    await peer.publish(who.events, json.dumps(told).encode())
    await peer.disconnect()


def test_what_is_known_of_a_device_lasts_over_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Service(data) as service:
        service.cli("user", "add", "alice", "--consent", "all")
        (login,) = service.cli("device", "add", "alice", "watch")
        (before,) = service.cli("device", "list")
        assert (before["last_seen_at"], before["last_event_at"], before["version"]) == (None, None, None)
        who = Identity(client_id=login["client_id"], token=login["token"], user="alice", device="watch")
        asyncio.run(one_visit(service, who))
        for _ in range(30):  # the service sees a moment later that the client has gone
            (listed,) = service.cli("device", "list")
            if listed["online"] is False and listed["last_seen_at"] > listed["last_event_at"]:
                break
        (shown,) = service.cli("device", "show", "alice", "watch")
    known = ("last_seen_at", "last_event_at", "address", "version", "protocol", "connected_at")
    assert {key: listed[key] for key in known} == {key: shown[key] for key in known}
    assert (listed["address"], listed["version"]) == ("127.0.4.1", "watchos 11.2, app 3.1")
    assert listed["protocol"] == "MQTT 3.1.1"
    assert listed["last_event_at"] <= listed["last_seen_at"]
    assert listed["online"] is False
    with Service(data) as service:
        (again,) = service.cli("device", "list")
    assert {key: again[key] for key in known} == {key: listed[key] for key in known}
