"""HTTP to InfluxDB through influxdb-client: one request, one answer, never later than its deadline.

The client's WriteApi is not used: it loses batches on 4xx and at exit, and sends what it likes when it likes. Its
``ApiClient`` is: authentication, TLS and connections are its business, when to send what is ours.
"""

import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException

from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.influx.line import Line, ServerAnswer

_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 1  # twice the size of level 9 at a tenth of its time
_MAX_BODY = 1 << 20


class _DeadlineError(Exception):
    """The request took longer than it may."""


class Influx:
    """One server as a sink knows it. Not shared between threads; in the main thread a request has a hard deadline."""

    def __init__(self, sink: InfluxConfig, token: str | None) -> None:
        self._sink = sink
        self._client: Any = InfluxDBClient(
            url=sink.url,
            token=token or "",
            org=sink.org,
            timeout=int(sink.timeout_s * 1000),
            ssl_ca_cert=str(sink.ca_file) if sink.ca_file else None,
            retries=False,
        )
        self._connects = 0
        manager = self._client.api_client.rest_client.pool_manager
        manager.pool_classes_by_scheme = {
            scheme: _counting(pool, self._connected) for scheme, pool in manager.pool_classes_by_scheme.items()
        }
        headers = self._client.api_client.default_headers
        if token is None:
            headers.pop("Authorization", None)
        elif sink.dialect == "v3":
            headers["Authorization"] = f"Bearer {token}"

    @property
    def connections(self) -> int:
        """Connections opened so far; one more means that the server may have been restarted in between."""
        return self._connects

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _connected(self) -> None:
        self._connects += 1

    def write(self, lines: list[str]) -> ServerAnswer:
        """Send lines, with times in nanoseconds, as gzip."""
        sink = self._sink
        if sink.dialect in {"v2", "victoria"}:
            path, query = "/api/v2/write", {"org": sink.org, "bucket": sink.bucket, "precision": "ns"}
        elif sink.dialect == "v3":
            path = "/api/v3/write_lp"
            query = {"db": sink.bucket, "precision": "nanosecond", "accept_partial": "true", "no_sync": "false"}
        else:
            path, query = "/write", {"db": sink.bucket, "precision": "ns"}
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        body = packer.compress("\n".join(lines).encode() + b"\n") + packer.flush()
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
        return self._answer("POST", path, query, headers, body)

    def delete(self, line: Line) -> ServerAnswer:
        """Delete the one point of this line: its series, its nanosecond."""
        sink = self._sink
        measurement, *tags = line.series.split(",")
        pairs = [tag.split("=", 1) for tag in tags]
        if sink.dialect == "v1":
            where = " AND ".join(f"\"{key}\" = '{value}'" for key, value in pairs)
            statement = f'DELETE FROM "{measurement}" WHERE {where} AND time = {line.time_ns}'  # noqa: S608 - words only
            return self._answer(
                "POST", "/query", {"db": sink.bucket, "q": statement}, {"Content-Type": "text/plain"}, b""
            )
        # Quoted, every key: 2.x takes a bare word that InfluxQL knows (user, key, group …) for its keyword.
        predicate = " AND ".join(f'"{key}"="{value}"' for key, value in [("_measurement", measurement), *pairs])
        at = _rfc3339(line.time_ns)
        return self._answer(
            "POST",
            "/api/v2/delete",
            {"org": sink.org, "bucket": sink.bucket},
            {"Content-Type": "application/json"},
            {"start": at, "stop": at, "predicate": predicate},
        )

    def delete_person(self, subject: str) -> ServerAnswer | None:
        """Delete every point with this pseudonym; None: this server deletes nothing."""
        sink = self._sink
        if sink.dialect == "v3":
            return None
        if sink.dialect == "victoria":
            match = {"match[]": f'{{user="{subject}"}}'}
            return self._answer("POST", "/api/v1/admin/tsdb/delete_series", match, {"Content-Type": "text/plain"}, b"")
        if sink.dialect == "v1":
            statement = f"DROP SERIES WHERE \"user\" = '{subject}'"
            return self._answer(
                "POST", "/query", {"db": sink.bucket, "q": statement}, {"Content-Type": "text/plain"}, b""
            )
        span = {"start": "1677-09-21T00:12:44Z", "stop": "2262-04-11T23:47:16Z"}
        return self._answer(
            "POST",
            "/api/v2/delete",
            {"org": sink.org, "bucket": sink.bucket},
            {"Content-Type": "application/json"},
            span | {"predicate": f'"user"="{subject}"'},
        )

    def probe(self) -> ServerAnswer:
        """A sign of life, whatever it says."""
        return self._answer("GET", "/health", {}, {}, None)

    def get(self, path: str, query: Mapping[str, str]) -> ServerAnswer:
        """Read something."""
        return self._answer("GET", path, query, {"Accept": "application/json"}, None)

    def query(self, statement: str) -> ServerAnswer:
        """Run a Flux query; the answer is CSV that names the data type of each column."""
        headers = {"Content-Type": "application/json", "Accept": "application/csv"}
        asked = {"query": statement, "dialect": {"header": True, "annotations": ["datatype"]}}
        return self._answer("POST", "/api/v2/query", {"org": self._sink.org}, headers, asked)

    def _answer(
        self, method: str, path: str, query: Mapping[str, str], headers: dict[str, str], body: Any
    ) -> ServerAnswer:
        try:
            with _deadline(self._sink.timeout_s):
                response = self._client.api_client.call_api(
                    path,
                    method,
                    query_params=list(query.items()),
                    header_params=headers,
                    body=body,
                    _preload_content=False,
                    _return_http_data_only=True,
                )
                return _read(response)
        except ApiException as error:
            return _of(error)
        except urllib3.exceptions.NewConnectionError:  # before the time-outs: to urllib3 it is one of them
            return ServerAnswer(0, fault="unreachable")
        except (_DeadlineError, urllib3.exceptions.TimeoutError):
            return ServerAnswer(0, fault="timeout")
        except urllib3.exceptions.SSLError:
            return ServerAnswer(0, fault="tls")
        except (urllib3.exceptions.HTTPError, OSError):
            return ServerAnswer(0, fault="reset")


def _counting(pool: Any, connected: Callable[[], None]) -> Any:
    """A pool of urllib3 whose connections say when they connect: a dropped one is opened again without a word."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            connected()

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _read(response: Any) -> ServerAnswer:
    body: bytes = response.data
    return ServerAnswer(response.status, body.decode("utf-8", "replace"), response.headers.get("Retry-After"))


def _of(error: Any) -> ServerAnswer:
    if not error.status:  # the client's word for a failed TLS handshake
        return ServerAnswer(0, fault="tls")
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body or "")
    headers = error.headers or {}
    return ServerAnswer(error.status, body[:_MAX_BODY], headers.get("Retry-After"))


def _rfc3339(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """End a request that trickles: the client's time-out starts anew with every byte. Main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: object) -> None:
        raise _DeadlineError

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
