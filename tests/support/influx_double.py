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
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.line_protocol import FieldValue, NotLineProtocolError, ParsedPoint, parse

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

    @property
    def word(self) -> str:
        """The Authorization header."""
        return self.headers.get("authorization", "")


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
    return Reply(400, _compact({"code": "invalid", "message": message}), _JSON)


def v2_partial(reason: str, dropped: int, stores: Callable[[str], bool]) -> Reply:
    """2.x has written the good points of the batch."""
    message = f"failure writing points to database: partial write: {reason} dropped={dropped}"
    return Reply(422, _compact({"code": "unprocessable entity", "message": message}), _JSON, stores)


def v3_partial(bad: Iterable[tuple[int, str, str]], stores: Callable[[str], bool]) -> Reply:
    """3 Core has written the good lines and lists the others: number, line, why."""
    data = [{"error_message": why, "line_number": number, "original_line": line} for number, line, why in bad]
    return Reply(400, _compact({"error": "partial write of line protocol occurred", "data": data}), (), stores)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class UnforeseenError(Exception):
    """A request that no recording answers."""


class InfluxDouble:
    """Use as a context manager. ``script`` holds the replies to the next requests; empty: as the real server.

    It asks for ``token``; None: as behind a proxy that adds the right one.
    """

    def __init__(self, version: str = "2.7.12", token: str | None = None) -> None:
        self.version = version
        self.token = token
        self.buckets = {"healthsync"}
        self.script: list[Reply | Callable[[Request], Reply]] = []
        self.always: Callable[[Request], Reply] | None = None
        self.requests: list[Request] = []
        self.points: dict[Identity, dict[str, FieldValue]] = {}
        self.writes: dict[Identity, int] = {}
        self.unforeseen: list[str] = []
        self._types: dict[tuple[str, str, int], type] = {}
        self._roles: dict[tuple[str, str], str] = {}
        #: Measurements that a request was about which it did not know what to do with.
        self._unknown: set[str] = set()
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
            known = {f"Token {self.token}", f"Bearer {self.token}"}
            if self.token is not None and request.word not in known and not _is_free(self.version, request):
                return _unauthorized(self.version, request)
            return rules[self.version](self, request)
        except (UnforeseenError, NotLineProtocolError) as error:
            self.lose_sight(request.body)
            self._unknown |= {request.query.get("table", "")}
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
        measurement = pairs.pop("_measurement", None)
        low, high = _nanoseconds(wanted["start"]), _nanoseconds(wanted["stop"])
        for name, has, at in list(self.points):
            if name == (measurement or name) and low <= at <= high and pairs.items() <= dict(has).items():
                del self.points[name, has, at]
        left = {name for name, _, _ in self.points}  # 276: what is empty may take other types then
        self._types = {
            key: kind for key, kind in self._types.items() if key[0] in left or key[0] != (measurement or key[0])
        }

    def lose_sight(self, body: str) -> None:
        """It was not told what a server would have kept of these lines: nothing can be read of them afterwards."""
        self._unknown |= {re.split(r"(?<!\\)[, ]", line, maxsplit=1)[0] for line in body.split("\n")}

    def clash(self, request: Request) -> bool:
        """Whether a name is a tag in one line and a field in another of the same measurement, or nobody can know."""
        for line in request.lines:
            point = _foreseen(line)
            if point.measurement in self._unknown:
                return True
            for name, role in [*((tag, "tag") for tag in point.tags), *((one, "field") for one in point.fields)]:
                if self._roles.setdefault((point.measurement, name), role) != role:
                    return True
        return False

    def conflicts(self, request: Request) -> list[tuple[str, str, str, type, type]]:
        """Lines of the write whose field has another type already in its week, and that field and its types."""
        found = []
        for line in request.lines:
            point = _foreseen(line)
            for name, value in point.fields.items():
                week = 0 if self.version == "3.6.0" else point.time_ns // _WEEK_NS  # 069: 3 Core's are of the table
                has = self._types.setdefault((point.measurement, name, week), type(value))
                if has is not type(value):
                    found.append((line, point.measurement, name, type(value), has))
                    break
        return found

    def found(
        self, measurement: str, subject: str | None, start_ns: int, stop_ns: int
    ) -> list[tuple[Identity, dict[str, Any]]]:
        """Points of a measurement and user, or all users, in [start, stop)."""
        if measurement in self._unknown:
            raise UnforeseenError
        return [
            (key, fields)
            for key, fields in sorted(self.points.items(), key=lambda pair: (pair[0][1], pair[0][2]))
            if key[0] == measurement and subject in {None, dict(key[1]).get("user")} and start_ns <= key[2] < stop_ns
        ]


