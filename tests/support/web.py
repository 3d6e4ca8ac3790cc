"""A plain HTTP client for tests: one request, one answer, over TLS with the service's own CA."""

import asyncio
import base64
import contextlib
import http.client
import json
import ssl
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.patience import PATIENCE_S, wait_until


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()
    """What it asks a browser to keep, a line each."""

    def json(self) -> Any:
        return json.loads(self.body)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Web:
    """The gateway as a client sees it; ``as_`` is the same with a credential."""

    def __init__(self, url: str, ca_file: Path | str, authorization: str = "") -> None:
        self.url = url
        self.ca_file = str(ca_file)
        self.authorization = authorization

    def as_(self, credential: str) -> Self:
        """With a token, or with what ``basic`` makes."""
        header = credential if credential.startswith("Basic ") else f"Bearer {credential}"
        return type(self)(self.url, self.ca_file, header)

    def connection(self) -> http.client.HTTPConnection:
        where = urlsplit(self.url)
        assert where.hostname
        if where.scheme == "http":
            return http.client.HTTPConnection(where.hostname, where.port, timeout=PATIENCE_S)
        tls = ssl.create_default_context(cafile=self.ca_file)
        return http.client.HTTPSConnection(where.hostname, where.port, timeout=PATIENCE_S, context=tls)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> HttpAnswer:
        """One request on a connection of its own. ``body`` that is not bytes is sent as JSON; ``a_b`` is ``a-b``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.authorization:
            named.setdefault("authorization", self.authorization)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = self.connection()
        try:
            connection.request(method, path, sent, named)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            cookies = tuple(answer.msg.get_all("set-cookie") or ())
            return HttpAnswer(answer.status, found, answer.read(), cookies)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> HttpAnswer:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> HttpAnswer:
        return self.call("POST", path, body, **headers)

    def taken(self, path: str, body: Any, meanwhile: Container[int] = range(100, 600)) -> HttpAnswer:
        """The answer of 200 to a body that is posted until then; before it only these statuses may come."""
        answers: list[HttpAnswer] = []

        def tried() -> bool:
            answers.append(self.post(path, body))
            assert answers[-1].status == 200 or answers[-1].status in meanwhile, answers[-1].body
            return answers[-1].status == 200

        wait_until(tried, f"{path} takes it")
        return answers[-1]

    @contextlib.contextmanager
    def stream(self, query: str) -> Iterator[Iterator[Any]]:
        """What comes on ``/v1/stream``, as values of JSON."""
        connection = self.connection()
        try:
            headers = {"authorization": self.authorization, "accept": "text/event-stream"}
            connection.request("GET", f"/v1/stream?{query}", headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200
            yield (json.loads(line[5:]) for line in iter(answer.readline, b"") if line.startswith(b"data:"))
        finally:
            connection.close()


def routes_of_the_gateway(data: Path) -> list[Any]:
    """The routes as they are served."""
    from fastapi.routing import APIRoute

    from healthsync_mqtt.config.settings import load_settings
    from healthsync_mqtt.gateway.app import routed
    from healthsync_mqtt.gateway.house import House
    from healthsync_mqtt.gateway.login.rules import Anybody
    from healthsync_mqtt.identity.login.credentials import CredentialStore
    from healthsync_mqtt.identity.login.gateway import GATEWAY
    from healthsync_mqtt.identity.registry import Registry
    from healthsync_mqtt.mqtt.links.port import Address

    settings = load_settings(data)
    CredentialStore(settings.paths.credentials).ensure(GATEWAY.client_id)
    with Registry.open(settings.paths.registry_db) as registry:

        async def made() -> list[Any]:
            house = House(settings, registry, registry, Address(host="127.0.0.1", port=1), GATEWAY.client_id)
            house.newcomers.close()
            house.log.close()
            routers = house.routers()
            own = [each for each in routed(routers, Anybody(house.callers)).routes if isinstance(each, APIRoute)]
            return own + [each for router in routers for each in router.routes]

        return asyncio.run(made())
