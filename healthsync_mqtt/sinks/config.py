"""The sinks of an installation: one file each in ``sinks/``, written by commands, read by the process that ships.

A file names where the token is, never the token: an environment variable, a private file, or a file in the secrets
directory (``HEALTHSYNC_SECRETS_DIR``, else ``/run/secrets``).
"""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from healthsync_mqtt.config.private_files import make_private_directory, read_private, write_durably
from healthsync_mqtt.errors import ConfigError, ConflictError, NotFoundError, UsageError

Dialect = Literal["v2", "v3", "v1", "victoria"]
Deletes = Literal["delete", "mark"]

_MAX_TOKEN = 4096


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("a URL is http(s)://host[:port][/path], without a user, password or query")
    return url.rstrip("/")


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that cannot be printed")
    return text


Text = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]


class TokenPlace(BaseModel):
    """Where the token is: exactly one of the three; none for a server that asks for none."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")] | None = None
    file: Path | None = None
    secret: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> "TokenPlace":
        if sum(place is not None for place in (self.env, self.file, self.secret)) > 1:
            raise ValueError("name one place for the token: env, file or secret")
        return self

    def read(self) -> str | None:
        """The token; ConfigError when it is not where it should be, or is empty."""
        if self.env is not None:
            token, place = os.environ.get(self.env, ""), f"the environment variable {self.env}"
        elif self.file is not None:
            token, place = read_private(self.file).decode("utf-8", "replace"), str(self.file)
        elif self.secret is not None:
            path = Path(os.environ.get("HEALTHSYNC_SECRETS_DIR", "/run/secrets")) / self.secret
            try:
                token, place = path.read_text(encoding="utf-8", errors="replace"), str(path)
            except OSError as error:
                raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="mount the secret") from None
        else:
            return None
        token = token.strip()
        if not token or len(token) > _MAX_TOKEN or not token.isascii() or not token.isprintable():
            raise ConfigError(f"there is no token in {place}", hint="put the token there, on one line")
        return token


class SinkConfig(BaseModel):
    """One sink.

    ``dialect``: v2 (``/api/v2/write``: 2.x, Cloud, 1.8, and others that speak it), v3 (``/api/v3/write_lp``), v1
    (``/write``), victoria (v2's writes, VictoriaMetrics' reads).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    url: Annotated[str, Field(max_length=1024), AfterValidator(_http_url)]
    dialect: Dialect = "v2"
    org: Text = "-"
    #: The bucket; the database with v3 and v1 (1.8 on the v2 endpoint: ``database/retention-policy``).
    bucket: Text = "healthsync"
    token: TokenPlace = TokenPlace()
    deletes: Deletes = "delete"
    """``mark`` where a server deletes no points: 3 Core, VictoriaMetrics."""
    ca_file: Path | None = None
    batch_bytes: Annotated[int, Field(ge=1_000, le=50_000_000)] = 1_000_000
    flush_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    #: How long a server may lose what it has acknowledged when it crashes: 0 for InfluxDB, which has a log on disk;
    #: about 10 for VictoriaMetrics. What was sent within this time is sent again after each new connection.
    settle_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    series_budget: Annotated[int, Field(ge=15, le=100_000)] = 200
    paused: bool = False

    @property
    def cursor(self) -> str:
        """The name of its cursor in the event log."""
        return f"sink:{self.name}"


class Sinks:
    """The directory of sinks of a data directory."""

    def __init__(self, data: Path) -> None:
        self._path = data / "sinks"

    def file(self, name: str) -> Path:
        """Where a sink's configuration is."""
        return self._path / f"{name}.json"

    def ledger(self, name: str) -> Path:
        """Where a sink's ledger is."""
        return self._path / f"{name}.db"

    @property
    def pseudonyms(self) -> Path:
        """Where the salts are."""
        return self._path / "pseudonyms.db"

    def prepare(self) -> None:
        """Make the directory where it is missing."""
        make_private_directory(self._path.parent)
        make_private_directory(self._path)

    def names(self) -> list[str]:
        """The configured sinks."""
        return sorted(path.stem for path in self._path.glob("*.json"))

    def get(self, name: str) -> SinkConfig:
        """One sink; NotFoundError when there is none of this name, ConfigError when its file cannot be read."""
        if name not in self.names():
            known = ", ".join(self.names()) or "none yet"
            raise NotFoundError(f"there is no sink {name}", hint=f"known: {known}")
        path = self.file(name)
        try:
            return SinkConfig.model_validate_json(read_private(path))
        except ValidationError as error:
            raise ConfigError(f"{path}: {_problems(error)}", hint="healthsync sink add influxdb … --replace") from None

    def put(self, sink: SinkConfig, *, replace: bool = False) -> None:
        """Write a sink down; ConflictError when there is one of this name."""
        self.prepare()
        if not replace and self.file(sink.name).exists():
            raise ConflictError(f"there is a sink {sink.name} already", hint="choose another name, or --replace")
        write_durably(self.file(sink.name), sink.model_dump_json(indent=2).encode() + b"\n")


def made(**values: object) -> SinkConfig:
    """A sink of what a person typed; UsageError naming the field."""
    try:
        return SinkConfig.model_validate(values)
    except ValidationError as error:
        raise UsageError(_problems(error), hint="healthsync sink add influxdb --help") from None


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'sink'}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_input=False, include_context=False, include_url=False)
    )
