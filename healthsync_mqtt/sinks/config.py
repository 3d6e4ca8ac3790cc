"""The sinks of an installation: one file each in ``sinks/``, written by commands, read by the process that ships.

A file names where the token is, never the token: an environment variable, a private file, or a file in the secrets
directory (``HEALTHSYNC_SECRETS_DIR``, else ``/run/secrets``).
"""

import json
import os
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from healthsync_mqtt.config.private_files import make_private_directory, read_private, write_durably
from healthsync_mqtt.errors import ConfigError, ConflictError, Noun, UnknownNameError, UsageError

Dialect = Literal["v2", "v3", "v1", "victoria"]
Deletes = Literal["delete", "mark"]

CURSOR: Final = "sink:"
"""What names of sinks' cursors in the log begin with."""

_MAX_TOKEN = 4096
_KINDS = {"influxdb", "file", "kafka"}


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("a URL is http(s)://host[:port][/path], without a user, password or query")
    return url.rstrip("/")


def _servers(said: str) -> str:
    for each in said.split(","):
        host, _, port = each.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536 or any(char.isspace() for char in host):
            raise ValueError("servers are HOST:PORT, or several with commas between them")
    return said


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
    """What every sink has, whatever its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    flush_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    #: How long a server may lose what it has acknowledged when it crashes: 0 for InfluxDB, which has a log on disk; 20
    #: for VictoriaMetrics, which lost its last 7 to 10 s when it was killed. What was sent within this time is sent
    #: again when the server may have been restarted.
    settle_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    series_budget: Annotated[int, Field(ge=15, le=100_000)] = 200
    paused: bool = False
    #: Whether what it gets names users as they are, and not by pseudonyms.
    names_users: ClassVar[bool] = False

    @property
    def cursor(self) -> str:
        """The name of its cursor in the event log."""
        return f"{CURSOR}{self.name}"

    @property
    def target(self) -> str:
        """Where its events go, for people."""
        raise NotImplementedError


class InfluxConfig(SinkConfig):
    """A server that speaks InfluxDB's protocol.

    ``dialect``: v2 (``/api/v2/write``: 2.x, Cloud, 1.8, and others that speak it), v3 (``/api/v3/write_lp``), v1
    (``/write``), victoria (v2's writes, VictoriaMetrics' reads).
    """

    kind: Literal["influxdb"] = "influxdb"
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

    @property
    def target(self) -> str:
        """See ``SinkConfig``."""
        return self.url


class FileConfig(SinkConfig):
    """A folder of NDJSON files; a new one is begun where the last has ``file_bytes``."""

    names_users: ClassVar[bool] = True
    kind: Literal["file"] = "file"
    path: Path
    file_bytes: Annotated[int, Field(ge=1_000, le=1 << 40)] = 256_000_000

    @property
    def target(self) -> str:
        """See ``SinkConfig``."""
        return str(self.path)


TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,248}$")]


class KafkaConfig(SinkConfig):
    """A topic of events and, where they are named, one of latest versions and one of users' days.

    ``user`` and ``token`` log in by SASL.
    """

    names_users: ClassVar[bool] = True
    kind: Literal["kafka"] = "kafka"
    servers: Annotated[str, Field(max_length=1024), AfterValidator(_servers)]
    topic: TopicName = "healthsync.events"
    latest_topic: TopicName | None = None
    days_topic: TopicName | None = None
    user: Text | None = None
    token: TokenPlace = TokenPlace()
    mechanism: Literal["scram-sha-512", "scram-sha-256", "plain"] = "scram-sha-512"
    #: Without TLS: within one machine, or a network that is trusted as such.
    plaintext: bool = False
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _two(self) -> "KafkaConfig":
        if len(set(self.topics)) < len(self.topics):
            raise ValueError("the topics of events, of latest versions and of days are different ones")
        if (self.user is None) != (self.token == TokenPlace()):
            raise ValueError("a user has a password, and a password a user")
        return self

    @property
    def topics(self) -> tuple[str, ...]:
        """One to three."""
        return (self.topic, *(each for each in (self.latest_topic, self.days_topic) if each is not None))

    @property
    def target(self) -> str:
        """See ``SinkConfig``."""
        return f"{self.servers} {self.topic}"


AnyConfig = InfluxConfig | FileConfig | KafkaConfig
_ANY: TypeAdapter[AnyConfig] = TypeAdapter(Annotated[AnyConfig, Field(discriminator="kind")])
_KIND_OF_OLD_FILES = "influxdb"


class Sinks:
    """The directory of sinks of a data directory."""

    def __init__(self, data: Path) -> None:
        self._path = data / "sinks"

    @property
    def directory(self) -> Path:
        """Where all of it is."""
        return self._path

    @property
    def home(self) -> Path:
        """The data directory that it is in, where this one has a link to it."""
        return self._path.resolve().parent

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

    def influx(self, name: str) -> InfluxConfig:
        """One sink, which is an InfluxDB; UsageError when it is of another kind."""
        config = self.get(name)
        if not isinstance(config, InfluxConfig):
            raise UsageError(
                f"{name} is a {config.kind} sink", hint="this works with InfluxDB and what speaks its protocol"
            )
        return config

    def remove(self, name: str) -> None:
        """Forget a sink and what its ledger knows; NotFoundError."""
        self.get(name)
        self.file(name).unlink()
        for ending in ("", "-journal"):
            self.ledger(name).with_name(f"{name}.db{ending}").unlink(missing_ok=True)

    def get(self, name: str) -> AnyConfig:
        """One sink; NotFoundError when there is none of this name, ConfigError when its file cannot be read."""
        if name not in self.names():
            raise UnknownNameError(Noun.sink, name, f"there is no sink {name}", hint="healthsync sink list")
        path = self.file(name)
        try:
            return _of(json.loads(read_private(path)))
        except ValidationError as error:
            raise ConfigError(f"{path}: {_problems(error)}", hint=_anew(name)) from None
        except ValueError:
            raise ConfigError(f"{path} is no JSON", hint=_anew(name)) from None

    def refuse_known(self, name: str) -> None:
        """ConflictError when there is a sink of this name."""
        if self.file(name).exists():
            raise ConflictError(f"there is a sink {name} already", hint="choose another name, or --replace")

    def put(self, sink: SinkConfig, *, replace: bool = False) -> None:
        """Write a sink down; ConflictError when there is one of this name."""
        self.prepare()
        if not replace:
            self.refuse_known(sink.name)
        write_durably(self.file(sink.name), sink.model_dump_json(indent=2).encode() + b"\n")


def made(see: str = "", /, **values: object) -> AnyConfig:
    """A sink of what a person typed; UsageError naming the field, and ``see`` or how such sinks are added."""
    try:
        return _of(values)
    except ValidationError as error:
        kind = values.get("kind", _KIND_OF_OLD_FILES)
        raise UsageError(_problems(error), hint=see or f"healthsync sink add {kind} --help") from None


def _anew(name: str) -> str:
    return (
        f"write it anew: healthsync sink add influxdb URL --name {name} --replace, "
        f"or: healthsync sink add file FOLDER --name {name} --replace, "
        "or: healthsync sink add kafka --help"
    )


def _of(values: object) -> AnyConfig:
    if isinstance(values, dict):
        values = {"kind": _KIND_OF_OLD_FILES} | values
    return _ANY.validate_python(values)


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{_field(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_input=False, include_context=False, include_url=False)
    )


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place if part not in _KINDS) or "sink"