# -- what was recorded, by server

_WEEK_NS = 7 * 86_400_000_000_000
_WRITES = {"/api/v2/write", "/api/v3/write_lp", "/write"}
_WORDS: dict[type, str] = {float: "float", str: "string", bool: "boolean", int: "integer"}
_CSV = (("Content-Type", "text/csv; charset=utf-8"), *_OF_27)
_OF_16 = (("Content-Type", "application/json"), ("X-Influxdb-Build", "OSS"), ("X-Influxdb-Version", "1.6.7~rc0"))
#: Of the 147 names in ``influxdb-2.7.12/delete-tag-names.json`` those that may stand without quotes and that sinks use.
_BARE = {"device", "provider", "recording", "_measurement"}
#: Some of the names there that 2.7.12 takes for a keyword unless they are quoted: 400.
_KEYWORDS = {"user", "name", "key", "group", "measurement", "database", "from", "duration", "query", "field", "tag"}
#: Lines of the kind that this project writes, and those of the recordings that mean no more than they seem to.
_NAME = r"[a-z][A-Za-z0-9_]*"
_VALUE = r'(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|-?\d+i|"(?:[^"\\\n]|\\["\\])*"|true|false)'
_LINE = re.compile(
    rf"(?!time,)({_NAME})((?:,{_NAME}=[^\s,=\"\\']+)*) ({_NAME}={_VALUE}(?:,{_NAME}={_VALUE})*) (-?\d{{1,19}})"
)
_RESERVED = {"time"}
_TIMES = range(-(1 << 63) + 2, (1 << 63) - 1)
_TERM = re.compile(r'"?(\w+)"?="([^"]*)"')
_FLUX = re.compile(
    r'from\(bucket: "(\w+)"\) \|> range\(start: (?:0|time\(v: (-?\d+)\), stop: time\(v: (-?\d+)\))\)'
    r' \|> filter\(fn: \(r\) => r\._measurement == "(\w+)"(?: and r\.user == "([\w-]+)")?\)'
    r'(?: \|> filter\(fn: \(r\) => r\._field == "(\w+)"\))?'
)
_INFLUXQL = re.compile(
    r'SELECT \* FROM "?(\w+)"?(?: WHERE "user" = \'([\w-]+)\' AND time >= (-?\d+) AND time < (-?\d+))? GROUP BY \*'
)
_SQL = re.compile(
    r'SELECT \* FROM "?(\w+)"?(?: WHERE "user" = \'([\w-]+)\')?'
    r"(?: AND time >= '([\d.:TZ-]+)' AND time < '([\d.:TZ-]+)')?(?: ORDER BY time)?"
)
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_DELETE_POINT = re.compile(
    r'DELETE FROM "(\w+)" WHERE ("\w+" = \'[\w-]+\'(?: AND "\w+" = \'[\w-]+\')*) AND time = (-?\d+)'
)


