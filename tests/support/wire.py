"""Blocking MQTT connections on raw sockets, for load generators: no library between the measurement and the wire."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from healthsync_mqtt.mqtt.codec import Decoder, encode, v5
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect


class RefusedError(Exception):
    """The server answered CONNECT with something else than acceptance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a connection says about itself; without a token it connects anonymously."""

    client_id: str
    token: str | None = None
    topic: str = ""
    user: str = ""
    device: str = ""

    @property
    def receipts(self) -> str:
        """The topic on which a device hears what became of its events."""
        return f"users/{self.user}/devices/{self.device}/receipts"


def tls_context(ca_file: Path | str) -> ssl.SSLContext:
    """Verifies the server against ``ca_file`` and its name, as a device does."""
    return ssl.create_default_context(cafile=str(ca_file))


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """The next ``size`` bytes; raises ConnectionError at the end of the stream."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the server closed the connection")
        data += more
    return data


def connect(
    address: tuple[str, int],
    login: Login,
    *,
    context: ssl.SSLContext | None = None,
    keep_alive: int = 600,
    timeout: float = 20,
    version: int = 4,
    clean: bool = True,
) -> socket.socket:
    """A connected, accepted, blocking socket; ``version`` is the protocol level, 4 for MQTT 3.1.1."""
    connection = socket.create_connection(address, timeout=timeout)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            connection = context.wrap_socket(connection, server_hostname="localhost")
        asked = Connect(
            client_id=login.client_id,
            clean_session=clean,
            keep_alive=keep_alive,
            username=login.client_id if login.token else None,
            password=login.token.encode() if login.token else None,
            protocol_level=version,
        )
        connection.sendall(v5.encode(asked) if version == 5 else encode(asked))
        answer = _answer(connection, version)
    except BaseException:
        connection.close()
        raise
    if answer.code:
        connection.close()
        raise RefusedError(f"{login.client_id}: CONNACK {answer.code}")
    return connection


def _answer(connection: socket.socket, version: int) -> Connack:
    """The CONNACK, and nothing of what comes behind it."""
    data = read_exactly(connection, 2)
    while data[-1] > 0x7F:
        data += read_exactly(connection, 1)
    size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data[1:]))
    (answer,) = Decoder(1 << 16, server=False, versions=frozenset({version})).feed(
        data + read_exactly(connection, size)
    )
    assert isinstance(answer, Connack)
    return answer
