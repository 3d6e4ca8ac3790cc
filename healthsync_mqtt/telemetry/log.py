"""The log: event names with keys, on stderr, as JSON lines or for a person.

    log = get_logger("door")
    log.info("door.connection_refused", reason="bad_token", client_id="alice-watch")

Names and keys are code; everything else is cleaned (``redaction.py``). Of an exception only its type, the places it
passed and, for our own errors, its message are written: the messages of other libraries quote their input.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.model.text import escaped
from healthsync_mqtt.telemetry.redaction import clean, clean_keys, redact

ROOT: Final = "healthsync"
LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

_QUIET: Final = ("amqtt", "transitions", "asyncio", "websockets", "aiomqtt", "paho", "mqtt", "urllib3", "httpx")
"""Libraries that print messages, sometimes whole payloads, below WARNING."""

_MAX_FRAMES = 12
_MAX_CAUSES = 4
_MAX_FOREIGN = 300


class EventLogger:
    """Writes events of one part of the program. ``bind`` gives a logger that adds the same keys to each event."""

    __slots__ = ("_keys", "_logger")

    def __init__(self, logger: logging.Logger, keys: Mapping[str, Any]) -> None:
        self._logger = logger
        self._keys = dict(keys)

    def bind(self, **keys: Any) -> "EventLogger":
        """The same logger with more keys on every event."""
        return EventLogger(self._logger, {**self._keys, **keys})

    def debug(self, event: str, /, **keys: Any) -> None:
        """For whoever looks for a fault."""
        self._write(logging.DEBUG, event, keys, None)

    def info(self, event: str, /, **keys: Any) -> None:
        """A change of state that an operator wants to find later."""
        self._write(logging.INFO, event, keys, None)

    def warning(self, event: str, /, **keys: Any) -> None:
        """Something that may need an operator."""
        self._write(logging.WARNING, event, keys, None)

    def error(self, event: str, /, *, error: BaseException | None = None, **keys: Any) -> None:
        """Something that needs an operator; ``error`` adds its type and the places it passed."""
        self._write(logging.ERROR, event, keys, error)

    def exception(self, event: str, /, **keys: Any) -> None:
        """``error`` with the exception that is being handled."""
        self._write(logging.ERROR, event, keys, sys.exception())

    def is_enabled(self, level: LogLevel) -> bool:
        """Whether events of this level are written; for keys that are costly to make."""
        return self._logger.isEnabledFor(_number(level))

    def _write(self, level: int, event: str, keys: dict[str, Any], error: BaseException | None) -> None:
        if not self._logger.isEnabledFor(level):
            return
        record = self._logger.makeRecord(self._logger.name, level, "", 0, event, (), None)
        record.event_keys = {**self._keys, **keys}
        record.event_error = error
        self._logger.handle(record)


def get_logger(name: str, **keys: Any) -> EventLogger:
    """The logger of one part, ``door`` or ``journal``; ``keys`` go onto each of its events."""
    return EventLogger(logging.getLogger(f"{ROOT}.{name}"), keys)


def configure(level: LogLevel = "info", format: LogFormat = "auto", *, stream: TextIO | None = None) -> None:  # noqa: A002
    """Send the log to ``stream`` (stderr). "auto": for a person on a terminal, else JSON lines. May be repeated."""
    target = stream if stream is not None else sys.stderr
    person = format == "console" or (format == "auto" and target.isatty())
    handler = _Handler(target)
    handler.setFormatter(ConsoleFormatter() if person else JsonFormatter())
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(_number(level))
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, then the event's keys."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; never raises."""
        fields = _fields(record)
        line = json.dumps(fields, ensure_ascii=True, separators=(",", ":"), default=str, allow_nan=True)
        return line.replace("\x7f", "\\u007f")


class ConsoleFormatter(logging.Formatter):
    """One line for a person: time, level, event, key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; never raises."""
        fields = _fields(record)
        time, level, _logger, event = (fields.pop(key) for key in ("time", "level", "logger", "event"))
        pairs = " ".join(f"{escaped(key)}={_shown(value)}" for key, value in fields.items())
        return f"{time[11:23]} {level:<7} {escaped(event)} {pairs}".rstrip()


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Stay silent: logging would print the record's arguments, uncleaned, to a stream that is broken anyway."""


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    moment = datetime.fromtimestamp(record.created, UTC)
    fields: dict[str, Any] = {
        "time": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "level": record.levelname.lower(),
        "logger": record.name.removeprefix(f"{ROOT}."),
    }
    keys: dict[str, Any] | None = getattr(record, "event_keys", None)
    if keys is not None:
        fields["event"] = clean(record.msg)
        error: BaseException | None = getattr(record, "event_error", None)
        cleaned = clean_keys(keys)
        fields |= {f"{key}_" if key in fields else key: value for key, value in cleaned.items()}
    else:
        fields["event"] = "library.message"
        fields["message"] = _foreign(record)
        error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        fields["error"] = describe(error)
    return fields


def describe(error: BaseException) -> list[dict[str, Any]]:
    """An exception and its causes, outermost first: type, message when it is ours, and the places it passed."""
    described: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(described) < _MAX_CAUSES:
        entry: dict[str, Any] = {"type": type(current).__name__}
        if isinstance(current, HealthSyncError):
            entry["message"] = clean(str(current))
            if detail := getattr(current, "detail", None):
                entry["detail"] = clean(detail)
        elif isinstance(current, OSError):
            entry["errno"] = current.errno
        entry["at"] = _places(current)
        described.append(entry)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return described


def _places(error: BaseException) -> list[str]:
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        file = "/".join(code.co_filename.rsplit("/", 2)[-2:])
        places.append(f"{file}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-_MAX_FRAMES:]


def _foreign(record: logging.LogRecord) -> str:
    """The first line of a library's message: asyncio puts the representation of failed tasks in the lines after it."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - a wrong format string in a library is no reason to fail here
        text = str(record.msg)
    return redact(text).split("\n", 1)[0][:_MAX_FOREIGN]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = escaped(text)
    quoted = not text or (isinstance(value, str) and any(char in text for char in ' "='))
    return json.dumps(text, ensure_ascii=False) if quoted else text


def _number(level: LogLevel) -> int:
    return {"debug": 10, "info": 20, "warning": 30, "error": 40}[level]
