# long: every rule of the real servers that tests rely on, beside the recording it was taken from.
"""A server that answers as real ones were recorded to: what was not recorded it refuses loudly, and its test fails.

It stands on a free loopback port, speaks HTTP by hand (so that it can hang, trickle and reset) and keeps points by the
identity InfluxDB gives them: series and time, fields united, newest wins. ``version`` chooses whose exchanges it knows:
2.7.12, 3.6.0 (Core) or 1.6.7; each rule below names the recording it was taken from (``influxdb-2.7.12/204`` is
``../shared/data/influx/influxdb-2.7.12/204-….http``), and ``test_sink_recordings.py`` compares them. Any request can be
answered by a ``script`` instead, with the canned answers of this module.
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
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.line_protocol import FieldValue, NotLineProtocolError, parse

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


_OF_27 = (("X-Influxdb-Build", "OSS"), ("X-Influxdb-Version", "v2.7.12"))
_JSON = (("Content-Type", "application/json; charset=utf-8"), *_OF_27)
NO_CONTENT = Reply(204, "", _OF_27, stores=True)
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


class UnforeseenError(Exception):
    """A request that no recording answers."""


class InfluxDouble:
    """Use as a context manager. ``script`` holds the replies to the next requests; empty: as the real server."""

    def __init__(self, version: str = "2.7.12") -> None:
        self.version = version
        self.script: list[Reply | Callable[[Request], Reply]] = []
        self.always: Callable[[Request], Reply] | None = None
        self.requests: list[Request] = []
        self.points: dict[Identity, dict[str, FieldValue]] = {}
        self.writes: dict[Identity, int] = {}
        self.unforeseen: list[str] = []
        self._types: dict[tuple[str, str, int], type] = {}
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
        assert not self.unforeseen, self.unforeseen

    def values(self, measurement: str, field: str) -> list[FieldValue]:
        """All values of a field in order of time."""
        found = sorted((key, fields) for key, fields in self.points.items() if key[0] == measurement)
        return [fields[field] for key, fields in sorted(found, key=lambda pair: pair[0][2]) if field in fields]

    def store(self, lines: Iterable[str]) -> None:
        for point in parse("\n".join(lines)):
            key = (point.measurement, tuple(sorted(point.tags.items())), point.time_ns)
            self.points.setdefault(key, {}).update(point.fields)
            self.writes[key] = self.writes.get(key, 0) + 1

    def restart(self) -> None:
        """Every connection is cut, as when a server is killed and started again."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

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
        return self.always(request) if self.always else self.real(request)

    def real(self, request: Request) -> Reply:
        """The answer of the real server; what no recording answers fails the test."""
        rules = {"2.7.12": _answer_27, "3.6.0": _answer_36, "1.6.7": _answer_16}
        try:
            return rules[self.version](self, request)
        except (UnforeseenError, NotLineProtocolError) as error:
            self.unforeseen.append(f"{request.method} {request.path} {request.query} {request.body[:200]}: {error!r}")
            return Reply(599, "unforeseen")

    def _reply(self, connection: socket.socket, reply: Reply, request: Request) -> bool:
        if reply.stores and request.path == "/api/v2/delete":
            self.delete(request)
        elif reply.stores and request.path in _WRITES:
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

    def delete(self, request: Request) -> None:
        """What a deletion of 2.7.12 takes away: both ends are inside, tags that it does not name do not matter."""
        wanted = json.loads(request.body)
        pairs = _predicate(wanted["predicate"])
        measurement = pairs.pop("_measurement")
        low, high = _nanoseconds(wanted["start"]), _nanoseconds(wanted["stop"])
        for name, has, at in list(self.points):
            if name == measurement and low <= at <= high and pairs.items() <= dict(has).items():
                del self.points[name, has, at]

    def conflicts(self, request: Request) -> list[tuple[str, str, str, type, type]]:
        """Lines of the write whose field has another type already in its week, and that field and its types."""
        found = []
        for line in request.lines:
            (point,) = parse(line)
            for name, value in point.fields.items():
                has = self._types.setdefault((point.measurement, name, point.time_ns // _WEEK_NS), type(value))
                if has is not type(value):
                    found.append((line, point.measurement, name, type(value), has))
                    break
        return found

    def found(
        self, measurement: str, subject: str, start_ns: int, stop_ns: int
    ) -> list[tuple[Identity, dict[str, Any]]]:
        """Points of a measurement and user in [start, stop)."""
        return [
            (key, fields)
            for key, fields in sorted(self.points.items(), key=lambda pair: (pair[0][1], pair[0][2]))
            if key[0] == measurement and dict(key[1]).get("user") == subject and start_ns <= key[2] < stop_ns
        ]


# -- what was recorded, by server

_WEEK_NS = 7 * 86_400_000_000_000
_WRITES = {"/api/v2/write", "/api/v3/write_lp", "/write"}
_WORDS: dict[type, str] = {float: "float", str: "string", bool: "boolean", int: "integer"}
_CSV = (("Content-Type", "text/csv; charset=utf-8"), *_OF_27)
_OF_16 = (("Content-Type", "application/json"), ("X-Influxdb-Build", "OSS"), ("X-Influxdb-Version", "1.6.7~rc0"))
#: Of the 147 names in ``influxdb-2.7.12/delete-tag-names.json`` those that may stand without quotes and that sinks use.
_BARE = {"device", "provider", "recording", "_measurement"}
_TERM = re.compile(r'"?(\w+)"?="([^"]*)"')
_FLUX = re.compile(
    r'from\(bucket: "(\w+)"\) \|> range\(start: time\(v: (-?\d+)\), stop: time\(v: (-?\d+)\)\)'
    r' \|> filter\(fn: \(r\) => r\._measurement == "(\w+)" and r\.user == "([\w-]+)"\)'
)
_INFLUXQL = re.compile(
    r'SELECT \* FROM "(\w+)" WHERE "user" = \'([\w-]+)\' AND time >= (-?\d+) AND time < (-?\d+) GROUP BY \*'
)
_SQL = re.compile(
    r'SELECT \* FROM "(\w+)" WHERE "user" = \'([\w-]+)\' AND time >= \'([\d.:TZ-]+)\' AND time < \'([\d.:TZ-]+)\''
)
_DELETE_POINT = re.compile(
    r'DELETE FROM "(\w+)" WHERE ("\w+" = \'[\w-]+\'(?: AND "\w+" = \'[\w-]+\')*) AND time = (-?\d+)'
)


def _answer_27(double: InfluxDouble, request: Request) -> Reply:
    match request.method, request.path:
        case "POST", "/api/v2/write":  # 019, 076
            if request.query.get("precision") != "ns" or not request.lines:
                raise UnforeseenError
            return _conflict_27(double, request) or NO_CONTENT
        case "POST", "/api/v2/delete":
            return _delete_27(request)
        case "POST", "/api/v2/query":
            return _query_27(double, request)
        case "GET", "/health":  # 001
            body = '{"name":"influxdb", "message":"ready for queries and writes", "status":"pass", "checks":[], '
            return Reply(200, body + '"version": "v2.7.12", "commit": "goproxy"}\n', _JSON)
        case "GET", "/api/v2/buckets":  # 012, 013
            if request.query.get("name") == "healthsync":
                return Reply(200, '{"buckets":[{"id":"0000000000000001","name":"healthsync"}]}', _JSON)
            return Reply(
                404, f'{{"code":"not found","message":"bucket \\"{request.query.get("name")}\\" not found"}}', _JSON
            )
    raise UnforeseenError


def _conflict_27(double: InfluxDouble, request: Request) -> Reply | None:
    conflicts = double.conflicts(request)
    if not conflicts:
        return None
    _, measurement, name, given, has = conflicts[0]
    lines = {line for line, *_ in conflicts}
    why = f'field type conflict: input field "{name}" on measurement "{measurement}" is type {_WORDS[given]}, '
    return v2_partial(f"{why}already exists as type {_WORDS[has]}", len(lines), lambda line: line not in lines)


def _delete_27(request: Request) -> Reply:
    wanted = json.loads(request.body)
    if wanted.keys() != {"start", "stop", "predicate"}:
        raise UnforeseenError
    _nanoseconds(wanted["start"]), _nanoseconds(wanted["stop"])
    place = 0
    for term in wanted["predicate"].split(" AND "):
        name = term.partition("=")[0]
        if not name.startswith('"') and name not in _BARE:  # 203
            return Reply(
                400,
                json.dumps(
                    {
                        "code": "invalid",
                        "message": f"error decoding json body: bad logical expression, at position {place}",
                    },
                    separators=(",", ":"),
                ),
                _JSON,
            )
        if not _TERM.fullmatch(term):
            raise UnforeseenError
        place += len(term) + 5
    if "_measurement" not in _predicate(wanted["predicate"]):
        raise UnforeseenError
    return NO_CONTENT  # 204, 208, 234


def _predicate(text: str) -> dict[str, str]:
    return dict(_TERM.findall(text))


def _query_27(double: InfluxDouble, request: Request) -> Reply:
    asked = json.loads(request.body)
    matched = _FLUX.fullmatch(asked["query"])
    if not matched or request.headers.get("content-type") != "application/json":
        raise UnforeseenError
    annotations = asked.get("dialect", {}).get("annotations", [])
    if annotations not in ([], ["datatype"]):
        raise UnforeseenError
    _, start, stop, measurement, subject = matched.groups()
    tables: dict[tuple[Any, ...], list[str]] = {}
    for (_, tags, at), fields in double.found(measurement, subject, int(start), int(stop)):
        for name, value in fields.items():
            kind = {float: "double", str: "string", bool: "boolean"}[type(value)]
            keys = [key for key, _ in tags]
            table = tables.setdefault((kind, tuple(keys), tuple(tags), name), [])
            shown = str(value).lower() if kind == "boolean" else f"{value:.17g}" if kind == "double" else str(value)
            row = ["", "_result", "0", "x", "x", _rfc3339(at), shown, name, measurement, *dict(tags).values()]
            table.append(",".join(row))
    text = ""
    for (kind, keys, _, _), rows in tables.items():
        if annotations:  # 142; without them 138
            times = "dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339"
            text += f"#datatype,string,long,{times},{kind},string,string{',string' * len(keys)}\r\n"
        text += ",".join([",result,table,_start,_stop,_time,_value,_field,_measurement", *keys]) + "\r\n"
        text += "".join(f"{row}\r\n" for row in rows) + "\r\n"
    return Reply(200, text or "\r\n", _CSV)  # 158


def _answer_36(double: InfluxDouble, request: Request) -> Reply:
    match request.method, request.path:
        case "POST", "/api/v3/write_lp":  # 015, 064
            if (
                request.query.get("accept_partial") != "true"
                or request.query.get("no_sync") != "false"
                or not request.lines
            ):
                raise UnforeseenError
            return NO_CONTENT._replace(headers=())
        case "POST", "/api/v2/delete":  # 166
            return Reply(404, "not found")
        case "GET", "/health":
            return Reply(200, "OK")
        case "GET", "/api/v3/query_sql":
            matched = _SQL.fullmatch(request.query["q"])
            if not matched or request.query.get("format") != "json":
                raise UnforeseenError
            measurement, subject, start, stop = matched.groups()
            if not any(key[0] == measurement for key in double.points):  # 143
                why = f"Error during planning: table 'public.iox.{measurement}' not found"
                return Reply(500, f"query error: error while planning query: {why}")
            rows = [  # 117, 135: an absent value is an absent key, times have no Z
                {"time": _rfc3339(at).rstrip("Z").rstrip("0").rstrip("."), **dict(tags), **fields}
                for (_, tags, at), fields in double.found(measurement, subject, _nanoseconds(start), _nanoseconds(stop))
            ]
            return Reply(200, json.dumps(rows), (("content-type", "application/json"),))
    raise UnforeseenError


def _answer_16(double: InfluxDouble, request: Request) -> Reply:
    statement = request.query.get("q", "")
    match request.method, request.path:
        case "POST", "/write":  # 009
            if request.query.get("precision") != "ns":
                raise UnforeseenError
            return NO_CONTENT._replace(headers=_OF_16)
        case "GET", "/health":  # 003
            return Reply(404, "404 page not found\n", (("Content-Type", "text/plain; charset=utf-8"), *_OF_16[1:]))
        case "GET", "/ping":  # 001
            return Reply(204, "", _OF_16)
        case "POST", "/query" if matched := _DELETE_POINT.fullmatch(statement):  # 072, 081
            tags = dict(re.findall(r'"(\w+)" = \'([\w-]+)\'', matched[2]))
            for name, has, at in list(double.points):
                if name == matched[1] and at == int(matched[3]) and tags.items() <= dict(has).items():
                    del double.points[name, has, at]
            return Reply(200, '{"results":[{"statement_id":0}]}\n', _OF_16)
        case "GET", "/query" if matched := _INFLUXQL.fullmatch(statement):  # 060, 050, 062
            if request.query.get("epoch") != "ns":
                raise UnforeseenError
            measurement, subject, start, stop = matched.groups()
            found = double.found(measurement, subject, int(start), int(stop))
            if not found:
                return Reply(200, '{"results":[{"statement_id":0}]}\n', _OF_16)
            columns = sorted({name for _, fields in found for name in fields})
            series: dict[Any, list[Any]] = {}
            for (_, tags, at), fields in found:
                series.setdefault(tags, []).append([at, *(fields.get(column) for column in columns)])
            parts = [
                {"name": measurement, "tags": dict(tags), "columns": ["time", *columns], "values": values}
                for tags, values in series.items()
            ]
            return Reply(200, json.dumps({"results": [{"statement_id": 0, "series": parts}]}), _OF_16)
    raise UnforeseenError


def _rfc3339(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


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
