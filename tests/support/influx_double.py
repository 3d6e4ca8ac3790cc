"""A scripted server that answers writes as InfluxDB does: by default it stores, and any request can be answered else.

It stands on a free loopback port, speaks HTTP by hand (so that it can hang, trickle and reset) and keeps points by the
identity InfluxDB gives them: series and time, fields united, newest wins. The canned answers are those that the
documentation and the sources of 2.x, 3 Core and 1.8 give, byte for byte.
"""

import contextlib
import gzip
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.line_protocol import FieldValue, parse

Identity = tuple[str, tuple[tuple[str, str], ...], int]


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str

    @property
    def lines(self) -> list[str]:
        return [line for line in self.body.split("\n") if line]


class Reply(NamedTuple):
    """``stores``: which lines of the write it keeps although it answers so: all, none, or those a function picks."""

    status: int
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    stores: bool | Callable[[str], bool] = False
    #: "", hang (never an answer), drip (a byte each 50 ms), reset (the connection is torn down), close
    way: str = ""


_JSON = (("Content-Type", "application/json; charset=utf-8"),)
NO_CONTENT = Reply(204, stores=True)
DROPPED = Reply(204)
HANG, DRIP, RESET, CLOSE = (Reply(204, way=way) for way in ("hang", "drip", "reset", "close"))
STORED_THEN_RESET = Reply(204, stores=True, way="reset")
UNAUTHORIZED = Reply(401, '{"code":"unauthorized","message":"unauthorized access"}', _JSON)
FORBIDDEN = Reply(403, '{"code":"forbidden","message":"insufficient permissions for write"}', _JSON)
NO_BUCKET = Reply(404, '{"code":"not found","message":"bucket \\"healthsync\\" not found"}', _JSON)
TOO_LARGE = Reply(
    413,
    '{"code":"request too large","message":"unable to read data: points batch is too large","maxLength":50000000}',
    _JSON,
)
RATE_LIMITED = Reply(
    429,
    '{"code":"too many requests","message":"org has exceeded limited_write plan limit"}',
    (*_JSON, ("Retry-After", "30")),
)
BUSY = Reply(
    503,
    '{"code":"unavailable","message":"unexpected error writing points to database: timeout"}',
    (*_JSON, ("Retry-After", "7")),
)
BROKEN = Reply(500, '{"code":"internal error","message":"unexpected error writing points to database: timeout"}', _JSON)
BAD_GATEWAY = Reply(502, "<html><body>502 Bad Gateway</body></html>", (("Content-Type", "text/html"),))
LOGIN_PAGE = Reply(200, "<html><body>Log in</body></html>", (("Content-Type", "text/html"),))
REDIRECT = Reply(307, "", (("Location", "http://127.0.0.1:9/elsewhere"),))
NOT_INFLUX = Reply(400, "Client sent an HTTP request to an HTTPS server.\n")
V1_NO_DATABASE = Reply(404, '{"error":"database not found: \\"healthsync\\""}\n', (*_JSON, ("X-Influxdb-Error", "x")))
V1_UNAUTHORIZED = Reply(401, '{"error":"authorization failed"}\n', _JSON)


def v2_parse_error(lines: Iterable[str]) -> Reply:
    """2.x refuses the whole batch and quotes what it could not read."""
    message = "\n".join(f"unable to parse '{line}': invalid number" for line in lines)
    return Reply(400, json.dumps({"code": "invalid", "message": message}), _JSON)


def v2_partial(reason: str, dropped: int, stores: Callable[[str], bool]) -> Reply:
    """2.x has written the good points of the batch."""
    message = f"failure writing points to database: partial write: {reason} dropped={dropped}"
    return Reply(422, json.dumps({"code": "unprocessable entity", "message": message}), _JSON, stores)


