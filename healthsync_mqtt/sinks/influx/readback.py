"""What a server holds, read back through its own query language, as samples that compare with what was sent."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, Protocol

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.sinks.config import Dialect
from healthsync_mqtt.sinks.influx.line import Line, ServerAnswer
from healthsync_mqtt.sinks.influx.lineprotocol import tag_set

Value = float | str | bool
_TAGS = ("device", "provider", "recording", "user")
_MS = 1_000_000


class StoredField(NamedTuple):
    """One field of one point: series as it is written, field, nanoseconds."""

    series: str
    field: str
    time_ns: int


class ReadbackServer(Protocol):
    """The reading side of ``influx.Influx``."""

    def get(self, path: str, query: dict[str, str]) -> ServerAnswer: ...

    def query(self, statement: str) -> ServerAnswer: ...


def samples_of(line: Line) -> Iterator[tuple[StoredField, Value]]:
    """The samples of a line that we wrote."""
    for part in line.fields.split(","):
        name, _, text = part.partition("=")
        value: Value = text[1:-1] if text[0] == '"' else text == "true" if text in {"true", "false"} else float(text)
        yield StoredField(line.series, name, line.time_ns), value


class Readback:
    """Reads a bucket of one dialect. The names that go into queries are words of our own making (``lineprotocol``)."""

    def __init__(self, source: ReadbackServer, dialect: Dialect, bucket: str) -> None:
        self._source = source
        self._dialect = dialect
        self._bucket = bucket

    def comparable(self, samples: Iterable[tuple[StoredField, Value]]) -> dict[StoredField, Value]:
        """Samples as this server can give them back: VictoriaMetrics keeps milliseconds and numbers."""
        if self._dialect != "victoria":
            return dict(samples)
        return {
            sample._replace(time_ns=sample.time_ns // _MS * _MS): float(value)
            for sample, value in samples
            if not isinstance(value, str)
        }

    def read(self, measurement: str, subject: str, start_ns: int, stop_ns: int) -> dict[StoredField, Value]:
        """Every sample of a measurement and user in [start, stop). UnavailableError when it cannot be read."""
        reads = {"v2": self._flux, "v3": self._sql, "v1": self._influxql, "victoria": self._export}
        try:
            return reads[self._dialect](measurement, subject, start_ns, stop_ns)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, csv.Error):
            # From None: what was read, and what Python says about it, may be a health value.
            raise UnavailableError(
                "the server's answer cannot be read",
                hint="is the sink's dialect right, and nothing between it and you?",
            ) from None

    def _flux(self, measurement: str, subject: str, start_ns: int, stop_ns: int) -> dict[StoredField, Value]:
        bucket = json.dumps(self._bucket)
        body = _good(
            self._source.query(
                f"from(bucket: {bucket}) |> range(start: time(v: {start_ns}), stop: time(v: {stop_ns}))"
                f' |> filter(fn: (r) => r._measurement == "{measurement}" and r.user == "{subject}")'
            )
        )
        found: dict[StoredField, Value] = {}
        for row in _annotated(body):
            series = measurement + tag_set((key, row.get(key) or None) for key in _TAGS)
            kind, text = row["#_value"], row["_value"]
            value: Value = text if kind == "string" else text == "true" if kind == "boolean" else float(text)
            found[StoredField(series, row["_field"], _nanoseconds(row["_time"]))] = value
        return found

    def _sql(self, measurement: str, subject: str, start_ns: int, stop_ns: int) -> dict[StoredField, Value]:
        statement = (
            f'SELECT * FROM "{measurement}" WHERE "user" = \'{subject}\' '  # noqa: S608 - words only
            f"AND time >= '{_iso(start_ns)}' AND time < '{_iso(stop_ns)}'"
        )
        answer = self._source.get("/api/v3/query_sql", {"db": self._bucket, "q": statement, "format": "json"})
        if answer.status in {400, 404, 500} and re.search("table .*not found|does not exist", answer.body):  # 500: 3.6
            return {}
        found: dict[StoredField, Value] = {}
        for row in json.loads(_good(answer)):
            series = measurement + tag_set((key, row.get(key)) for key in _TAGS)
            at = _nanoseconds(row["time"])
            fields = ((key, value) for key, value in row.items() if key not in _TAGS and key != "time")
            found |= {StoredField(series, key, at): _typed(value) for key, value in fields if value is not None}
        return found

    def _influxql(self, measurement: str, subject: str, start_ns: int, stop_ns: int) -> dict[StoredField, Value]:
        statement = (
            f'SELECT * FROM "{measurement}" WHERE "user" = \'{subject}\' '  # noqa: S608 - words only
            f"AND time >= {start_ns} AND time < {stop_ns} GROUP BY *"
        )
        query = {"db": self._bucket, "q": statement, "epoch": "ns", "chunked": "false"}
        (result,) = json.loads(_good(self._source.get("/query", query)))["results"]
        if "error" in result:
            raise UnavailableError("the server did not run the query", hint="look at its log")
        found: dict[StoredField, Value] = {}
        for part in result.get("series", ()):
            series = measurement + tag_set((key, value or None) for key, value in part.get("tags", {}).items())
            for at, *values in part["values"]:
                fields = zip(part["columns"][1:], values, strict=True)
                found |= {StoredField(series, key, at): _typed(value) for key, value in fields if value is not None}
        return found

    def _export(self, measurement: str, subject: str, start_ns: int, stop_ns: int) -> dict[StoredField, Value]:
        match = f'{{__name__=~"{measurement}_[a-z0-9_]+",user="{subject}"}}'
        self._source.get("/internal/force_flush", {})  # what it took in the last second is not shown otherwise
        query = {"match[]": match, "start": str(start_ns // _MS / 1000), "end": str((stop_ns - 1) // _MS / 1000)}
        body = _good(self._source.get("/api/v1/export", query))
        longer, texts = _longer(measurement), _texts()
        found: dict[StoredField, Value] = {}
        for text in body.splitlines():
            part = json.loads(text)
            labels = part["metric"]
            series = measurement + tag_set((key, labels.get(key)) for key in _TAGS)
            name = labels["__name__"].removeprefix(f"{measurement}_")
            if labels["__name__"].startswith(longer):
                continue  # sleep_stage_level is of the measurement sleep_stage
            if name in texts:
                continue  # to VictoriaMetrics a text is the number 0
            for at, value in zip(part["timestamps"], part["values"], strict=True):
                found[StoredField(series, name, at * _MS)] = float(value)
        return found


@cache
def _texts() -> frozenset[str]:
    """Fields that are words: to VictoriaMetrics they are no numbers."""
    return frozenset[str]().union(*(of.spread.texts for of in CATALOGUE.values()))


@cache
def _longer(measurement: str) -> tuple[str, ...]:
    """What the names of other measurements begin with, where this one is a prefix of theirs."""
    others = {part for of in CATALOGUE.values() for part in (of.name, *of.spread.parts)}
    return tuple(sorted(f"{other}_" for other in others if other.startswith(f"{measurement}_")))


def _good(answer: ServerAnswer) -> str:
    if answer.status != 200:
        why = f"status {answer.status}" if answer.status else answer.fault
        raise UnavailableError(f"the server cannot be read: {why}", hint="give the token read permission, or try later")
    return answer.body


def _typed(value: Any) -> Value:
    return value if isinstance(value, str | bool) else float(value)


def _annotated(body: str) -> Iterator[dict[str, str]]:
    """Rows of Flux's annotated CSV; ``#_value`` carries the data type of the value."""
    header: list[str] = []
    kinds: list[str] = []
    for row in csv.reader(io.StringIO(body)):
        if not row:
            header = []
        elif row[0] == "#datatype":
            kinds, header = row, []
        elif row[0].startswith("#"):
            continue
        elif not header:
            header = row
            if not {"_value", "error"} & set(header):
                raise LookupError  # no answer of Flux
        else:
            found = dict(zip(header, row, strict=False))
            if found.get("error"):
                raise UnavailableError("the server did not run the query", hint="look at its log")
            value = header.index("_value")
            found["#_value"] = kinds[value]  # asked for with the query; without it nobody knows what "true" is
            yield found


def _nanoseconds(text: str) -> int:
    seconds, _, fraction = text.rstrip("Z").partition(".")
    whole = int(datetime.fromisoformat(f"{seconds}+00:00").timestamp())
    return whole * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


def _iso(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