def _answer_27(double: InfluxDouble, request: Request) -> Reply:
    match request.method, request.path:
        case "POST", "/api/v2/write":  # 019, 076
            if request.query.keys() != {"org", "bucket", "precision"} or request.query["precision"] != "ns":
                raise UnforeseenError
            _at_home(double, request)
            _written(request)
            return _conflict_27(double, request) or NO_CONTENT
        case "POST", "/api/v2/delete":
            if request.query.keys() != {"org", "bucket"}:
                raise UnforeseenError
            _at_home(double, request)
            return _delete_27(request)
        case "POST", "/api/v2/query":
            return _query_27(double, request)
        case "GET", "/health":  # 001
            body = '{"name":"influxdb", "message":"ready for queries and writes", "status":"pass", "checks":[], '
            return Reply(200, body + '"version": "v2.7.12", "commit": "goproxy"}\n', _JSON)
    raise UnforeseenError


def _at_home(double: InfluxDouble, request: Request) -> None:
    """Of the one organisation, and a bucket that there is."""
    if request.query.get("org") not in {"home", "-"} or request.query.get("bucket") not in double.buckets:
        raise UnforeseenError


def _written(request: Request) -> None:
    """Lines and nothing else, each of them a point that every recording would take."""
    if not request.lines or request.headers.get("content-encoding", "gzip") != "gzip":
        raise UnforeseenError
    for line in request.lines:
        _foreseen(line)


def _foreseen(line: str) -> ParsedPoint:
    matched = _LINE.fullmatch(line)
    if not matched:
        raise UnforeseenError
    (point,) = parse(line)
    names = [part.partition("=")[0] for part in matched[2].split(",")[1:]]
    if len(set(names)) != len(names) or _RESERVED & {*names, *point.fields} or point.time_ns not in _TIMES:
        raise UnforeseenError
    if not all(_sound(value) for value in point.fields.values()):
        raise UnforeseenError
    return point


def _sound(value: FieldValue) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return not isinstance(value, int) or -(1 << 63) <= value < 1 << 63


def _is_free(version: str, request: Request) -> bool:
    """Whether it asks nobody for a token here: influxdb-2.7.12/001."""
    return version == "2.7.12" and request.path == "/health"


def _unauthorized(version: str, request: Request) -> Reply:
    if version == "2.7.12" and request.path in {"/api/v2/write", "/api/v2/delete", "/api/v2/query"}:  # 099 to 102, 250
        return UNAUTHORIZED
    scheme = request.word.partition(" ")[0]
    ours = {"/health", "/ping", "/api/v3/write_lp", "/api/v3/query_sql"}
    if version == "3.6.0" and scheme in {"", "Bearer", "Token"} and request.path in ours:  # 001, 002, 024, 025, 028
        return Reply(401)
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
    wanted = _object(request)
    if wanted.keys() != {"start", "stop", "predicate"}:
        raise UnforeseenError
    if not all(isinstance(wanted[key], str) and _UTC.fullmatch(wanted[key]) for key in ("start", "stop")):
        raise UnforeseenError
    place = 0
    for term in wanted["predicate"].split(" AND "):
        matched = _TERM.fullmatch(term)
        if not matched or (matched[1].startswith("_") and matched[1] != "_measurement"):
            raise UnforeseenError
        if not term.startswith('"') and matched[1] in _KEYWORDS:  # 203
            message = f"error decoding json body: bad logical expression, at position {place}"
            return Reply(400, _compact({"code": "invalid", "message": message}), _JSON)
        if not term.startswith('"') and matched[1] not in _BARE:
            raise UnforeseenError
        place += len(term) + 5
    return NO_CONTENT  # 204, 208, 234; documented: without _measurement it is about all that have these tags


def _predicate(text: str) -> dict[str, str]:
    return dict(_TERM.findall(text))


