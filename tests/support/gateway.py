"""A gateway in this process, on a data directory that a test has filled: no service runs, nothing is published."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.gateway.bodies.unreadable import unread
from healthsync_mqtt.gateway.house import House
from healthsync_mqtt.gateway.server.entrance import Crowd
from healthsync_mqtt.gateway.server.http_server import HttpServer
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.mqtt.links.port import Address
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.storage.port import Item
from tests.support.patience import PATIENCE_S
from tests.support.web import HttpAnswer, Web


@dataclass
class Browser:
    """A browser as far as sessions need one: it keeps cookies, and says them where they belong."""

    web: Web
    cookies: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    """What each cookie was to be kept with."""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> HttpAnswer:
        said = {
            name: value
            for name, value in self.cookies.items()
            if "refresh" not in name or path.startswith("/v1/session")
        }
        cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in said.items())} if said else {}
        answer = self.web.call(method, path, body, **cookie, **headers)
        for line in answer.cookies:
            pair, _, attributes = line.partition("; ")
            name, _, value = pair.partition("=")
            self.kept[name] = attributes.lower()
            self.cookies[name] = value.strip('"')
            if not self.cookies[name]:
                del self.cookies[name]
        return answer

    def get(self, path: str, **headers: str) -> HttpAnswer:
        return self.call("GET", path, **headers)

    def post(self, path: str) -> HttpAnswer:
        """As the button of a link does."""
        return self.call("POST", path, b"")

    @property
    def csrf(self) -> str:
        return self.cookies["__Host-healthsync-csrf"]


class GatewayHere:
    """Its data directory, and how it is called."""

    def __init__(self, data: Path, house: House, web: Web) -> None:
        self.place = DataDirectory(data)
        self.house = house
        self.web = web

    def registry(self) -> Registry:
        return self.place.registry()

    def device(self, user: str, device: str) -> Web:
        """A new device, calling."""
        with self.registry() as registry:
            added = registry.add_device(user, device, _now_us())
        return self.web.as_(self.place.device_identity(added)["token"])

    def subscriber(self, name: str, users: Sequence[str] | str, types: Sequence[str] | str) -> Web:
        """A new subscriber, calling."""
        with self.registry() as registry:
            added = registry.add_subscriber(name, users, types, _now_us())
        return self.web.as_(self._token(added))

    def admin(self, name: str = "root") -> Web:
        """A new admin, calling."""
        with self.registry() as registry:
            added = registry.add_admin(name, _now_us())
        return self.web.as_(self._token(added))

    def link(self, user: str) -> str:
        """The path of a new link for a user."""
        with self.registry() as registry:
            code = registry.sessions.invite(SessionRole.user, user, _now_us(), until_us=_now_us() + 60_000_000)
        return f"/v1/invites/{code}"

    def invited(self, user: str) -> Browser:
        """A browser in which a link was opened."""
        browser = Browser(self.web)
        answer = browser.post(self.link(user))
        assert answer.status == 200, answer.body
        return browser

    def audited(self) -> list[str]:
        """The actions of the audit log."""
        return [row.action for row in self.place.audit_log().rows()]

    def _token(self, member: Any) -> str:
        token: str = self.place.identity(member.principal, user_id=None, device_id=None, epoch=member.token_epoch)[
            "token"
        ]
        return token


def filled(data: Path, users: Sequence[str], items: Sequence[Item]) -> None:
    """A data directory with these users, who agree to everything, and these rows in its log."""
    with DataDirectory(data).registry() as registry:
        for user in users:
            registry.add_user(user, "all", 1)
    with open_log(data) as log:
        log.stage(items, [], _now_us())
        log.commit()


@contextmanager
def gateway_here(data: Path, **overrides: Any) -> Iterator[GatewayHere]:
    """The gateway of a data directory, over plain HTTP, in a thread."""
    settings = load_settings(data, {"gateway.tls": False, "gateway.host": "127.0.0.1", **overrides})
    CredentialStore(settings.paths.credentials).ensure(GATEWAY.client_id)
    listening = socket.create_server(("127.0.0.1", 0))
    begun, over, houses = threading.Event(), threading.Event(), list[House]()
    running = threading.Thread(target=lambda: asyncio.run(_serve(settings, listening, houses, begun, over)))
    running.start()
    try:
        assert begun.wait(PATIENCE_S), "the gateway does not serve"
        port = listening.getsockname()[1]
        yield GatewayHere(data, houses[0], Web(f"http://127.0.0.1:{port}", ""))
    finally:
        over.set()
        running.join()


async def _serve(
    settings: Settings, listening: socket.socket, houses: list[House], begun: threading.Event, over: threading.Event
) -> None:
    async with House.open(settings, Address(host="127.0.0.1", port=1)) as house:
        server = HttpServer(house.application(), Crowd(settings.gateway), tls=None, begun=begun.set, unread=unread)
        houses.append(house)
        serving = asyncio.create_task(server.serve([listening]))
        await asyncio.to_thread(over.wait)
        house.tail.end()
        server.should_exit = True
        await serving


def _now_us() -> int:
    return time.time_ns() // 1000
