"""Blocking MQTT connections on raw sockets, for load generators: no library between the measurement and the wire."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Connect


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
) -> socket.socket:
    """A connected, accepted, blocking socket with a clean session."""
    connection = socket.create_connection(address, timeout=timeout)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            connection = context.wrap_socket(connection, server_hostname="localhost")
        connection.sendall(
            encode(
                Connect(
                    client_id=login.client_id,
                    keep_alive=keep_alive,
                    username=login.client_id if login.token else None,
                    password=login.token.encode() if login.token else None,
                )
            )
        )
        answer = read_exactly(connection, 4)
    except BaseException:
        connection.close()
        raise
    if answer != b"\x20\x02\x00\x00":
        connection.close()
        raise RefusedError(f"{login.client_id}: CONNACK {answer.hex()}")
    return connection