def v3_partial(bad: Iterable[tuple[int, str, str]], stores: Callable[[str], bool]) -> Reply:
    """3 Core has written the good lines and lists the others: number, line, why."""
    data = [{"original_line": line, "line_number": number, "error_message": why} for number, line, why in bad]
    return Reply(400, json.dumps({"error": "partial write of line protocol occurred", "data": data}), _JSON, stores)


class InfluxDouble:
    """Use as a context manager. ``script`` holds the replies to the next requests; empty: everything is stored."""

    def __init__(self) -> None:
        self.script: list[Reply | Callable[[Request], Reply]] = []
        self.always: Callable[[Request], Reply] | None = None
        self.requests: list[Request] = []
        self.points: dict[Identity, dict[str, FieldValue]] = {}
        self.writes: dict[Identity, int] = {}
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        # A thread that waits in accept() does not notice close().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def values(self, measurement: str, field: str) -> list[FieldValue]:
        """All values of a field in order of time."""
        found = sorted((key, fields) for key, fields in self.points.items() if key[0] == measurement)
        return [fields[field] for key, fields in sorted(found, key=lambda pair: pair[0][2]) if field in fields]

    def store(self, lines: Iterable[str]) -> None:
        for point in parse("\n".join(lines)):
            key = (point.measurement, tuple(sorted(point.tags.items())), point.time_ns)
            self.points.setdefault(key, {}).update(point.fields)
            self.writes[key] = self.writes.get(key, 0) + 1

    # -- inside

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
            while (request := _read(stream)) is not None:
                self.requests.append(request)
                if not self._reply(connection, self._choose(request), request):
                    break
        self._open.discard(connection)

    def _choose(self, request: Request) -> Reply:
        if self.script:
            chosen = self.script.pop(0)
            return chosen if isinstance(chosen, Reply) else chosen(request)
        return self.always(request) if self.always else NO_CONTENT

    def _reply(self, connection: socket.socket, reply: Reply, request: Request) -> bool:
        if reply.stores and request.path == "/api/v2/delete":
            self._delete(json.loads(request.body))
        elif reply.stores:
            self.store(line for line in request.lines if reply.stores is True or reply.stores(line))
        if reply.way == "hang":
            self._stopped.wait(60)
            return False
        if reply.way == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if reply.way == "close":
            return False
        content = reply.body.encode()
        head = [f"HTTP/1.1 {reply.status} X", *(f"{key}: {value}" for key, value in reply.headers)]
        if reply.status != 204:
            head.append(f"Content-Length: {len(content)}")
        raw = "\r\n".join([*head, "", ""]).encode() + content
        if reply.way == "drip":
            for place in range(len(raw)):
                if self._stopped.is_set():
                    return False
                connection.sendall(raw[place : place + 1])
                time.sleep(0.05)
            return True
        connection.sendall(raw)
        return True

    def _delete(self, wanted: dict[str, str]) -> None:
        measurement = re.search(r'_measurement="([^"]*)"', wanted["predicate"])
        tags = dict(re.findall(r'(?<!_)\b([a-z]+)="([^"]*)"', wanted["predicate"].replace("_measurement", "_m")))
        tags.pop("m", None)
        low, high = _nanoseconds(wanted["start"]), _nanoseconds(wanted["stop"])
        for key in list(self.points):
            name, has, at = key
            if measurement and name == measurement[1] and low <= at <= high and tags.items() <= dict(has).items():
                del self.points[key]


def _nanoseconds(text: str) -> int:
    seconds, _, fraction = text.rstrip("Z").partition(".")
    whole = int(datetime.fromisoformat(f"{seconds}+00:00").timestamp())
    return whole * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _read(stream: "socket.SocketIO") -> Request | None:  # type: ignore[name-defined]
    first = stream.readline()
    if not first:
        return None
    method, target, _ = first.decode().split(" ")
    headers: dict[str, str] = {}
    while (line := stream.readline().strip()) != b"":
        key, _, value = line.decode().partition(":")
        headers[key.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    parts = urlsplit(target)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    return Request(method, parts.path, query, headers, body.decode())