def _object(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(request.body)
    except ValueError:
        raise UnforeseenError from None
    if not isinstance(found, dict):
        raise UnforeseenError
    return found


def _query_27(double: InfluxDouble, request: Request) -> Reply:
    asked = _object(request)
    matched = _FLUX.fullmatch(asked.get("query", ""))
    if not matched or request.headers.get("content-type") != "application/json" or _packs(request):
        raise UnforeseenError
    annotations = asked.get("dialect", {}).get("annotations", [])
    if annotations not in ([], ["datatype"]) or not asked.get("dialect", {}).get("header", True):
        raise UnforeseenError
    bucket, start, stop, measurement, subject, only = matched.groups()
    if bucket not in double.buckets:
        raise UnforeseenError
    low, high = int(start or 0), int(stop) if stop else time.time_ns()
    tables: dict[tuple[Any, ...], list[str]] = {}
    for (_, tags, at), fields in double.found(measurement, subject, low, high):
        for name, value in fields.items():
            if only not in {None, name}:
                continue
            kind = {float: "double", str: "string", bool: "boolean", int: "long"}[type(value)]
            keys = tuple(key for key, _ in tags)
            row = [_rfc3339(low), _rfc3339(high), _rfc3339(at), _shown_27(value), name, measurement]
            tables.setdefault((name, tags, kind, keys), []).append(_row([*row, *dict(tags).values()]))
    text, before = "", None
    for number, ((_, _, kind, keys), rows) in enumerate(sorted(tables.items())):
        if (kind, keys) != before:  # tables of one kind stand under one header
            text += "\r\n" if before else ""
            before = (kind, keys)
            if annotations:  # 142; without them 138
                times = "dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339"
                text += f"#datatype,string,long,{times},{kind},string,string{',string' * len(keys)}\r\n"
            text += ",".join([",result,table,_start,_stop,_time,_value,_field,_measurement", *keys]) + "\r\n"
        text += "".join(f",_result,{number},{row}\r\n" for row in rows)
    return Reply(200, f"{text}\r\n", _CSV)  # 158


def _packs(request: Request) -> bool:
    """Whether it would get gzip for an answer: 145."""
    return "gzip" in request.headers.get("accept-encoding", "")


def _shown_27(value: FieldValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):  # 138: never an exponent, no .0
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    return str(value)


def _row(values: Iterable[str]) -> str:
    return ",".join('"' + value.replace('"', '""') + '"' if set(value) & set('",\r\n') else value for value in values)


def _answer_36(double: InfluxDouble, request: Request) -> Reply:
    match request.method, request.path:
        case "POST", "/api/v3/write_lp":  # 015, 064
            if (
                request.query.get("accept_partial") != "true"
                or request.query.get("no_sync") != "false"
                or request.query.get("precision") != "nanosecond"
                or request.query.get("db") != "healthsync"
            ):
                raise UnforeseenError
            _written(request)
            if double.clash(request) or double.conflicts(request):  # 057, 064: it lists them, cut in a way of its own
                raise UnforeseenError
            return NO_CONTENT._replace(headers=())
        case "POST", "/api/v2/delete":  # 166
            return Reply(404, "not found")  # whatever is asked for
        case "GET", "/health":
            return Reply(200, "OK")
        case "GET", "/api/v3/query_sql":
            matched = _SQL.fullmatch(request.query.get("q", ""))
            if not matched or request.query.get("format") != "json" or request.query.get("db") != "healthsync":
                raise UnforeseenError
            measurement, subject, start, stop = matched.groups()
            low = _nanoseconds(start) if start else -(1 << 63)
            high = _nanoseconds(stop) if stop else 1 << 63
            double.found(measurement, None, low, high)
            if not any(key[0] == measurement for key in double.points):  # 143
                why = f"Error during planning: table 'public.iox.{measurement}' not found"
                return Reply(500, f"query error: error while planning query: {why}")
            rows = [  # 117, 135: an absent value is an absent key, times have no Z
                dict(sorted({"time": _bare_time(at), **dict(tags), **fields}.items()))
                for (_, tags, at), fields in double.found(measurement, subject, low, high)
            ]
            return Reply(200, _compact(rows), (("content-type", "application/json"),))
    raise UnforeseenError


def _answer_16(double: InfluxDouble, request: Request) -> Reply:
    statement = request.query.get("q", "")
    match request.method, request.path:
        case "POST", "/write":  # 009
            if request.query != {"db": "healthsync", "precision": "ns"} or request.word:
                raise UnforeseenError
            _written(request)
            return _conflict_16(double, request) or NO_CONTENT._replace(headers=_OF_16)
        case "GET", "/health":  # 003
            return Reply(404, "404 page not found\n", (("Content-Type", "text/plain; charset=utf-8"), *_OF_16[1:]))
        case "GET", "/ping":  # 001
            return Reply(204, "", _OF_16)
        case "POST", "/query" if matched := _DELETE_POINT.fullmatch(statement):  # 072, 081
            if request.query.get("db") != "healthsync":
                raise UnforeseenError
            tags = dict(re.findall(r'"(\w+)" = \'([\w-]+)\'', matched[2]))
            for name, has, at in list(double.points):
                if name == matched[1] and at == int(matched[3]) and tags.items() <= dict(has).items():
                    del double.points[name, has, at]
            return Reply(200, '{"results":[{"statement_id":0}]}\n', _OF_16)
        case "GET", "/query" if matched := _INFLUXQL.fullmatch(statement):  # 060, 050, 062
            if request.query.get("epoch") != "ns" or request.query.get("db") != "healthsync":
                raise UnforeseenError
            return _series_16(double, *matched.groups())
    raise UnforeseenError


def _conflict_16(double: InfluxDouble, request: Request) -> Reply | None:
    conflicts = double.conflicts(request)
    if not conflicts:
        return None
    _, measurement, name, given, has = conflicts[0]
    lines = {line for line, *_ in conflicts}
    why = f'field type conflict: input field "{name}" on measurement "{measurement}" is type {_WORDS[given]}, '
    why = f"partial write: {why}already exists as type {_WORDS[has]} dropped={len(lines)}"  # 028, 029
    return Reply(400, _compact({"error": why}) + "\n", _OF_16, lambda line: line not in lines)


def _series_16(double: InfluxDouble, measurement: str, subject: str | None, low: str | None, high: str | None) -> Reply:
    found = double.found(measurement, subject, int(low or -(1 << 63)), int(high or 1 << 63))
    if not found:
        return Reply(200, '{"results":[{"statement_id":0}]}\n', _OF_16)
    # Every tag and field that the measurement has, of whatever user: "" and null where a point has none (047).
    everything = double.found(measurement, None, -(1 << 63), 1 << 63)
    columns = sorted({name for _, fields in everything for name in fields})
    keys = sorted({key for (_, tags, _), _ in everything for key, _ in tags})
    series: dict[Any, list[Any]] = {}
    for (_, tags, at), fields in found:
        whole = tuple((key, dict(tags).get(key, "")) for key in keys)
        series.setdefault(whole, []).append([at, *(_whole(fields.get(column)) for column in columns)])
    parts = [
        {"name": measurement, "tags": dict(tags), "columns": ["time", *columns], "values": values}
        for tags, values in sorted(series.items())
    ]
    return Reply(200, _compact({"results": [{"statement_id": 0, "series": parts}]}) + "\n", _OF_16)


def _whole(value: Any) -> Any:
    """Floats without .0: 049."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rfc3339(time_ns: int) -> str:
    """As many digits as are needed: 155."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    digits = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{digits}Z"


def _bare_time(time_ns: int) -> str:
    """As 3 Core has it: no Z, and 0, 3, 6 or 9 digits (135)."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    digits = f".{nanoseconds:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{digits.rstrip('.')}"


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
    try:
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        text = body.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        text = "\0"  # no rule below knows what to do with it
    parts = urlsplit(target)
    query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    return Request(method, parts.path, query, headers, text)
